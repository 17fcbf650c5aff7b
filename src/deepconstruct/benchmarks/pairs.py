"""Two networks to be compared, as one whose output is their difference.

The first is 0 but around few cells, where it rises to 1: `relu(1 + y)` with the `y` of fractals that meet. The second
is the same rewritten: units in another order, scaled by powers of two and split. They are equal; or they differ by one
weight, the last one, which is twice as large in one of them: as its unit is 0 but around the cells, so is the
difference.
"""

import dataclasses
from fractions import Fraction

import numpy as np

from . import fractals
from ._matrices import read_out, side_by_side
from ._problem import Family, Problem
from ._rewriting import rewritten

_THRESHOLD = Fraction(1, 2)


def draw(difficulty: int, holds: bool, generator: np.random.Generator) -> Problem:
    """The second network less the first one; of level 3 at most, as what runs are off grows with it."""
    meet = fractals.dusts(
        min(difficulty, 3), 2 * difficulty - 1 if difficulty < 3 else difficulty + 2, False, generator
    )
    *hidden, (weights, bias) = meet.layers
    first = [*hidden, (weights, bias + 1), (np.ones((1, 1)), np.zeros(1))]
    second = rewritten(read_out(first, [1.0 if holds else 2.0]), generator)
    return dataclasses.replace(
        meet,
        layers=read_out(side_by_side([second, first], shared=True), [1.0, -1.0]),
        unsafe=((">=", _THRESHOLD), ("<=", -_THRESHOLD)),
        witness=None if holds else meet.witness,
        volume=("exact", Fraction(0)) if holds else meet.volume,
        pieces=f"twice {meet.pieces}",
    )


FAMILY = Family(
    "whether a network equals one that was rewritten, as their difference",
    "units of the second network are those of the first in another order, times powers of two that are undone behind "
    "them, and split into parts that sum to 1: joined again, they cancel",
    draw,
)
