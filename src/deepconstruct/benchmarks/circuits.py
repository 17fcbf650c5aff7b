"""Boolean circuits with relaxed inputs: equations modulo 2, of which too many are to hold at once.

A relaxed bit `x` in `[0, 1]` becomes `b = relu(4 x - 3/2) - relu(4 x - 5/2)`, a bit but between 3/8 and 5/8. An equation
`b_i + b_j + b_k = r (mod 2)` is measured by the zigzag of the sum that is 0, 1, 0, 1 at 0, 1, 2, 3; and

    y = sum_e satisfied_e - sum_j d_j min(b_j, 1 - b_j)

with `d_j` the number of equations with bit `j`. Zigzags have slopes of modulus 1, so rounding all `b_j` to bits raises
`y` or leaves it: its largest value is the largest number of equations that hold at once. Which of them contradict each
other is found by elimination, and hardly by search: no gradient tells of a bit that several equations share.
"""

from fractions import Fraction
from typing import Any

import numpy as np

from ._matrices import Matrices
from ._problem import Family, Problem, sum_rounding


def draw(difficulty: int, holds: bool, generator: np.random.Generator) -> dict[str, Any]:
    """Equations of three bits each, more than there are bits; all hold for a chosen solution, or one less does."""
    bits = 12 * difficulty - 8
    count = bits + max(bits // 4, 2)
    rows = [sorted(generator.choice(bits, 3, replace=False).tolist()) for _ in range(count)]
    solution = generator.integers(0, 2, bits).tolist()
    right = [sum(solution[bit] for bit in row) % 2 for row in rows]
    if holds:  # an equation among those that contradict each other once one of them is turned round
        circle = _dependent(bits, rows)
        right[circle[int(generator.integers(0, len(circle)))]] ^= 1
    return {
        "bits": bits,
        "equations": rows,
        "right": right,
        "solution": None if holds else solution,
    }


def _eliminated(rows: list[list[int]]) -> tuple[int, list[list[int]]]:
    """The rank of equations modulo 2, and all that elimination finds whose left sides add up to nothing."""
    pivots: dict[int, tuple[int, int]] = {}
    circles = []
    for index, row in enumerate(rows):
        mask, used = sum(1 << bit for bit in row), 1 << index
        while mask and mask.bit_length() in pivots:
            other, others = pivots[mask.bit_length()]
            mask, used = mask ^ other, used ^ others
        if mask:
            pivots[mask.bit_length()] = mask, used
        else:
            circles.append([at for at in range(index + 1) if used >> at & 1])
    return len(pivots), circles


def _dependent(bits: int, rows: list[list[int]]) -> list[int]:
    """Equations whose left sides add up to nothing: the most that are found, as there are more than bits."""
    return max(_eliminated(rows)[1], key=len)


def contradiction(parameters: dict[str, Any]) -> list[int]:
    """Equations that add up to `0 = 1` modulo 2, or none."""
    found = _eliminated(parameters["equations"])[1]
    return next((circle for circle in found if sum(parameters["right"][at] for at in circle) % 2), [])


def bounds(parameters: dict[str, Any]) -> tuple[None, Fraction]:
    """All equations hold at once, or one fails."""
    return None, Fraction(len(parameters["equations"]) - bool(contradiction(parameters)))


def witness(parameters: dict[str, Any]) -> tuple[Fraction, ...]:
    """A solution, off the ends of the box."""
    return tuple(Fraction(13 if bit else 3, 16) for bit in parameters["solution"])


def layers(parameters: dict[str, Any]) -> Matrices:
    """Bits; their distances from bits, and equations; and the sum."""
    bits, rows = parameters["bits"], parameters["equations"]
    ramps = np.repeat(4 * np.eye(bits), 2, axis=0)
    held = np.kron(np.eye(bits), [1.0, -1.0])
    sums = np.array([held[row].sum(axis=0) for row in rows])
    second = np.concatenate([np.repeat(held, 2, axis=0), np.repeat(sums, 3, axis=0)])
    starts = np.concatenate([np.tile([0.0, -0.5], bits), np.tile([0.0, -1.0, -2.0], len(rows))])
    uses = np.bincount(np.ravel(rows), minlength=bits)
    signs = np.array([1 if right else -1 for right in parameters["right"]])
    last = np.concatenate([np.kron(-uses, [1.0, -2.0]), np.kron(signs, [1.0, -2.0, 2.0])])
    return [(ramps, np.tile([-1.5, -2.5], bits)), (second, starts), (last[None], np.array([float(np.sum(signs < 0))]))]


def _rounding(parameters: dict[str, Any], copies: int) -> Fraction:
    """Every layer has slopes and few terms: what is off by `r` passes on the sum of the moduli of weights times `r`."""
    bits, count = parameters["bits"], len(parameters["equations"])
    first = sum_rounding(2, Fraction(7))
    second = 2 * 3 * first + sum_rounding(6 * copies + 1, Fraction(3 * 4 + 2))
    mass = 5 * count + 3 * 3 * count
    return mass * second + sum_rounding((2 * bits + 3 * count) * copies + 1, Fraction(4 * mass))


def _volume(parameters: dict[str, Any]) -> tuple[str, Fraction]:
    """Unsafe points round to solutions: so many cubes of edge 1/2, of which there are `2^bits`."""
    if contradiction(parameters):
        return "exact", Fraction(0)
    free = parameters["bits"] - _eliminated(parameters["equations"])[0]
    return "at most", Fraction(2**free, 2 ** parameters["bits"])


def build(parameters: dict[str, Any], copies: int = 1) -> Problem:
    bits, count = parameters["bits"], len(parameters["equations"])
    return Problem(
        layers(parameters), (Fraction(0),) * bits, (Fraction(1),) * bits, ((">=", count - Fraction(1, 2)),),
        _rounding(parameters, copies), _volume(parameters), f"2^{bits} corners, {count} equations with three bits each",
    )  # fmt: skip


FAMILY = Family(
    "whether equations modulo 2 hold at once, their bits relaxed to intervals",
    "rounding every bit raises y or leaves it, since each bit's distance from 0 and 1 counts as often as the bit comes "
    "in equations; and at bits y is the number of equations that hold: not all, since some add up to 0 = 1 modulo 2",
    draw,
    build,
    bounds,
    witness,
)
