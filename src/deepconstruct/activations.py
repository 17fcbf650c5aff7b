"""Activations: leafless modules, so that no network carries numbers it can't train.

Builders take one as an object (which is exactly itself) or by name (which is the builder's own
default, so `"sigmoid"` has inverse temperature 10 in `parity`).
"""

import abc
import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Inexact

from ._checks import check_scalar, check_size

__all__ = [
    "AbstractActivation",
    "Concatenate",
    "Identity",
    "ReLU",
    "Sigmoid",
    "Square",
    "Step",
    "Tanh",
]


class AbstractActivation(eqx.Module):
    """A function of the pre-activations of one layer.

    `axis` is the axis of the units; only activations that mix or tell apart units look at it.
    """

    @abc.abstractmethod
    def __call__(self, z: Inexact[Array, "..."], *, axis: int = -1) -> Inexact[Array, "..."]:
        """Apply the activation; the shape stays."""

    @abc.abstractmethod
    def lipschitz(self) -> float:
        """The least upper bound of the slope over the whole line (infinite if there is none)."""

    @abc.abstractmethod
    def ulps(self) -> int:
        """Rounding of one evaluation that claims allow for, in units in the last place."""

    @abc.abstractmethod
    def name(self) -> str:
        """A short name for tables."""


class Identity(AbstractActivation):
    """`z`: a linear layer."""

    def __call__(self, z, *, axis=-1):
        return z

    def lipschitz(self):
        return 1.0

    def ulps(self):
        return 0

    def name(self):
        return "identity"


class ReLU(AbstractActivation):
    """`max(z, 0)`, with slope 0 at 0.

    Example:
        >>> import deepconstruct as dc, jax.numpy as jnp
        >>> dc.activations.ReLU()(jnp.array([-1.0, 2.0])).tolist()
        [0.0, 2.0]
    """

    def __call__(self, z, *, axis=-1):
        return jax.nn.relu(z)

    def lipschitz(self):
        return 1.0

    def ulps(self):
        return 0

    def name(self):
        return "relu"


class Step(AbstractActivation):
    """1 where `z > 0`, else 0 (so 0 at 0); NaN stays NaN. Its gradient is 0 everywhere."""

    def __call__(self, z, *, axis=-1):
        return jnp.where(jnp.isnan(z), z, (z > 0).astype(z.dtype))

    def lipschitz(self):
        return math.inf

    def ulps(self):
        return 0

    def name(self):
        return "step"


class Square(AbstractActivation):
    """`z * z`."""

    def __call__(self, z, *, axis=-1):
        return z * z

    def lipschitz(self):
        return math.inf

    def ulps(self):
        return 1

    def name(self):
        return "square"


class Sigmoid(AbstractActivation):
    """`1 / (1 + exp(-inverse_temperature * z))`.

    Example:
        >>> import deepconstruct as dc, jax.numpy as jnp
        >>> float(dc.activations.Sigmoid(10.0)(jnp.array(0.0)))
        0.5
    """

    inverse_temperature: float = eqx.field(static=True, default=1.0, converter=float)

    def __check_init__(self):
        check_scalar("Sigmoid", "inverse_temperature", self.inverse_temperature, strict=True)

    def __call__(self, z, *, axis=-1):
        return jax.nn.sigmoid(self.inverse_temperature * z)

    def lipschitz(self):
        return self.inverse_temperature / 4

    def ulps(self):
        return 8

    def name(self):
        return f"sigmoid({self.inverse_temperature:g})"


class Tanh(AbstractActivation):
    """`tanh(z)`."""

    def __call__(self, z, *, axis=-1):
        return jnp.tanh(z)

    def lipschitz(self):
        return 1.0

    def ulps(self):
        return 8

    def name(self):
        return "tanh"


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
        for width in self.widths:
            check_size("Concatenate", "width", width)

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


def resolve(
    owner: str, activation: str | AbstractActivation, named: dict[str, AbstractActivation]
) -> AbstractActivation:
    """Turn a builder's `activation` argument into an object that it supports."""
    if isinstance(activation, str) and activation in named:
        return named[activation]
    if any(type(activation) is type(known) for known in named.values()):
        return activation  # pyright: ignore[reportReturnType]
    expected = ", ".join(repr(name) for name in named)
    raise ValueError(f"{owner}: activation must be one of {expected}, or such an object; got {activation!r}")
