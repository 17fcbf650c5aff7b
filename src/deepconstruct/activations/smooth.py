"""Smooth activations, and the user's own."""

import math
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from .._checks import check_flag, check_scalar, check_size
from .base import AbstractActivation


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

    `ulps` counts units in the last place of the result for `|z| <= 1/2`, and of `z` elsewhere: where
    `Phi` is small, evaluation cancels.
    """

    approximate: bool = eqx.field(static=True, default=True)

    def __check_init__(self):
        check_flag("GELU", "approximate", self.approximate)

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


class Custom(AbstractActivation):
    """An activation of your own: any function written in JAX, elementwise.

    Args:
        function: maps an array to an array of the same shape.
        label: a short name.
        derivative_bounds: pairs `(k, B)`: `|f^(k)| <= B` on the whole line. Builders that need a
            proved error use the largest order of at least `n + 1` for a product of `n` numbers, and up
            to 14 (8 where JAX has no Taylor mode for the function); without any, errors are
            estimates.

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
