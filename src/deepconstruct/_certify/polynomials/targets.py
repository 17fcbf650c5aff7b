"""Targets as polynomials in rationals: their outputs, or the logits of classifiers.

The probabilities of a classifier are the softmax of `log p_y - H_y(x)`. Of a normal class, `H_y` is
`(x - m)^T C^-1 (x - m) / 2 + log(det C) / 2`: its coefficients are rational, found by elimination, and so is
the determinant. Logarithms are rounded to 50 digits; Python's are rounded correctly.
"""

import decimal
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import numpy as np

from ...targets import (
    AbstractTarget,
    BitsToSigns,
    Composed,
    FanOut,
    GaussianClassifier,
    HamiltonianClassifier,
    Iterated,
    Parallel,
    Parity,
    Polynomial,
    Product,
    SignsToBits,
)
from .monomials import LARGEST_DEGREE, Budget, Key, Poly, Unknown, add, compose, variable

_DIGITS = 50
# Elimination in rationals takes some seconds.
_LARGEST = 40

Matrix = list[list[Fraction]]


def target_polynomials(target: AbstractTarget, inputs: int, budget: Budget) -> list[Poly]:
    """The outputs of a target of this library as polynomials of its inputs.

    Raises:
        Unknown: it isn't one, or takes another number of inputs.
    """
    if type(target) is Composed:
        middle = target_polynomials(target.inner, inputs, budget)
        return [compose(poly, middle, budget) for poly in target_polynomials(target.outer, len(middle), budget)]
    if type(target) is Iterated:
        found = [variable(i) for i in range(inputs)]
        for _ in range(target.times):
            found = [compose(p, found, budget) for p in target_polynomials(target.target, len(found), budget)]
        return found
    if type(target) is FanOut:
        return [poly for part in target.targets for poly in target_polynomials(part, inputs, budget)]
    if type(target) is Parallel and sum(target.sizes) == inputs:
        return _side_by_side(target, budget)
    return _plain(target, inputs)


def _side_by_side(target: Parallel, budget: Budget) -> list[Poly]:
    found, start = [], 0
    for part, count in zip(target.targets, target.sizes, strict=True):
        for poly in target_polynomials(part, count, budget):
            found.append({tuple((i + start, e) for i, e in key): value for key, value in poly.items()})
        start += count
    return found


def _plain(target: AbstractTarget, inputs: int) -> list[Poly]:
    is_product = type(target) is Product or (type(target) is Parity and target.encoding == "signs")
    if is_product and target.n == inputs:  # pyright: ignore[reportAttributeAccessIssue]
        return [{tuple((i, 1) for i in range(inputs)): Fraction(1)}]
    if type(target) is Polynomial and target.variables == inputs:
        return [_from_terms(terms) for terms in target.outputs]
    if type(target) is BitsToSigns and target.n == inputs:
        return [{(): Fraction(1), ((i, 1),): Fraction(-2)} for i in range(inputs)]
    if type(target) is SignsToBits and target.n == inputs:
        return [{(): Fraction(1, 2), ((i, 1),): Fraction(-1, 2)} for i in range(inputs)]
    raise Unknown(f"{target.name} of {inputs} numbers isn't known as polynomials")


def _from_terms(terms: Iterable[tuple[tuple[int, ...], float]]) -> Poly:
    total: dict[Key, Fraction] = {}
    for exponents, coefficient in terms:
        if sum(exponents) > LARGEST_DEGREE:
            raise Unknown(f"a term of the target has a degree beyond {LARGEST_DEGREE}")
        key = tuple((i, int(exponent)) for i, exponent in enumerate(exponents) if exponent)
        add(total, {key: Fraction(1)}, exact(coefficient))
    return total


# Classifiers ------


def logits_of(target: AbstractTarget, inputs: int, budget: Budget) -> tuple[list[Poly], Fraction] | None:
    """The logits of a classifier, and by how much their constants may be off; `None` for any other target.

    Raises:
        Unknown: another number of inputs, or a covariance that isn't symmetric and positive definite.
    """
    if type(target) is HamiltonianClassifier:
        found = target_polynomials(target.hamiltonians, inputs, budget)
        made = [({key: -value for key, value in poly.items()}, Fraction(0)) for poly in found]
    elif type(target) is GaussianClassifier:
        means, covariances = target.means.array, target.covariances.array
        if means.shape[1] != inputs:
            raise Unknown(f"{target.name} takes {means.shape[1]} numbers; got {inputs}")
        made = [_normal(mean, covariance, budget) for mean, covariance in zip(means, covariances, strict=True)]
    else:
        return None
    shifted, off = [], Fraction(0)
    for (poly, room), share in zip(made, target.prior, strict=True):
        value, error = logarithm(_positive(share))
        total = dict(poly)
        add(total, {(): Fraction(1)}, value)
        shifted.append(total)
        off = max(off, room + error)
    return shifted, off


def exact(number: Any) -> Fraction:
    """A number of any type as it is.

    Raises:
        Unknown: it isn't finite, or of a type that doesn't tell.
    """
    try:
        return Fraction(*number.as_integer_ratio())
    except (AttributeError, OverflowError, TypeError, ValueError):
        raise Unknown(f"{number!r} isn't known as a finite number") from None


def _positive(share: Any) -> Fraction:
    found = exact(share)
    if found <= 0:
        raise Unknown("a prior isn't a positive number")
    return found


def logarithm(value: Fraction) -> tuple[Fraction, Fraction]:
    """The logarithm of a positive rational number, and a bound of its error.

    Those of numerator and denominator are rounded correctly, to so many digits: each is off by less than
    10^(1 - digits) of its modulus.
    """
    with decimal.localcontext(decimal.Context(prec=_DIGITS, Emax=decimal.MAX_EMAX, Emin=decimal.MIN_EMIN)):
        parts = [Fraction(decimal.Decimal(part).ln()) for part in (value.numerator, value.denominator)]
    return parts[0] - parts[1], (abs(parts[0]) + abs(parts[1])) / 10 ** (_DIGITS - 1)


def _normal(mean: np.ndarray, covariance: np.ndarray, budget: Budget) -> tuple[Poly, Fraction]:
    """`-(x - m)^T C^-1 (x - m) / 2 - log(det C) / 2`, and by how much its constant may be off."""
    if not (np.all(np.isfinite(covariance)) and np.all(np.isfinite(mean))):
        raise Unknown("means and covariances must be finite")
    if not np.array_equal(covariance, covariance.T):
        raise Unknown("a covariance of the target isn't symmetric")
    n = len(mean)
    if n > _LARGEST:
        raise Unknown(f"covariances are inverted up to {_LARGEST} variables; got {n}")
    budget.pay(n**4 // 4)  # the digits of the numbers grow, too
    inverse, determinant = inverted([[Fraction(value) for value in row] for row in covariance.tolist()])
    center = [Fraction(value) for value in mean.tolist()]
    total: dict[Key, Fraction] = {}
    for i in range(n):
        add(total, {((i, 2),): Fraction(1)}, -inverse[i][i] / 2)
        for j in range(i):
            add(total, {((j, 1), (i, 1)): Fraction(1)}, -inverse[i][j])
    slopes = [sum((a * b for a, b in zip(row, center, strict=True)), Fraction(0)) for row in inverse]
    for i, slope in enumerate(slopes):
        add(total, {((i, 1),): Fraction(1)}, slope)
    volume, error = logarithm(determinant)
    shift = sum((a * b for a, b in zip(slopes, center, strict=True)), Fraction(0)) + volume
    add(total, {(): Fraction(1)}, -shift / 2)
    return total, error / 2


def inverted(matrix: Matrix) -> tuple[Matrix, Fraction]:
    """The inverse of a symmetric matrix, and its determinant.

    Raises:
        Unknown: a pivot isn't positive, so that the matrix isn't positive definite.
    """
    n = len(matrix)
    rows = [[*row, *(Fraction(int(i == j)) for j in range(n))] for i, row in enumerate(matrix)]
    determinant = Fraction(1)
    for i in range(n):
        pivot = rows[i][i]
        if pivot <= 0:
            raise Unknown("a covariance of the target isn't positive definite")
        determinant *= pivot
        rows[i] = [value / pivot for value in rows[i]]
        for k in range(n):
            factor = rows[k][i]
            if k != i and factor:
                rows[k] = [a - factor * b for a, b in zip(rows[k], rows[i], strict=True)]
    return [row[n:] for row in rows], determinant
