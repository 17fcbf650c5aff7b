"""Activations: leafless modules, so that no network carries numbers it can't train.

Builders take one as an object (which is exactly itself) or by name (which is the builder's own
default, so `"sigmoid"` has inverse temperature 10 in `parity`).
"""

from .base import AbstractActivation as AbstractActivation
from .layerwise import (
    Concatenate as Concatenate,
    Softmax as Softmax,
    groups as groups,
    is_elementwise as is_elementwise,
    join as join,
)
from .names import as_activation as as_activation, resolve as resolve
from .polynomial import (
    Identity as Identity,
    Power as Power,
    ReLU as ReLU,
    Square as Square,
    Step as Step,
)
from .smooth import (
    GELU as GELU,
    Custom as Custom,
    Exp as Exp,
    Sigmoid as Sigmoid,
    SiLU as SiLU,
    Sin as Sin,
    Softplus as Softplus,
    Tanh as Tanh,
)

__all__ = [
    "GELU",
    "AbstractActivation",
    "Concatenate",
    "Custom",
    "Exp",
    "Identity",
    "Power",
    "ReLU",
    "SiLU",
    "Sigmoid",
    "Sin",
    "Softmax",
    "Softplus",
    "Square",
    "Step",
    "Tanh",
]
