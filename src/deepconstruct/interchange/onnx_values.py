"""What is known of a value of a graph: the layers up to it, and what is done to the sums of the next one."""

import dataclasses
from typing import Any

import numpy as np

from .._static import to_jax
from ..activations import AbstractActivation, Identity
from ..linear import AbstractLinear, Dense, Identity as Same, Sparse
from ..network import Layer
from .onnx_units import LONGEST, Expression, Z, activation_of, size, stages


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
        return int(np.prod(self.features, dtype=np.int64))

    @property
    def is_flat(self) -> bool:
        """Whether all features lie on the last axis."""
        return self.size == self.features[-1]

    @property
    def is_open(self) -> bool:
        """Whether a bias may still be added: the sums are a map's, bare."""
        return self.units == Z and self.bias is None and self.whole is None


def applied(value: Value, node: str, *expression: Any) -> Value:
    """The value with another expression of its sums."""
    if size(expression) > LONGEST:
        raise ValueError(f"from_onnx: {node}: so many elementwise operators in a row are no activation")
    return dataclasses.replace(value, units=tuple(expression), node=node)


def started(value: Value, node: str, linear: AbstractLinear | None, bias: np.ndarray | None) -> Value:
    """A new layer on top of a value."""
    if value.whole is not None:
        raise ValueError(f"from_onnx: {node}: parts of a layer's units can only be activated and concatenated")
    features = value.features if linear is None else (*value.features[:-1], linear.out_size)
    return Value(finished(value), linear, bias, Z, features, value.batched, value.batch, node)


def scaled(value: Value, node: str, factors: np.ndarray) -> Value:
    """A value times constants, one a unit, as a layer of its own."""
    return started(value, node, diagonal(factors), None)


def diagonal(factors: np.ndarray) -> Sparse:
    """The map that multiplies every unit by a number of its own."""
    index = np.arange(len(factors))
    return Sparse(index, index, to_jax(factors), (len(factors), len(factors)))


def finished(value: Value) -> tuple[Layer, ...]:
    """All layers up to a value."""
    found = stages(value.units)
    if found is None:
        raise ValueError(f"from_onnx: {value.node}: what it is made of is no activation of dc.activations")
    layers, linear, bias = list(value.layers), value.linear, value.bias
    dtype = None if bias is None else bias.dtype
    for stage in found:
        activation = activation_of(stage)
        if activation is None:  # a number added or multiplied
            _append(layers, linear, bias, Identity(), value.size)
            linear, bias = _affine(stage, value, dtype)
        else:
            _append(layers, linear, bias, activation, value.size)
            linear, bias = None, None
    _append(layers, linear, bias, Identity(), value.size)
    return tuple(layers)


def _append(layers: list[Layer], linear: Any, bias: Any, activation: AbstractActivation, width: int) -> None:
    """Add a layer, unless it changes nothing."""
    if linear is not None or bias is not None or not isinstance(activation, Identity):
        linear = Same(width) if linear is None else linear
        layers.append(Layer(linear, None if bias is None else to_jax(bias), activation))


def _affine(stage: Expression, value: Value, dtype: Any) -> tuple[Any, Any]:
    operator, _, number = stage
    numbers = np.full(value.size, number, number.dtype if hasattr(number, "dtype") else dtype)
    return (None, numbers) if operator == "add" else (diagonal(numbers), None)


def matrix_map(matrix: np.ndarray) -> Dense:
    """A dense map."""
    return Dense(to_jax(np.ascontiguousarray(matrix)))
