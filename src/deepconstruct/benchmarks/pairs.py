"""Two networks to be compared, as one whose output is their difference.

The first is 0 but around few cells, where it rises to 1: `relu(1 + y)` with the `y` of fractals that meet. The second is
the same rewritten: units in another order, scaled by powers of two and split. They are equal; or they differ by one
weight, the last one, which is twice as large in one of them: as its unit is 0 but around the cells, so is the difference.
"""

from fractions import Fraction
from typing import Any

import numpy as np

from . import fractals
from ._matrices import Matrices, read_out, side_by_side
from ._problem import Family, Problem, sum_rounding
from ._rewriting import COPIES, drawn, rewritten, widths

_THRESHOLD = Fraction(1, 2)
_DEEPEST = 3


def draw(difficulty: int, holds: bool, generator: np.random.Generator) -> dict[str, Any]:
    """A network, how it is rewritten, and whether its last weight is doubled."""
    parameters = fractals.draw(difficulty, False, generator, deepest=_DEEPEST)
    record = drawn(widths(_first(parameters)), generator)
    return {"first": parameters, "record": record, "doubled": not holds}


def _first(parameters: dict[str, Any]) -> Matrices:
    """`relu(1 + y)`."""
    *hidden, (weights, bias) = fractals.layers(parameters)
    return [*hidden, (weights, bias + 1), (np.ones((1, 1)), np.zeros(1))]


def layers(parameters: dict[str, Any]) -> Matrices:
    """The second one less the first one."""
    first = _first(parameters["first"])
    second = rewritten(read_out(first, [2.0 if parameters["doubled"] else 1.0]), parameters["record"])
    return read_out(side_by_side([second, first], shared=True), [1.0, -1.0])


def bounds(parameters: dict[str, Any]) -> tuple[Fraction, Fraction]:
    """0 if they are equal; else the first one, between 0 and 1."""
    rewritten(_first(parameters["first"]), parameters["record"])  # refuses a record that changes the function
    return Fraction(0), Fraction(int(parameters["doubled"]))


def witness(parameters: dict[str, Any]) -> tuple[Fraction, ...]:
    """The middle of a cell."""
    return fractals.witness(parameters["first"])


def build(parameters: dict[str, Any], copies: int = 1) -> Problem:
    low, high = fractals.box(parameters["first"])
    level, doubled = parameters["first"]["level"], parameters["doubled"]
    second, first = (fractals.rounding(parameters["first"], copies * more) for more in (COPIES, 1))
    rounding = (1 + doubled) * second + first + sum_rounding(2 * COPIES * copies, Fraction(4))
    volume = ("at most", fractals.volume(parameters["first"])) if doubled else ("exact", Fraction(0))
    return Problem(
        layers(parameters), low, high, ((">=", _THRESHOLD), ("<=", -_THRESHOLD)), rounding, volume,
        f"twice {2 ** (level + 1)} pieces of tents along a coordinate, {2 * len(low)} times",
    )  # fmt: skip


FAMILY = Family(
    "whether a network equals one that was rewritten, as their difference",
    "units of the second network are those of the first in another order, times powers of two that are undone behind "
    "them, and split into parts that sum to 1: the record lists them",
    draw,
    build,
    bounds,
    witness,
)
