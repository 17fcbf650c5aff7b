"""All patterns of signs of the inputs, and their product: the maps of a flat product.

Row `j` of the patterns has the sign `-1` at input `i` where bit `i` of `j` is set. Neither the
`2^n x n` matrix nor the row of `2^n` signs is ever stored.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Inexact

from .._checks import check_flag, check_leaf, check_size, known
from .._static import to_jax
from .operator import AbstractLinear, as_weights

# No machine holds more than 2^62 numbers.
_MOST_SIGNS = 62


class SignPatterns(AbstractLinear):
    """`(±scales_1 x_1 ± ... ± scales_n x_n)` for all `2^n` choices of signs, by repeated doubling.

    Args:
        scales: shape `(n,)`, the only leaf.
        fixed: whether the first input keeps its sign, which leaves `2^(n-1)` patterns.

    Cost: `2^(out size + 1)` additions instead of `n 2^n` products.

    Example:
        >>> import deepconstruct as dc, jax.numpy as jnp
        >>> dc.linear.SignPatterns(jnp.ones(2))(jnp.array([1.0, 10.0])).tolist()
        [11.0, 9.0, -9.0, -11.0]
    """

    scales: Inexact[Array, " n"]
    n: int = eqx.field(static=True)
    fixed: bool = eqx.field(static=True)

    def __init__(self, scales: Inexact[Array, " n"], *, fixed: bool = False):
        scales = as_weights("SignPatterns", "scales", scales)
        if scales.ndim != 1 or not len(scales):
            raise ValueError(f"SignPatterns: scales must have shape (n,) with n at least 1; got {scales.shape}")
        self.scales = scales
        self.n = len(scales)
        self.fixed = fixed

    def __check_init__(self):
        check_size("SignPatterns", "n", self.n)
        check_flag("SignPatterns", "fixed", self.fixed)
        check_leaf("SignPatterns", "scales", self.scales, (self.n,))

    @property
    def in_size(self) -> int:
        return self.n

    @property
    def out_size(self) -> int:
        return 2 ** (self.n - self.fixed)

    @property
    def leaf_shapes(self):
        return ((self.n,),)

    def apply(self, x):
        x = self.scales[None, :, None] * x
        return sums_of_signs(x[:, self.fixed :], x[:, :1] if self.fixed else None)

    def entries(self):
        signs = sign_table(self.n, fixed=self.fixed)
        rows, cols = np.indices(signs.shape)
        values = signs.astype(self.scales.dtype) * known(self.scales)[None, :]
        return rows.ravel(), cols.ravel(), values.reshape(signs.size)


class SignProduct(AbstractLinear):
    """`weight * sum_j s_j h_j` with `s_j` the product of the `n` signs of pattern `j`, by halving.

    Neighboring units are subtracted first, so that where they nearly agree little is rounded.

    Args:
        weight: a scalar, the only leaf.
        n: the number of signs.

    Example:
        >>> import deepconstruct as dc, jax.numpy as jnp
        >>> dc.linear.SignProduct(jnp.array(1.0), 2)(jnp.array([11.0, 9.0, -9.0, -11.0])).tolist()
        [0.0]
    """

    weight: Inexact[Array, ""]
    n: int = eqx.field(static=True)

    def __init__(self, weight: Inexact[Array, ""], n: int):
        weight = as_weights("SignProduct", "weight", weight)
        if weight.ndim:
            raise ValueError(f"SignProduct: weight must be a scalar; got shape {weight.shape}")
        self.weight = weight
        self.n = check_size("SignProduct", "n", n, minimum=0)

    def __check_init__(self):
        check_leaf("SignProduct", "weight", self.weight, ())
        if check_size("SignProduct", "n", self.n, minimum=0) > _MOST_SIGNS:
            raise ValueError(f"SignProduct: n must be at most {_MOST_SIGNS}, or nothing holds the inputs; got {self.n}")

    @property
    def in_size(self) -> int:
        return 2**self.n

    @property
    def out_size(self) -> int:
        return 1

    @property
    def leaf_shapes(self):
        return ((),)

    @property
    def summation(self):
        return "pairwise"

    def apply(self, x):
        return self.weight * signed_sum(x)

    def entries(self):
        signs = sign_table(self.n).prod(axis=1)
        index = np.arange(self.in_size)
        return np.zeros_like(index), index, signs.astype(self.weight.dtype) * known(self.weight)


def sums_of_signs(x: Array, start: Array | None = None) -> Array:
    """All sums `start ± x_1 ± ... ± x_n` along the middle axis."""
    sums = jnp.zeros((x.shape[0], 1, x.shape[2]), x.dtype) if start is None else start
    for i in range(x.shape[1]):
        term = x[:, i : i + 1]
        sums = jnp.concatenate([sums + term, sums - term], axis=1)
    return sums


def signed_sum(units: Array) -> Array:
    """The sum over all patterns along the middle axis, each with the product of its signs, by halving."""
    while units.shape[1] > 1:
        half = units.shape[1] // 2
        units = units[:, :half] - units[:, half:]
    return units


def sign_table(n: int, *, fixed: bool = False) -> np.ndarray:
    """The signs, shape `(patterns, n)`, as small integers."""
    free = n - fixed
    signs = 1 - 2 * bit_table(free)
    return np.concatenate([np.ones((2**free, int(fixed)), signs.dtype), signs], axis=1)


def bit_table(n: int) -> np.ndarray:
    """All inputs of `n` bits, shape `(2^n, n)`; row `i` has the binary digits of `i`, lowest first."""
    return ((np.arange(2**n)[:, None] >> np.arange(n)) & 1).astype(np.int8)


# The units of this many signs at least, and as many as fit into a cache, are held at once.
LEAST_HELD, _MOST_HELD, _CELLS = 8, 12, 2**14


def _signs_held(batch: int) -> int:
    fitting = max(_CELLS // max(batch, 1), 1).bit_length() - 1
    return min(max(fitting, LEAST_HELD), _MOST_HELD)


def run_product_gate(patterns: SignPatterns, product: SignProduct, hidden: Callable[[Array], Array], x: Array) -> Array:
    """`product(hidden(patterns(x)))` without holding all units: those of the first inputs at a time."""
    held = patterns.fixed + _signs_held(x.shape[0] * x.shape[2])
    x = patterns.scales[None, :, None] * x
    first = sums_of_signs(x[:, patterns.fixed : held], x[:, :1] if patterns.fixed else None)
    second = jnp.moveaxis(sums_of_signs(x[:, held:]), 1, 0)
    signs = to_jax(sign_table(patterns.n - held).prod(axis=1), x.dtype)

    def step(total: Array, row: tuple[Array, Array]) -> tuple[Array, None]:
        shift, sign = row
        units = hidden(first + shift[:, None])
        return total + sign * signed_sum(units), None

    # Units are made again in the backward pass: they are what doesn't fit into memory.
    start = jnp.zeros((x.shape[0], 1, x.shape[2]), x.dtype)
    return product.weight * jax.lax.scan(jax.checkpoint(step), start, (second, signs))[0]
