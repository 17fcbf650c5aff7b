"""ReLU networks of few inputs against piecewise affine functions: region by region, in rationals.

Where every ReLU is on or off, and a certain piece of the target holds, network and target are affine. Such
regions are polytopes in the box; those with interior points cover it, so it is enough that

    |N - target| <= error    on every region with interior points,    and    |fl(N) - N| <= rounding    on the box.

The first is 0 where both are the same affine function; else it is bounded over the box, or on the region by duality
(`polytopes`). Rounding is bounded by affine forms.
"""

import dataclasses
from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from ...activations import Identity
from ...targets import AbstractTarget, Largest, PiecewiseAffine, Polynomial
from .polytopes import Polytopes, Row, combined, less, negative, unit
from .search import Undecided
from .stages import Stage

_WEIGHTS = 20_000


@dataclasses.dataclass(frozen=True)
class Piece:
    """Where constraints are at least 0 a target has the value."""

    constraints: tuple[Row, ...]
    value: Row


def pieces_of(target: AbstractTarget) -> list[list[Piece]] | None:
    """The pieces of every output; `None` for a target that isn't known to be piecewise affine."""
    if type(target) is Largest:
        return [_largest_of([unit(at, target.n) for at in range(target.n)])]
    if type(target) is PiecewiseAffine:
        sides = (_rows(target.rising.array), _rows(target.falling.array))
        return [_apart(_largest_of(up), _largest_of(down)) for up, down in zip(*sides, strict=True)]
    if type(target) is Polynomial and target.degree <= 1:
        size = target.variables
        zero = (Fraction(0), unit(size, size))
        return [[Piece((), combined([zero, *(_term(*term) for term in terms)]))] for terms in target.outputs]
    return None


def _rows(values: np.ndarray) -> list[list[Row]]:
    """Of every output."""
    return [[tuple(map(Fraction, row)) for row in rows] for rows in values.tolist()]


def _largest_of(rows: list[Row]) -> list[Piece]:
    """The pieces of the largest of affine functions; equal ones count once, so that no constraint is 0."""
    rows = list(dict.fromkeys(rows))
    return [Piece(tuple(less(row, other) for other in rows if other != row), row) for row in rows]


def _apart(rising: list[Piece], falling: list[Piece]) -> list[Piece]:
    """The pieces of a difference."""
    pairs = [(up, down) for up in rising for down in falling]
    return [Piece(up.constraints + down.constraints, less(up.value, down.value)) for up, down in pairs]


def _term(exponents: tuple[int, ...], coefficient: float) -> tuple[Fraction, Row]:
    """One of degree 0 or 1."""
    size = len(exponents)
    return Fraction(coefficient), unit(exponents.index(1) if 1 in exponents else size, size)


class Regions:
    """The regions of a network over a box `[low, high]^n`, where `low < high`.

    Raises:
        Undecided: too large a network, or too many regions.
    """

    def __init__(self, stages: tuple[Stage, ...], low: Fraction, high: Fraction):
        self.size = stages[0].weights.shape[1]
        self.polytopes = Polytopes(low, high, self.size)
        if sum(np.count_nonzero(stage.weights) for stage in stages) > _WEIGHTS:
            raise Undecided(f"regions take networks of up to {_WEIGHTS:,} weights")
        self.layers = [self._exact(stage) for stage in stages]
        self.count = 0

    @staticmethod
    def _exact(stage: Stage) -> tuple[list[list[tuple[int, Fraction]]], list[Fraction], list[bool]]:
        rows = [[(int(col), Fraction(row[col])) for col in np.flatnonzero(row)] for row in stage.weights]
        bent = [kind is not Identity for kind, width in stage.kinds for _ in range(width)]
        return rows, [Fraction(value) for value in stage.bias], bent

    def differences(self, pieces: list[list[Piece]], near: float) -> list[Fraction]:
        """Bounds of `|N - target|` over the reals, an output each; not sharpened once they are at most `near`."""
        found = [Fraction(0)] * len(pieces)
        inputs = [unit(at, self.size) for at in range(self.size)]
        for constraints, outputs in self._regions(0, inputs, ()):
            self.count += 1
            for at, (output, several) in enumerate(zip(outputs, pieces, strict=True)):
                for piece in several:
                    found[at] = max(found[at], self._difference(constraints, output, piece, near))
        return found

    def _difference(self, constraints: tuple[Row, ...], output: Row, piece: Piece, near: float) -> Fraction:
        apart = less(output, piece.value)
        if not any(apart):
            return Fraction(0)
        sides, inside = (apart, negative(apart)), constraints + piece.constraints
        rough = max(map(self.polytopes.largest, sides))
        if rough <= near:
            return rough
        if self.polytopes.is_flat(inside):
            return Fraction(0)
        return max(self.polytopes.most(side, inside) for side in sides)

    def _regions(
        self, index: int, units: list[Row], constraints: tuple[Row, ...]
    ) -> Iterator[tuple[tuple[Row, ...], list[Row]]]:
        """Constraints and outputs, of all regions that may have interior points."""
        if index == len(self.layers):
            yield constraints, units
            return
        rows, biases, bent = self.layers[index]
        one = unit(self.size, self.size)
        sums = [
            combined([*((weight, units[col]) for col, weight in row), (bias, one)])
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
            total, below = sums[at], negative(sums[at])
            if not bent[at] or self.polytopes.largest(below) <= 0:
                pending.append((kept, [*active, total]))
            elif self.polytopes.largest(total) <= 0:
                pending.append((kept, [*active, zero]))
            else:
                sides = ((total, total), (below, zero))
                ways = [
                    ((*kept, side), [*active, value])
                    for side, value in sides
                    if not self.polytopes.is_flat((*kept, side))
                ]
                pending += ways
