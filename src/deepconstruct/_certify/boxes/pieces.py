"""ReLU networks of few inputs against the largest of them, or affine functions: region by region, in rationals.

Where every ReLU is on or off, and a certain input the largest, network and target over the reals are affine. Such
regions are polytopes in the box; those with interior points cover it, so it is enough that

    |N - target| <= error    on every region with interior points,    and    |fl(N) - N| <= rounding    on the box.

The first is 0 where both are the same affine function; else it is bounded over the box, or by duality: for any
factors `f >= 0` of the constraints `r_i >= 0` of a region, `d <= max over the box of d + sum_i f_i r_i` there. The
factors come from linear programs in floating point, but whatever they are the bound is one, and it is computed in
rationals. In the same way a region is left out: it has no interior if a sum of its constraints, with factors that
aren't all 0, is nowhere positive. Rounding is bounded by affine forms.
"""

import dataclasses
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from ...activations import Identity
from ...targets import AbstractTarget, Largest, Polynomial
from .search import Undecided
from .stages import Stage

# Coefficients of an affine function and its constant.
Row = tuple[Fraction, ...]

_PROGRAMS, _WEIGHTS, _HUGE = 6000, 20_000, 2**200
# Factors are taken as fractions with denominators up to these.
_DENOMINATORS = (2**10, 2**30)


@dataclasses.dataclass(frozen=True)
class Piece:
    """Where constraints are at least 0 a target has the value."""

    constraints: tuple[Row, ...]
    value: Row


def pieces_of(target: AbstractTarget) -> list[list[Piece]] | None:
    """The pieces of every output; `None` for a target that isn't known to be piecewise affine."""
    if type(target) is Largest:
        units = [_unit(at, target.n) for at in range(target.n)]
        return [[Piece(tuple(_less(unit, other) for other in units if other != unit), unit) for unit in units]]
    if type(target) is Polynomial and target.degree <= 1:
        size = target.variables
        zero = (Fraction(0), _unit(size, size))
        return [[Piece((), _combined([zero, *(_term(*term) for term in terms)]))] for terms in target.outputs]
    return None


def _term(exponents: tuple[int, ...], coefficient: float) -> tuple[Fraction, Row]:
    """One of degree 0 or 1."""
    size = len(exponents)
    return Fraction(coefficient), _unit(exponents.index(1) if 1 in exponents else size, size)


def _less(row: Row, other: Row) -> Row:
    return tuple(a - b for a, b in zip(row, other, strict=True))


def _unit(at: int, size: int) -> Row:
    return tuple(Fraction(int(place == at)) for place in range(size + 1))


def _combined(parts: list[tuple[Fraction, Row]]) -> Row:
    """A linear combination of affine functions."""
    return tuple(sum((factor * row[at] for factor, row in parts), Fraction()) for at in range(len(parts[0][1])))


class Regions:
    """The regions of a network over a box `[low, high]^n`, where `low < high`.

    Raises:
        Undecided: too large a network, or too many regions.
    """

    def __init__(self, stages: tuple[Stage, ...], low: Fraction, high: Fraction):
        self.low, self.high, self.size = low, high, stages[0].weights.shape[1]
        if sum(np.count_nonzero(stage.weights) for stage in stages) > _WEIGHTS:
            raise Undecided(f"regions take networks of up to {_WEIGHTS:,} weights")
        self.layers = [self._exact(stage) for stage in stages]
        self.programs = self.count = 0

    @staticmethod
    def _exact(stage: Stage) -> tuple[list[list[tuple[int, Fraction]]], list[Fraction], list[bool]]:
        rows = [[(int(col), Fraction(row[col])) for col in np.flatnonzero(row)] for row in stage.weights]
        bent = [kind is not Identity for kind, width in stage.kinds for _ in range(width)]
        return rows, [Fraction(value) for value in stage.bias], bent

    def differences(self, pieces: list[list[Piece]], near: float) -> list[Fraction]:
        """Bounds of `|N - target|` over the reals, an output each; not sharpened once they are at most `near`."""
        found = [Fraction(0)] * len(pieces)
        inputs = [_unit(at, self.size) for at in range(self.size)]
        for constraints, outputs in self._regions(0, inputs, ()):
            self.count += 1
            for at, (output, several) in enumerate(zip(outputs, pieces, strict=True)):
                for piece in several:
                    found[at] = max(found[at], self._difference(constraints, output, piece, near))
        return found

    def _difference(self, constraints: tuple[Row, ...], output: Row, piece: Piece, near: float) -> Fraction:
        apart = _less(output, piece.value)
        if not any(apart):
            return Fraction(0)
        rough = max(self._largest(apart), self._largest(tuple(-value for value in apart)))
        inside = constraints + piece.constraints
        if rough <= near:
            return rough
        if self._is_flat(inside):
            return Fraction(0)
        return max(self._most(tuple(sign * value for value in apart), inside) for sign in (1, -1))

    def _regions(
        self, index: int, units: list[Row], constraints: tuple[Row, ...]
    ) -> Iterator[tuple[tuple[Row, ...], list[Row]]]:
        """Constraints and outputs, of all regions that may have interior points."""
        if index == len(self.layers):
            yield constraints, units
            return
        rows, biases, bent = self.layers[index]
        one = _unit(self.size, self.size)
        sums = [
            _combined([*((weight, units[col]) for col, weight in row), (bias, one)])
            for row, bias in zip(rows, biases, strict=True)
        ]
        for kept, active in self._choices(sums, bent, constraints):
            yield from self._regions(index + 1, active, kept)

    def _choices(
        self, sums: list[Row], bent: list[bool], constraints: tuple[Row, ...]
    ) -> Iterator[tuple[tuple[Row, ...], list[Row]]]:
        """Which units of a layer may be on together."""
        zero, pending = (Fraction(0),) * (self.size + 1), [(constraints, [])]
        while pending:
            kept, active = pending.pop()
            at = len(active)
            if at == len(sums):
                yield kept, active
                continue
            total, negative = sums[at], tuple(-value for value in sums[at])
            if not bent[at] or self._largest(negative) <= 0:
                pending.append((kept, [*active, total]))
            elif self._largest(total) <= 0:
                pending.append((kept, [*active, zero]))
            else:
                sides = ((total, total), (negative, zero))
                ways = [((*kept, side), [*active, value]) for side, value in sides if not self._is_flat((*kept, side))]
                pending += ways

    def _largest(self, row: Row) -> Fraction:
        """The maximum of an affine function over the box."""
        ends = (value * (self.high if value > 0 else self.low) for value in row[:-1])
        return sum(ends, row[-1])

    def _is_flat(self, constraints: tuple[Row, ...]) -> bool:
        """Whether a region has no interior, as far as that is found; none of the constraints is constant."""
        for factors in self._factors(constraints, None):
            if any(factors) and self._largest(_combined(list(zip(factors, constraints, strict=True)))) <= 0:
                return True
        return False

    def _most(self, row: Row, constraints: tuple[Row, ...]) -> Fraction:
        """A bound of an affine function on a region."""
        bounds = [self._largest(row)]
        for factors in self._factors(constraints, row):
            bounds.append(self._largest(_combined([(Fraction(1), row), *zip(factors, constraints, strict=True)])))
        return min(bounds)

    def _factors(self, constraints: tuple[Row, ...], row: Row | None) -> Iterator[list[Fraction]]:
        """Factors of constraints that bound an affine function, or show that a region is flat: a guess."""
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
