"""Any polynomial in several variables."""

from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from ..._checks import check_dtype
from ...activations import AbstractActivation
from ...construction import Claim, Construction, builder
from ...construction.entry import Entry, formula, sizes
from ...domains import AbstractDomain, Box, product
from ..gates.arguments import resolve_smooth
from ..gates.wiring import construct
from .scheduling import schedule
from .terms import as_target, read_bounds, read_terms

_SOURCE = "Lin, Tegmark & Rolnick (2017), section II.C"


@builder
def polynomial(
    terms: Mapping | Any,
    *,
    variables: Any = None,
    activation: str | AbstractActivation | Callable = "square",
    bound: Any = 1.0,
    tolerance: float | None = None,
    dtype: Any = None,
) -> Construction:
    """A polynomial in several variables, from gates for two numbers.

    Monomials are split into halves and shared; those needed higher up are copied, and complete terms
    join one running sum, so that the depth is the logarithm of the degree.

    Args:
        terms: a mapping from tuples of exponents, one a variable, to coefficients, such as
            `{(2, 0): 1.0, (1, 1): -3.0}` for `x^2 - 3 x y`; or a sympy expression.
        variables: the number of variables, or sympy's symbols in the order of the inputs (by
            default those of the expression, by name).
        activation: as for `multiplication_gate`; `"square"` is exact over the reals.
        bound: inputs lie in `[-bound, bound]`; a number, or one a variable.
        tolerance: the largest error that will do; refused if it can't be claimed.
        dtype: a real floating dtype; JAX's default if `None`.

    Returns:
        A construction `(*batch, variables) -> (*batch, 1)`.

    Raises:
        ValueError: terms of different lengths, negative exponents, coefficients or bounds that
            aren't finite, an expression that isn't a polynomial, or a tolerance below the claimed
            error.
        TypeError: terms or coefficients of another kind.

    *Exactness*: with `"square"` every weight is a coefficient times a power of two: over the reals
    the network is the polynomial itself, and the claimed error is rounding. With a smooth activation
    errors are those of its gates, times the coefficients.

    *Cost*: depth `ceil(log2 degree)`. For each product 4 neurons (2 with `"square"`), for a square 2
    and a constant unit shared by all in a layer (1), for each copy and running sum 2.

    *Source*: Lin, Tegmark & Rolnick (2017), section II.C, corollary: "slightly larger than 4 neurons a
    multiplication"; here the copies and running sums are counted too.

    Example:
        >>> import deepconstruct as dc
        >>> poly = dc.polynomial({(2, 0): 1.0, (1, 1): -3.0, (0, 0): 0.5})
        >>> poly([0.5, 1.0]).tolist()
        [-0.75]
    """
    owner = "polynomial"
    read, count = read_terms(owner, terms, variables)
    bounds = read_bounds(owner, bound, count)
    act = resolve_smooth(owner, activation)
    resolved = check_dtype(owner, dtype)
    with np.errstate(over="ignore"):
        size = sum(abs(c) * float(np.prod(np.power(bounds, key))) for key, c in read.items())
    size *= 1.0 if len(read) <= 1 else 1 + 2.0**-20  # a sum may exceed its bound by rounding
    codomain = output_box(owner, size, resolved)
    claim = Claim(as_target(count, [read]), box(bounds), codomain, dtype=resolved.name, source=_SOURCE)
    return construct(owner, schedule([read], bounds), act, claim, tolerance=tolerance)


def box(bounds: tuple[float, ...]) -> AbstractDomain:
    """The box of the inputs."""
    return product([Box(1, -bound, bound) for bound in bounds])


def output_box(owner: str, size: float, dtype: np.dtype) -> Box:
    """Where values of up to `size` lie; refused beyond the range of the dtype."""
    if not size < float(jnp.finfo(dtype).max) / 2**8:
        raise ValueError(
            f"{owner}: values of up to {size:.3g} are beyond the range of {dtype.name}; scale the inputs down"
        )
    return Box(1, -size, size)


def _two_variables(n: int) -> dict[str, Any]:
    return {"terms": {(0, 0): 0.5, (1, n - 1): -2.0} | {(n, 0): 1.0}}


def _is_power(n: int) -> bool:
    return n > 1 and n & (n - 1) == 0


# Every level squares x^(2^k) and y^(2^k), but for the last y, and multiplies x y^(2^k - 1) by y^(2^k): one unit and one
# weight a square, two units and three weights each for the product of a product with a square.
_SQUARES = formula("8 log2 n for n = 2^k > 1", lambda n: 8 * (n.bit_length() - 1), where="n = 2^k > 1", holds=_is_power)
# Two units a square, which the next level reads together with a constant one, and four a product.
_SMOOTH = formula(
    "40 log2 n - 27 for n = 2^k > 2", lambda n: 40 * (n.bit_length() - 1) - 27,
    where="n = 2^k > 2", holds=lambda n: n > 2 and _is_power(n),
)  # fmt: skip

ENTRIES = (
    Entry(
        "polynomial", "x^n - 2 x y^(n-1) + 1/2, exact squares", polynomial,
        {"n": 8}, sizes("n", 1, 2, 3, 7), _SQUARES, made=_two_variables,
    ),
    Entry(
        "polynomial_smooth", "x^n - 2 x y^(n-1) + 1/2, softplus units", polynomial,
        {"n": 8}, sizes("n", 2, 3, 4, 5), _SMOOTH, fixed={"activation": "softplus"}, made=_two_variables,
    ),
)  # fmt: skip
