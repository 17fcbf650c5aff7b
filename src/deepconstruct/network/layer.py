"""One layer: a linear map, a bias, an activation."""

import dataclasses
import itertools
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Inexact

from .._bias import AbstractBias, bias_shapes, bias_vector, check_bias
from .._checks import as_numbers, cast, check_flag, check_shape, check_size
from ..activations import AbstractActivation, Identity, Softmax, as_activation
from ..linear import AbstractLinear, Dense, as_linear, as_matrix
from ..linear.operator import floating
from .inputs import compiled, dtype_of, is_template, prepared

# Fields of records that files and digests leave out where they have their default, as they came later.
LEFT_OUT = {"left out": True}


@dataclasses.dataclass(frozen=True)
class Label:
    """What the units of a layer are: `group` units a gate, so that any unit is traced to its gate.

    With `strided=True` unit `k` of a layer of `width` units belongs to gate `k % (width // group)`,
    the fast layout of the trees; otherwise to gate `k // group`. Where a layer has gates of several
    sizes, `uneven` lists (units a gate, gates) of consecutive strided parts instead. `listed` says the
    gate of every unit one by one, -1 for a unit that belongs to none.
    """

    name: str
    group: int = 1
    strided: bool = False
    uneven: tuple[tuple[int, int], ...] = ()
    listed: tuple[int, ...] = dataclasses.field(default=(), metadata=LEFT_OUT)

    def __post_init__(self):
        if not isinstance(self.name, str):
            raise TypeError(f"Label: name must be a text; got {self.name!r}")
        check_size("Label", "group", self.group)
        check_flag("Label", "strided", self.strided)
        for part in self.uneven if isinstance(self.uneven, tuple) else (self.uneven,):
            check_shape("Label", "a part of uneven", part, 2)
        listed = self.listed if isinstance(self.listed, tuple) else (self.listed,)
        for gate in listed:
            check_size("Label", "a listed gate", gate, minimum=-1)

    def gate(self, unit: int, width: int) -> int:
        """The index of the gate that unit `unit` of a layer of `width` units belongs to."""
        if self.listed:
            return self.listed[unit]
        first_unit = first_gate = 0
        for units, gates in self.uneven:
            if unit < first_unit + units * gates:
                return first_gate + (unit - first_unit) % gates
            first_unit, first_gate = first_unit + units * gates, first_gate + gates
        return unit % (width // self.group) if self.strided else unit // self.group

    def gates(self, width: int) -> np.ndarray:
        """The gates of all units of a layer of `width` units."""
        if self.listed:
            return np.array(self.listed)
        if self.uneven:
            starts = itertools.accumulate([0, *(gates for _, gates in self.uneven[:-1])])
            parts = zip(starts, self.uneven, strict=True)
            return np.concatenate([start + np.tile(np.arange(gates), units) for start, (units, gates) in parts])
        units = np.arange(width)
        return units % (width // self.group) if self.strided else units // self.group


_IDENTITY = Identity()


class Layer(eqx.Module):
    """`activation(linear(x) + bias)`; call it on `(*batch, in_size)`.

    Args:
        linear: a linear map, or a matrix of shape `(out_size, in_size)` from JAX, NumPy or nested lists.
        bias: shape `(out_size,)`, or `None` for a layer without one. Lists and NumPy arrays take the
            dtype of the map's weights.
        activation: applied to every unit: an object or a name, such as `"relu"`.
        label: what the units are.

    Raises:
        ValueError: a matrix or a bias of another shape.
        TypeError: weights that aren't numbers, or an activation that isn't known.

    Example:
        >>> import deepconstruct as dc
        >>> layer = dc.Layer([[1, 2]], [-1], "relu")
        >>> layer([[1, 1], [0, 0]]).tolist()
        [[2.0], [0.0]]
    """

    linear: AbstractLinear
    bias: Array | AbstractBias | None
    activation: AbstractActivation
    label: Label | None = eqx.field(static=True)

    def __init__(self, linear: Any, bias: Any = None, activation: Any = _IDENTITY, label: Label | None = None):
        self.linear = as_linear("Layer", linear)
        self.bias = _as_bias(bias, self.linear)
        self.activation = as_activation("Layer", activation)
        self.label = label

    def __check_init__(self):
        if not isinstance(self.linear, AbstractLinear):
            raise TypeError(f"Layer: linear must be a map of dc.linear; got {type(self.linear).__name__}")
        if not isinstance(self.activation, AbstractActivation):
            raise TypeError(f"Layer: activation must be one of dc.activations, such as ReLU(); got {self.activation!r}")
        if self.label is not None and not isinstance(self.label, Label):
            raise TypeError(f"Layer: label must be a dc.Label or None; got {self.label!r}")
        if self.label is not None and self.label.listed and len(self.label.listed) != self.out_size:
            raise ValueError(f"Layer: the label lists {len(self.label.listed)} gates for {self.out_size} units")
        check_bias("Layer", self.bias, self.out_size)

    @property
    def in_size(self) -> int:
        return self.linear.in_size

    @property
    def out_size(self) -> int:
        return self.linear.out_size

    @property
    def is_linear(self) -> bool:
        """Whether the activation is the identity."""
        return isinstance(self.activation, Identity)

    @property
    def is_readout(self) -> bool:
        """Whether it counts as a readout where it is the last layer."""
        return isinstance(self.activation, Identity | Softmax)

    @property
    def leaf_shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shapes of the leaves of one layer, in order."""
        return (*self.linear.leaf_shapes, *bias_shapes(self.bias, self.out_size))

    def __call__(self, x: Any) -> Inexact[Array, "*batch out"]:
        """Run the layer on the last axis; the rules for `x` are those of a network.

        Raises:
            ValueError: a wrong number of features.
            TypeError: complex input to a real layer, or what isn't numbers.
        """
        if is_template(self, x):
            return self  # pyright: ignore[reportReturnType]
        return run_on_last_axis("Layer", self, x)

    def finish(self, z: Inexact[Array, "before out after"]) -> Inexact[Array, "before out after"]:
        """Add the bias and apply the activation along the middle axis."""
        bias = bias_vector(self.bias)
        if bias is not None:
            z = z + bias[None, :, None]
        return self.activation(z, axis=1)

    def dense(self, dtype: Any) -> "Layer":
        """The same with a dense matrix and a bias vector."""
        linear = Dense(as_matrix(self.linear).astype(dtype))
        return Layer(linear, bias_vector(self.bias), self.activation, self.label)

    def apply(self, x: Inexact[Array, "before size after"]) -> Inexact[Array, "before out after"]:
        """Run the layer along the middle axis."""
        return self.finish(self.linear.apply(x))


def run_on_last_axis(owner: str, part: Any, x: Any) -> Array:
    """Run a layer or a block on the last axis of `x`."""
    x, _ = prepared(owner, part.in_size, dtype_of(part), x, -1)
    return _run(part, x)


@compiled
def _run(part: Any, x: Array) -> Array:
    y = part.apply(x.reshape(math.prod(x.shape[:-1]), part.in_size, 1))
    return y.reshape(*x.shape[:-1], part.out_size)


def _as_bias(bias: Any, linear: AbstractLinear) -> Any:
    """A bias as it is stored; lists and NumPy arrays take the dtype of the weights that they are added to."""
    if bias is None or isinstance(bias, AbstractBias):
        return bias
    numbers = as_numbers("Layer", "bias", bias)
    if isinstance(numbers, jax.Array) and jnp.issubdtype(numbers.dtype, jnp.inexact):
        return numbers
    weights, own = dtype_of(linear), floating(numbers)
    drops = jnp.issubdtype(own, jnp.complexfloating) and not jnp.issubdtype(weights, jnp.complexfloating)
    return cast(numbers, own if drops or not jax.tree.leaves(linear) else weights)
