"""Two fractals that may meet: Cantor sets, one of them moved, as tents composed.

`T(z) = 4 min(z, 1 - z)` sends points off `[0, 1]` for ever, and those that stay for `n` steps are level `n` of the
Cantor set `K_n` with cells `[0, 1/4]` and `[3/4, 1]`. A clip at -1 keeps numbers small: `T(-1) = -4`. For all real `z`

    part(z) = -relu(-T^(n+1)(z)) = max(-4, -4^(n+1) distance(z, K_n)),    y(x) = sum_j part(u_j) + part(u_j + t_j)

with `u = M x`, `M` of integers and determinant 1, so that no coordinate can be searched alone. `y = 0` where all `u_j`
lie in `K_n` and in `K_n - t_j`. If `t = sum 3 tau_i / 4^i` with digits -1, 0, 1, these share `2^zeros` cells of length
`4^-n`; if the last digit is 1/2, they share none and are half a cell's length apart, so that `y <= -2`.
"""

from fractions import Fraction

import numpy as np

from ._matrices import Matrices, read_out, side_by_side
from ._problem import Family, Problem

_THRESHOLD = Fraction(-1)
# Places of the middle in the box, in these parts of its edges.
_GRID = 64


def draw(difficulty: int, holds: bool, generator: np.random.Generator) -> Problem:
    """Of level 4 at most: what runs are off grows with it."""
    return dusts(min(difficulty + 1, 4), {1: 1, 2: 3}.get(difficulty, difficulty + 2), holds, generator)


def dusts(level: int, size: int, holds: bool, generator: np.random.Generator) -> Problem:
    """Shifts and coordinates, and a cube of edge 1 around a place where all meet, or would but for one last digit."""
    digits = [_digits(level, generator) for _ in range(size)]
    shifts = [_shift(row) for row in digits]
    if holds:
        moved = int(generator.integers(0, size))
        shifts[moved] += (Fraction(1, 2) - digits[moved][-1]) * Fraction(3, 4**level)
    matrix, middle = _matrix(size, generator), [_common(row, generator) for row in digits]
    inverse = np.rint(np.linalg.inv(matrix)).astype(int).tolist()
    point = [sum((m * u for m, u in zip(row, middle, strict=True)), Fraction(0)) for row in inverse]
    low = tuple(x - Fraction(int(generator.integers(16, 49)), _GRID) for x in point)
    rows = zip(matrix, shifts, strict=True)
    chains = [_chain(row, t, level) for row, shift in rows for t in (Fraction(0), shift)]
    return Problem(
        read_out(side_by_side(chains, shared=True), np.ones(len(chains))),
        low,
        tuple(x + 1 for x in low),
        ((">=", _THRESHOLD),),
        None if holds else tuple(point),
        ("exact", Fraction(0)) if holds else ("at most", _volume(digits)),
        f"{2 ** (level + 1)} pieces of tents along a coordinate, {2 * size} times",
    )


def _digits(level: int, generator: np.random.Generator) -> list[int]:
    """Half of them 0, the last one not."""
    digits = generator.choice([-1, 1], level)
    digits[generator.permutation(level - 1)[: level // 2]] = 0
    return digits.tolist()


def _shift(digits: list[int]) -> Fraction:
    """`sum 3 d_i / 4^i`."""
    return sum((Fraction(3 * digit, 4**place) for place, digit in enumerate(digits, 1)), Fraction(0))


def _common(digits: list[int], generator: np.random.Generator) -> Fraction:
    """The middle of a cell that lies in the Cantor set and, moved by the shift, lies in it again."""
    cell = [int(generator.integers(0, 2)) if digit == 0 else int(digit < 0) for digit in digits]
    return _shift(cell) + Fraction(1, 2 * 4 ** len(digits))


def _matrix(size: int, generator: np.random.Generator) -> np.ndarray:
    """Integers with determinant 1: a unit lower times a unit upper triangular matrix, one more entry a row."""
    lower, upper = np.eye(size, dtype=int), np.eye(size, dtype=int)
    for row in range(1, size):
        lower[row, generator.integers(0, row)] = generator.choice([-1, 1])
        upper[row - 1, generator.integers(row, size)] = generator.choice([-1, 1])
    return lower @ upper


def _chain(form: np.ndarray, constant: Fraction, level: int) -> Matrices:
    """`part(form x + constant)`: two units a tent, and one at the end."""
    step = np.array([[4.0, -8.0], [4.0, -8.0]])
    first = (np.stack([form, form]).astype(float), np.array([float(constant + 1), float(constant - Fraction(1, 2))]))
    inner = [(step, np.array([-3.0, -4.5]))] * level
    return [first, *inner, (np.array([[-4.0, 8.0]]), np.array([4.0])), (np.array([[-1.0]]), np.zeros(1))]


def _volume(digits: list[list[int]]) -> Fraction:
    """The share of points with `y >= -1`: in each coordinate cells that are a quarter longer, at most."""
    total = Fraction(1)
    for row in digits:
        total *= min(Fraction(1), 2 ** row.count(0) * Fraction(5, 4 ** (len(row) + 1)))
    return total


FAMILY = Family(
    "whether a Cantor dust meets itself, moved and seen in other coordinates",
    "y is at most -sum_j min(4, 4^(n+1) d_j) for all real inputs, with d_j the distance of level n of the Cantor set "
    "of ratio 1/4 from itself moved by t_j: half a cell's length for one of them",
    draw,
)
