"""Targets: what networks are claimed to compute, written without any network.

A target is a frozen record, equal by value. Called on a NumPy array it computes in NumPy (in
extended precision where the array is), on a JAX array in JAX.
"""

from .base import AbstractTarget as AbstractTarget, Target as Target
from .classifiers import (
    BooleanClassifier as BooleanClassifier,
    GaussianClassifier as GaussianClassifier,
    HamiltonianClassifier as HamiltonianClassifier,
)
from .encoding import BitsToSigns as BitsToSigns, SignsToBits as SignsToBits
from .fourier import DFT as DFT
from .fractal import Fractal as Fractal
from .functions import (
    BooleanFunction as BooleanFunction,
    Largest as Largest,
    Parity as Parity,
    PiecewiseAffine as PiecewiseAffine,
    Polynomial as Polynomial,
    Product as Product,
)
from .joined import (
    Composed as Composed,
    FanOut as FanOut,
    Iterated as Iterated,
    Parallel as Parallel,
    Realified as Realified,
)

__all__ = [
    "DFT",
    "AbstractTarget",
    "BitsToSigns",
    "BooleanClassifier",
    "BooleanFunction",
    "Composed",
    "FanOut",
    "Fractal",
    "GaussianClassifier",
    "HamiltonianClassifier",
    "Iterated",
    "Largest",
    "Parallel",
    "Parity",
    "PiecewiseAffine",
    "Polynomial",
    "Product",
    "Realified",
    "SignsToBits",
    "Target",
]
