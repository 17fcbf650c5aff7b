"""Activations: leafless modules, so that no network carries numbers it can't train.

Builders take one as an object (which is exactly itself) or by name (which is the builder's own
default, so `"sigmoid"` has inverse temperature 10 in `parity`).
"""

import abc
import math
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Inexact

from ._checks import check_scalar, check_size

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
        """Rounding of one evaluation that claims allow for, in units in the last place.

        The tests compare this with the backend that they run on.
        """

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


class Power(AbstractActivation):
    """`z^n` for an integer `n` of at least 1, by multiplications only.

    Example:
        >>> import deepconstruct as dc, jax.numpy as jnp
        >>> float(dc.activations.Power(3)(jnp.array(-2.0)))
        -8.0
    """

    n: int = eqx.field(static=True)

    def __check_init__(self):
        check_size("Power", "n", self.n)

    def __call__(self, z, *, axis=-1):
        return jax.lax.integer_pow(z, self.n)

    def lipschitz(self):
        return 1.0 if self.n == 1 else math.inf

    def ulps(self):
        return self.n - 1

    def name(self):
        return f"power({self.n})"


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
        return 3

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


class Softplus(AbstractActivation):
    """`log(1 + exp(z))`."""

    def __call__(self, z, *, axis=-1):
        return jax.nn.softplus(z)

    def lipschitz(self):
        return 1.0

    def ulps(self):
        return 4

    def name(self):
        return "softplus"


class Exp(AbstractActivation):
    """`exp(z)`."""

    def __call__(self, z, *, axis=-1):
        return jnp.exp(z)

    def lipschitz(self):
        return math.inf

    def ulps(self):
        return 2

    def name(self):
        return "exp"


class GELU(AbstractActivation):
    """`z Phi(z)` with the normal distribution function `Phi`, or its usual approximation by tanh.

    Args:
        approximate: `True` (JAX's own default): `z (1 + tanh(sqrt(2 / pi) (z + 0.044715 z^3))) / 2`.

    `ulps` counts units in the last place of `z` here: where `Phi` is small, evaluation cancels.
    """

    approximate: bool = eqx.field(static=True, default=True)

    def __call__(self, z, *, axis=-1):
        return jax.nn.gelu(z, approximate=self.approximate)

    def lipschitz(self):
        return 1.13

    def ulps(self):
        return 4 if self.approximate else 3

    def name(self):
        return "gelu(tanh)" if self.approximate else "gelu(erf)"


class SiLU(AbstractActivation):
    """`z / (1 + exp(-z))`."""

    def __call__(self, z, *, axis=-1):
        return jax.nn.silu(z)

    def lipschitz(self):
        return 1.1

    def ulps(self):
        return 4

    def name(self):
        return "silu"


class Sin(AbstractActivation):
    """`sin(z)`."""

    def __call__(self, z, *, axis=-1):
        return jnp.sin(z)

    def lipschitz(self):
        return 1.0

    def ulps(self):
        return 2

    def name(self):
        return "sin"


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


class Custom(AbstractActivation):
    """An activation of your own: any function written in JAX, elementwise.

    Args:
        function: maps an array to an array of the same shape.
        label: a short name.
        derivative_bounds: pairs `(k, B)`: `|f^(k)| <= B` on the whole line. Builders that need a
            proved error look for the orders they can use; without any, their errors are estimates.

    Networks with it can't be saved to a file.

    Example:
        >>> import deepconstruct as dc, jax.numpy as jnp
        >>> float(dc.activations.Custom(jnp.arctan, "arctan")(jnp.array(0.0)))
        0.0
    """

    function: Callable[[Array], Array] = eqx.field(static=True)
    label: str = eqx.field(static=True, default="custom")
    derivative_bounds: tuple[tuple[int, float], ...] = eqx.field(
        static=True, default=(), converter=lambda pairs: tuple((int(k), float(bound)) for k, bound in pairs)
    )

    def __check_init__(self):
        if not callable(self.function):
            raise TypeError(f"Custom: function must be callable; got {self.function!r}")
        for order, bound in self.derivative_bounds:
            check_size("Custom", "the order of a derivative", order)
            check_scalar("Custom", f"the bound of derivative {order}", bound)

    def __call__(self, z, *, axis=-1):
        return self.function(z)

    def lipschitz(self):
        return dict(self.derivative_bounds).get(1, math.inf)

    def ulps(self):
        return 8

    def name(self):
        return self.label


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
