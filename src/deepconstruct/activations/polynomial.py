"""Activations that are polynomials, piecewise or altogether."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp

from .._checks import check_size
from .base import AbstractActivation


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
