"""One layer: a linear map, a bias, an activation."""

import dataclasses
from typing import Any

import equinox as eqx
from jaxtyping import Array, Inexact

from .._bias import AbstractBias, bias_vector, check_bias
from .._checks import check_flag, check_shape, check_size
from ..activations import AbstractActivation, Identity, Softmax
from ..linear import AbstractLinear, Dense, as_matrix


@dataclasses.dataclass(frozen=True)
class Label:
    """What the units of a layer are: `group` units a gate, so that any unit is traced to its gate.

    With `strided=True` unit `k` of a layer of `width` units belongs to gate `k % (width // group)`,
    the fast layout of the trees; otherwise to gate `k // group`. Where a layer has gates of several
    sizes, `uneven` lists (units a gate, gates) of consecutive strided parts instead.
    """

    name: str
    group: int = 1
    strided: bool = False
    uneven: tuple[tuple[int, int], ...] = ()

    def __post_init__(self):
        if not isinstance(self.name, str):
            raise TypeError(f"Label: name must be a text; got {self.name!r}")
        check_size("Label", "group", self.group)
        check_flag("Label", "strided", self.strided)
        for part in self.uneven if isinstance(self.uneven, tuple) else (self.uneven,):
            check_shape("Label", "a part of uneven", part, 2)

    def gate(self, unit: int, width: int) -> int:
        """The index of the gate that unit `unit` of a layer of `width` units belongs to."""
        first_unit = first_gate = 0
        for units, gates in self.uneven:
            if unit < first_unit + units * gates:
                return first_gate + (unit - first_unit) % gates
            first_unit, first_gate = first_unit + units * gates, first_gate + gates
        return unit % (width // self.group) if self.strided else unit // self.group


class Layer(eqx.Module):
    """`activation(linear(x) + bias)`.

    Args:
        linear: the linear map.
        bias: shape `(out_size,)`, or `None` for a layer without one.
        activation: applied to every unit.
        label: what the units are.

    Example:
        >>> import deepconstruct as dc, jax.numpy as jnp
        >>> layer = dc.Layer(dc.linear.Dense(jnp.ones((1, 2))), activation=dc.activations.ReLU())
        >>> layer.out_size
        1
    """

    linear: AbstractLinear
    bias: Array | AbstractBias | None = None
    activation: AbstractActivation = Identity()
    label: Label | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        if not isinstance(self.linear, AbstractLinear):
            raise TypeError(f"Layer: linear must be a map of dc.linear; got {type(self.linear).__name__}")
        if not isinstance(self.activation, AbstractActivation):
            raise TypeError(f"Layer: activation must be one of dc.activations, such as ReLU(); got {self.activation!r}")
        if self.label is not None and not isinstance(self.label, Label):
            raise TypeError(f"Layer: label must be a dc.Label or None; got {self.label!r}")
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
