"""One layer: a linear map, a bias, an activation."""

import dataclasses
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Inexact

from .._bias import AbstractBias, bias_vector
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
        shape = None
        if isinstance(self.bias, AbstractBias):
            shape = (self.bias.size,)
        elif self.bias is not None:
            shape = jnp.shape(self.bias)
        if shape is not None and shape != (self.out_size,):
            raise ValueError(f"Layer: bias must have shape ({self.out_size},); got {shape}")

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
