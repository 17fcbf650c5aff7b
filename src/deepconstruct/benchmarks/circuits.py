"""Boolean circuits with relaxed inputs: equations modulo 2, of which too many are to hold at once.

A relaxed bit `x` in `[0, 1]` becomes `b = relu(4 x - 3/2) - relu(4 x - 5/2)`, a bit but between 3/8 and 5/8. An
equation `b_i + b_j + b_k = r (mod 2)` is measured by the zigzag of the sum that is 0, 1, 0, 1 at 0, 1, 2, 3; and

    y = sum_e satisfied_e - sum_j d_j min(b_j, 1 - b_j)

with `d_j` the number of equations with bit `j`. Zigzags have slopes of modulus 1, so rounding all `b_j` to bits raises
`y` or leaves it: its largest value is the largest number of equations that hold at once. Which of them contradict each
other is found by elimination, and hardly by search: no gradient tells of a bit that several equations share.
"""

from fractions import Fraction

import numpy as np

from ._matrices import Matrices
from ._problem import Family, Problem, unit_box

Equations = list[list[int]]


def draw(difficulty: int, holds: bool, generator: np.random.Generator) -> Problem:
    """More equations of three bits each than there are bits; all hold for a chosen solution, or all but one."""
    bits = 12 * difficulty - 8
    count = bits + max(bits // 4, 1)
    rows = [sorted(generator.choice(bits, 3, replace=False).tolist()) for _ in range(count)]
    solution = generator.integers(0, 2, bits).tolist()
    right = [sum(solution[bit] for bit in row) % 2 for row in rows]
    rank, circle = _eliminated(rows)
    if holds:  # turned round, an equation among those whose left sides add up to nothing contradicts the others
        right[circle[int(generator.integers(0, len(circle)))]] ^= 1
    # Unsafe points round to solutions, each in a cube of edge 1/2.
    volume = ("exact", Fraction(0)) if holds else ("at most", Fraction(1, 2**rank))
    # A solution, off the ends of the box.
    witness = None if holds else tuple(Fraction(13 if bit else 3, 16) for bit in solution)
    pieces = f"2^{bits} corners, {count} equations with three bits each"
    unsafe = ((">=", count - Fraction(1, 2)),)
    return Problem(_layers(bits, rows, right), *unit_box(bits), unsafe, witness, volume, pieces)


def _eliminated(rows: Equations) -> tuple[int, list[int]]:
    """The rank of equations modulo 2, and as many as were found whose left sides add up to nothing."""
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
    return len(pivots), max(circles, key=len)


def _layers(bits: int, rows: Equations, right: list[int]) -> Matrices:
    """Bits; their distances from bits, and equations; and the sum."""
    ramps = np.repeat(4 * np.eye(bits), 2, axis=0)
    held = np.kron(np.eye(bits), [1.0, -1.0])
    sums = np.array([held[row].sum(axis=0) for row in rows])
    second = np.concatenate([np.repeat(held, 2, axis=0), np.repeat(sums, 3, axis=0)])
    starts = np.concatenate([np.tile([0.0, -0.5], bits), np.tile([0.0, -1.0, -2.0], len(rows))])
    uses = np.bincount(np.ravel(rows), minlength=bits)
    signs = np.where(np.array(right) == 1, 1, -1)
    last = np.concatenate([np.kron(-uses, [1.0, -2.0]), np.kron(signs, [1.0, -2.0, 2.0])])
    return [(ramps, np.tile([-1.5, -2.5], bits)), (second, starts), (last[None], np.array([float(np.sum(signs < 0))]))]


FAMILY = Family(
    "whether equations modulo 2 hold at once, their bits relaxed to intervals",
    "rounding every bit raises y or leaves it, since each bit's distance from 0 and 1 counts as often as the bit comes "
    "in equations; and at bits y is the number of equations that hold: not all, since some add up to 0 = 1 modulo 2",
    draw,
)
