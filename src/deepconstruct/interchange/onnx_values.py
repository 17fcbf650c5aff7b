"""What is known of a value of a graph: the layers up to it, and what is done to the sums of the next one."""

import dataclasses
import math
from typing import Any

import numpy as np

from .._static import to_jax
from ..activations import AbstractActivation, Identity
from ..linear import AbstractLinear, Identity as Same, Sparse
from ..network import Layer
from .onnx_units import LONGEST, Expression, Z, activation_of, size, stages

# A few bytes of a graph can ask for layers of any width: units of all layers together, and of the input.
MOST_UNITS = 2**26


@dataclasses.dataclass(frozen=True, eq=False)
class Value:
    """Units of a layer that isn't finished: `units(linear(h) + bias)` of what `layers` give.

    Attributes:
        layers: those that are finished.
        linear: the map of the open one; `None` for the identity.
        bias: shape `(units,)`, or `None`.
        units: an expression of the sums.
        features: the shape without the axis of the batch.
        batched: whether there is such an axis.
        batch: its size, or `None` if it isn't static.
        node: the node that gave it, for messages.
        whole, start: of a part of a value the whole, and its first unit.
    """

    layers: tuple[Layer, ...]
    linear: AbstractLinear | None
    bias: np.ndarray | None
    units: Expression
    features: tuple[int, ...]
    batched: bool
    batch: int | None
    node: str
    whole: Any = None
    start: int = 0

    @property
    def size(self) -> int:
        """The number of features."""
        return math.prod(self.features)

    @property
    def is_flat(self) -> bool:
        """Whether all features lie on the last axis."""
        return self.size == self.features[-1]

    @property
    def is_open(self) -> bool:
        """Whether a bias may still be added: the sums are a map's, bare."""
        return self.units == Z and self.bias is None and self.whole is None

    def has_sums_of(self, other: "Value") -> bool:
        """Whether both are expressions of the same sums."""
        same = all(getattr(self, name) is getattr(other, name) for name in ("layers", "linear", "bias", "whole"))
        return same and (self.features, self.start) == (other.features, other.start)


def applied(value: Value, node: str, *expression: Any) -> Value:
    """The value with another expression of its sums."""
    if size(expression) > LONGEST:
        raise ValueError(f"{node}: so many elementwise operators in a row are no activation")
    return dataclasses.replace(value, units=tuple(expression), node=node)


def started(value: Value, node: str, linear: AbstractLinear | None, bias: np.ndarray | None) -> Value:
    """A new layer on top of a value."""
    features = value.features if linear is None else (*value.features[:-1], linear.out_size)
    return Value(finished(value), linear, bias, Z, features, value.batched, value.batch, node)


def diagonal(factors: np.ndarray) -> Sparse:
    """The map that multiplies every unit by a number of its own."""
    index = np.arange(len(factors))
    return Sparse(index, index, to_jax(factors), (len(factors), len(factors)))


def finished(value: Value) -> tuple[Layer, ...]:
    """All layers up to a value."""
    if value.whole is not None:
        raise ValueError(f"{value.node}: parts of a layer's units can only be activated and concatenated")
    found = stages(value.units)
    if found is None:
        raise ValueError(f"{value.node}: what it is made of is no activation of dc.activations")
    layers, linear, bias = list(value.layers), value.linear, value.bias
    for stage in found:
        activation = activation_of(stage)
        _append(layers, linear, bias, Identity() if activation is None else activation, value)
        linear, bias = (None, None) if activation is not None else _affine(stage, value.size)
    _append(layers, linear, bias, Identity(), value)
    return tuple(layers)


def _append(layers: list[Layer], linear: Any, bias: Any, activation: AbstractActivation, value: Value) -> None:
    """Add a layer, unless it changes nothing."""
    if linear is None and bias is None and isinstance(activation, Identity):
        return
    if value.size + sum(layer.out_size for layer in layers) > MOST_UNITS:
        raise ValueError(f"{value.node}: layers up to it would have more than {MOST_UNITS} units")
    linear = Same(value.size) if linear is None else linear
    layers.append(Layer(linear, None if bias is None else to_jax(bias), activation))


def _affine(stage: Expression, width: int) -> tuple[Any, Any]:
    """The map and the bias of a number that is added or multiplied."""
    operator, _, number = stage
    numbers = np.full(width, number, number.dtype)
    return (None, numbers) if operator == "add" else (diagonal(numbers), None)
