"""Polytopes in a box, where affine functions are at least 0: bounds on them, and whether they have an interior.

By duality: for any factors `f >= 0` of the constraints `r_i >= 0` of a polytope, `d <= max over the box of
d + sum_i f_i r_i` there. The factors come from linear programs in floating point, but whatever they are the bound is
one, and it is computed in rationals. In the same way a polytope has no interior if a sum of its constraints, with
factors that aren't all 0, is nowhere positive.
"""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from .search import Undecided

# Coefficients of an affine function and its constant.
Row = tuple[Fraction, ...]

_PROGRAMS, _HUGE = 6000, 2**200
# Factors are taken as fractions with denominators up to these.
_DENOMINATORS = (2**10, 2**30)


def less(row: Row, other: Row) -> Row:
    """The difference of two affine functions."""
    return tuple(a - b for a, b in zip(row, other, strict=True))


def negative(row: Row) -> Row:
    """An affine function times -1."""
    return tuple(-value for value in row)


def unit(at: int, size: int) -> Row:
    """A coordinate; the constant 1 where `at` is `size`."""
    return tuple(Fraction(int(place == at)) for place in range(size + 1))


def combined(parts: list[tuple[Fraction, Row]]) -> Row:
    """A linear combination of affine functions."""
    return tuple(sum((factor * row[at] for factor, row in parts), Fraction()) for at in range(len(parts[0][1])))


class Polytopes:
    """Polytopes in the box `[low, high]^n`, where `low < high`; none of their constraints may be 0 everywhere.

    Raises:
        Undecided: too many linear programs, or too large slopes.
    """

    def __init__(self, low: Fraction, high: Fraction, size: int):
        self.low, self.high, self.size = low, high, size
        self.programs = 0

    def largest(self, row: Row) -> Fraction:
        """The maximum of an affine function over the box."""
        ends = (value * (self.high if value > 0 else self.low) for value in row[:-1])
        return sum(ends, row[-1])

    def is_flat(self, constraints: tuple[Row, ...]) -> bool:
        """Whether a polytope has no interior, as far as that is found."""
        for factors in self._factors(constraints, None):
            if any(factors) and self.largest(combined(list(zip(factors, constraints, strict=True)))) <= 0:
                return True
        return False

    def most(self, row: Row, constraints: tuple[Row, ...], enough: Fraction | None = None) -> Fraction:
        """A bound of an affine function on a polytope, which isn't sharpened once it is `enough`."""
        bounds = [self.largest(row)]
        if enough is not None and bounds[0] <= enough:
            return bounds[0]
        for factors in self._factors(constraints, row):
            bounds.append(self.largest(combined([(Fraction(1), row), *zip(factors, constraints, strict=True)])))
        return min(bounds)

    def _factors(self, constraints: tuple[Row, ...], row: Row | None) -> Iterator[list[Fraction]]:
        """Factors of constraints that bound an affine function, or show that a polytope is flat: a guess."""
        from scipy.optimize import linprog

        self.programs += 1
        if self.programs > _PROGRAMS:
            raise Undecided(f"more than {_PROGRAMS:,} linear programs")
        if not constraints:
            return
        if not all(abs(value) < _HUGE for constraint in (*constraints, row or ()) for value in constraint):
            raise Undecided("its slopes are too large")
        rows = np.array([[float(value) for value in constraint] for constraint in constraints])
        scale = np.maximum(np.abs(rows).max(axis=1), 1e-300)
        rows /= scale[:, None]
        # Without a function: the largest t such that all constraints can be at least t.
        matrix, cost = -rows[:, :-1], -np.array([float(value) for value in (row or (0,) * (self.size + 1))[:-1]])
        bounds: list[Any] = [(float(self.low), float(self.high))] * self.size
        if row is None:
            matrix, cost = np.append(matrix, np.ones((len(rows), 1)), axis=1), np.append(cost, -1.0)
            bounds.append((None, 1.0))
        found = linprog(cost, matrix, rows[:, -1], bounds=bounds, method="highs")
        if found.status != 0:
            return
        guess = np.maximum(-found.ineqlin.marginals, 0)
        for most in _DENOMINATORS:
            yield [
                Fraction(float(value)).limit_denominator(most) / Fraction(float(size))
                for value, size in zip(guess, scale, strict=True)
            ]
