"""The terms of polynomials, as they are given and as they are built."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..._checks import check_allocation, check_size, digits
from ...targets import Polynomial

Exponents = tuple[int, ...]

# What is written down about a product takes more than so many numbers.
_RECORD = 64


def read_terms(owner: str, terms: Any, variables: Any) -> tuple[dict[Exponents, float], int]:
    """Terms as a mapping from exponents to coefficients, and the number of variables.

    Args:
        owner: the builder.
        terms: a mapping from tuples of exponents (or one exponent) to numbers, or a sympy expression.
        variables: their number, or sympy's symbols in order; may be left out where `terms` tell.
    """
    if hasattr(terms, "as_poly"):
        terms, variables = _from_sympy(owner, terms, variables)
    elif variables is not None:
        variables = check_size(owner, "variables", variables)
    if not isinstance(terms, Mapping):
        raise TypeError(
            f"{owner}: terms must map tuples of exponents to coefficients, such as {{(2, 0): 1.0, (1, 1): -3.0}}, "
            f"or be a sympy expression; got {type(terms).__name__}"
        )
    rows: dict[Exponents, float] = {}
    for key, value in terms.items():
        exponents = _exponents(owner, key)
        rows[exponents] = rows.get(exponents, 0.0) + _coefficient(owner, value)
    counts = {len(key) for key in rows} | ({variables} if variables is not None else set())
    if len(counts) != 1:
        raise ValueError(
            f"{owner}: every term needs one exponent a variable; got terms of {sorted(len(key) for key in rows)} "
            f"exponents and variables={variables}"
        )
    degree = max(map(sum, rows), default=0)
    check_allocation(owner, f"the products of a term of degree {digits(degree)}", _RECORD * degree)
    return {key: value for key, value in rows.items() if value}, counts.pop()


def _from_sympy(owner: str, expression: Any, variables: Any) -> tuple[dict, int]:
    if variables is None:
        symbols = tuple(sorted(expression.free_symbols, key=str))
    else:
        symbols = (variables,) if hasattr(variables, "is_Symbol") else variables
    if not isinstance(symbols, list | tuple) or not all(getattr(s, "is_Symbol", False) for s in symbols):
        raise TypeError(f"{owner}: variables of a sympy expression must be its symbols; got {variables!r}")
    if not symbols:
        raise ValueError(f"{owner}: a constant expression needs variables=(its symbols)")
    poly = expression.as_poly(*symbols)
    if poly is None:
        raise ValueError(f"{owner}: {expression} is not a polynomial in {', '.join(map(str, symbols))}")
    return dict(poly.terms()), len(symbols)


def _exponents(owner: str, key: Any) -> Exponents:
    parts = key if isinstance(key, tuple) else (key,)
    if not parts or not all(isinstance(e, int | np.integer) and not isinstance(e, bool) and e >= 0 for e in parts):
        raise ValueError(f"{owner}: exponents must be a tuple of integers of at least 0; got {key!r}")
    return tuple(int(e) for e in parts)


def _coefficient(owner: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{owner}: coefficients must be real numbers; got {value!r}") from None
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{owner}: coefficients must be finite; got {value!r}")
    return number


def read_bounds(owner: str, bound: Any, variables: int) -> tuple[float, ...]:
    """One bound a variable."""
    try:
        values = (bound,) * variables if np.ndim(bound) == 0 else tuple(bound)
        bounds = tuple(float(value) for value in values)
    except (TypeError, ValueError):
        raise TypeError(f"{owner}: bound must be a number, or one a variable; got {bound!r}") from None
    if len(bounds) != variables or not all(0 < value < math.inf for value in bounds):
        raise ValueError(
            f"{owner}: bound must be positive and finite, one number or one for each of {variables} variables; "
            f"got {bound!r}"
        )
    return bounds


def read_array(owner: str, argument: str, value: Any) -> np.ndarray:
    """An array of finite real numbers."""
    try:
        array = np.asarray(value)
        numbers = np.real(array).astype(np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"{owner}: {argument} must be an array of real numbers; got {value!r}") from None
    if np.iscomplexobj(array):
        raise TypeError(f"{owner}: {argument} must be real; got complex numbers")
    if not np.all(np.isfinite(numbers)):
        raise ValueError(f"{owner}: {argument} must be finite; got NaN or infinity")
    return numbers


def as_target(variables: int, outputs: Sequence[Mapping[Exponents, float]]) -> Polynomial:
    """The target, with terms in a fixed order."""
    return Polynomial(variables, tuple(tuple(sorted(terms.items(), reverse=True)) for terms in outputs))
