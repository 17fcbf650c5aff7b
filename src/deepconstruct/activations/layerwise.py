"""Activations of a whole layer: mixed ones, and those that mix its units."""

import equinox as eqx
import jax
import jax.numpy as jnp

from .._checks import check_all, check_shape
from .base import AbstractActivation


class Softmax(AbstractActivation):
    """`exp(z_i) / sum_j exp(z_j)` over the units of the layer: a readout of probabilities.

    Example:
        >>> import deepconstruct as dc, jax.numpy as jnp
        >>> dc.activations.Softmax()(jnp.zeros(4)).tolist()
        [0.25, 0.25, 0.25, 0.25]
    """

    def __call__(self, z, *, axis=-1):
        return jax.nn.softmax(z, axis=axis)

    def lipschitz(self):
        return 0.5  # in the max norm: a row of diag(p) - p p^T has the moduli 2 p_i (1 - p_i) in all

    def ulps(self):
        return 8

    def name(self):
        return "softmax"


class Concatenate(AbstractActivation):
    """Different activations on consecutive groups of units.

    Args:
        activations: one activation a group.
        widths: the number of units of each group.

    Example:
        >>> import deepconstruct as dc, jax.numpy as jnp
        >>> mixed = dc.activations.Concatenate((dc.activations.ReLU(), dc.activations.Identity()), (1, 2))
        >>> mixed(jnp.array([-1.0, -2.0, 3.0])).tolist()
        [0.0, -2.0, 3.0]
    """

    activations: tuple[AbstractActivation, ...]
    widths: tuple[int, ...] = eqx.field(static=True)

    def __check_init__(self):
        if len(self.activations) != len(self.widths) or not self.widths:
            raise ValueError(
                "Concatenate: activations and widths must be non-empty and equally many; "
                f"got {len(self.activations)} and {len(self.widths)}"
            )
        check_all("Concatenate", "activations", self.activations, AbstractActivation)
        check_shape("Concatenate", "width", self.widths, len(self.activations))

    def __call__(self, z, *, axis=-1):
        if z.shape[axis] != sum(self.widths):
            raise ValueError(f"Concatenate: expected {sum(self.widths)} units; got {z.shape[axis]}")
        parts, start = [], 0
        for activation, width in zip(self.activations, self.widths, strict=True):
            part = jax.lax.slice_in_dim(z, start, start + width, axis=axis)
            parts.append(activation(part, axis=axis))
            start += width
        return jnp.concatenate(parts, axis=axis)

    def lipschitz(self):
        return max(activation.lipschitz() for activation in self.activations)

    def ulps(self):
        return max(activation.ulps() for activation in self.activations)

    def name(self):
        return " + ".join(dict.fromkeys(activation.name() for activation in self.activations))


def is_elementwise(activation: AbstractActivation) -> bool:
    """Whether every unit is treated alike, whatever the others hold."""
    return not isinstance(activation, Concatenate | Softmax)


def groups(activation: AbstractActivation, width: int) -> list[tuple[AbstractActivation, int]]:
    """The plain activations of a layer with the number of units of each, in order."""
    if not isinstance(activation, Concatenate):
        return [(activation, width)]
    pairs = zip(activation.activations, activation.widths, strict=True)
    return [group for part, size in pairs for group in groups(part, size)]


def join(pairs: list[tuple[AbstractActivation, int]]) -> AbstractActivation:
    """One activation for consecutive groups of units; equal neighbours are merged."""
    merged: list[tuple[AbstractActivation, int]] = []
    for activation, width in (group for pair in pairs for group in groups(*pair)):
        if merged and merged[-1][0] == activation:
            merged[-1] = (activation, merged[-1][1] + width)
        else:
            merged.append((activation, width))
    if len(merged) == 1:
        return merged[0][0]
    return Concatenate(tuple(a for a, _ in merged), tuple(w for _, w in merged))
