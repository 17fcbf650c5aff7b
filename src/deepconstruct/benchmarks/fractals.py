"""Two fractals that may meet: Cantor sets, one of them moved, as tents composed.

`T(z) = 4 min(z, 1 - z)` sends points off `[0, 1]` for ever, and those that stay for `n` steps are level `n` of the
Cantor set `K_n` with cells `[0, 1/4]` and `[3/4, 1]`. A clip at -1 keeps numbers small: `T(-1) = -4`. For all real `z`

    part(z) = -relu(-T^(n+1)(z)) = max(-4, -4^(n+1) distance(z, K_n)),    y(x) = sum_j part(u_j) + part(u_j + t_j)

with `u = M x`, `M` of integers and determinant 1, so that no coordinate can be searched alone. `y = 0` where all `u_j`
lie in `K_n` and in `K_n - t_j`. If `t = sum 3 tau_i / 4^i` with digits -1, 0, 1, these share `2^zeros` cells of length
`4^-n`; if the last digit is 1/2, they share none and are half a cell's length apart, so that `y <= -2`.
"""

from fractions import Fraction
from typing import Any

import numpy as np

from ._matrices import Matrices, read_out, side_by_side
from ._problem import Family, Problem, fractions, sum_rounding, texts

_THRESHOLD = Fraction(-1)


def draw(difficulty: int, holds: bool, generator: np.random.Generator, *, deepest: int = 4) -> dict[str, Any]:
    """The level, the digits of the shifts, the matrix, the digits of a common cell and its place in the box."""
    level, size = min(difficulty + 1, deepest), {1: 1, 2: 3}.get(difficulty, difficulty + 2)
    digits = [_digits(level, generator) for _ in range(size)]
    cells = [[int(generator.integers(0, 2)) if d == 0 else int(d < 0) for d in row] for row in digits]
    shifts = texts(digits)
    if holds:
        shifts[int(generator.integers(0, size))][-1] = "1/2"
    places = generator.integers(16, 49, size).tolist()
    return {
        "level": level,
        "digits": shifts,
        "cells": cells,
        "matrix": _matrix(size, generator).tolist(),
        "corner": texts([Fraction(place, 64) for place in places]),
    }


def _digits(level: int, generator: np.random.Generator) -> list[int]:
    """Half of them 0, the last one not."""
    digits = generator.choice([-1, 1], level)
    digits[generator.permutation(level - 1)[: level // 2]] = 0
    return digits.tolist()


def _matrix(size: int, generator: np.random.Generator) -> np.ndarray:
    """Integers with determinant 1: a unit lower times a unit upper triangular matrix, one more entry a row."""
    lower, upper = np.eye(size, dtype=int), np.eye(size, dtype=int)
    for row in range(1, size):
        lower[row, generator.integers(0, row)] = generator.choice([-1, 1])
        upper[row - 1, generator.integers(row, size)] = generator.choice([-1, 1])
    return lower @ upper


def shift(digits: Any) -> Fraction:
    """`sum 3 d_i / 4^i`."""
    return sum((3 * Fraction(digit) / 4**place for place, digit in enumerate(digits, 1)), Fraction(0))


def apart(digits: Any) -> Fraction:
    """The distance of `K_n` from itself moved by `t`: 0 if they meet.

    It is `max(0, |t - t'| - 4^-n)` for the nearest `t'` with digits -1, 0, 1; digits are chosen from the first on, and
    a choice is dropped where what follows can't make up for it.
    """
    level, target = len(digits), shift(digits)
    open_sums, best = [(0, Fraction(0))], abs(target)
    while open_sums:
        place, total = open_sums.pop()
        if place == level:
            best = min(best, abs(target - total))
            continue
        for digit in (-1, 0, 1):
            after = total + 3 * Fraction(digit) / 4 ** (place + 1)
            rest = Fraction(1, 4 ** (place + 1)) - Fraction(1, 4**level)
            if abs(target - after) - rest <= best:
                open_sums.append((place + 1, after))
    return max(best - Fraction(1, 4**level), Fraction(0))


def bounds(parameters: dict[str, Any]) -> tuple[None, Fraction]:
    """`y` is at most the sum of `-min(4, 4^(n+1) distance_j)`."""
    scale = 4 ** (parameters["level"] + 1)
    return None, sum((-min(Fraction(4), scale * apart(row)) for row in parameters["digits"]), Fraction(0))


def common(parameters: dict[str, Any]) -> list[Fraction]:
    """The middle of a cell that both share, or do but for the last digit."""
    middle = Fraction(1, 2 * 4 ** parameters["level"])
    return [shift(cell) + middle for cell in parameters["cells"]]


def witness(parameters: dict[str, Any]) -> tuple[Fraction, ...]:
    """Where `M x` is the middle of a common cell."""
    inverse = np.rint(np.linalg.inv(np.array(parameters["matrix"], float))).astype(int).tolist()
    middle = common(parameters)
    return tuple(sum((m * u for m, u in zip(row, middle, strict=True)), Fraction(0)) for row in inverse)


def box(parameters: dict[str, Any]) -> tuple[tuple[Fraction, ...], tuple[Fraction, ...]]:
    """A cube of edge 1 around the middle of a cell."""
    corner = fractions(parameters["corner"])
    low = tuple(x - place for x, place in zip(witness(parameters), corner, strict=True))
    return low, tuple(x + 1 for x in low)


def chain(form: np.ndarray, constant: Fraction, level: int) -> Matrices:
    """`part(form x + constant)`: two units a tent, and one at the end."""
    step = np.array([[4.0, -8.0], [4.0, -8.0]])
    first = (np.stack([form, form]).astype(float), np.array([float(constant + 1), float(constant - Fraction(1, 2))]))
    inner = [(step, np.array([-3.0, -4.5]))] * level
    return [first, *inner, (np.array([[-4.0, 8.0]]), np.array([4.0])), (np.array([[-1.0]]), np.zeros(1))]


def layers(parameters: dict[str, Any]) -> Matrices:
    """The sum of both chains of all coordinates."""
    chains = []
    for row, digits in zip(np.array(parameters["matrix"]), parameters["digits"], strict=True):
        chains += [chain(row, t, parameters["level"]) for t in (Fraction(0), shift(digits))]
    return read_out(side_by_side(chains, shared=True), np.ones(len(chains)))


def rounding(parameters: dict[str, Any], copies: int) -> Fraction:
    """How far a run is off, with each unit written up to `copies` times.

    Both units of a tent round apart: off by `r`, they pass on `4 r + 8 r`; what is off already grows by 4, the slope of
    `T`. That is for `z` up to 3/2; of larger ones `T` is at most -2, also as it runs, and the clip makes it -1.
    """
    matrix, (low, high) = np.array(parameters["matrix"]), box(parameters)
    largest = max(
        sum((abs(int(m)) * max(abs(a), abs(b)) for m, a, b in zip(row, low, high, strict=True)), Fraction(0))
        for row in matrix
    )
    off, made = Fraction(0), sum_rounding(len(low) + 1, largest + 3)
    for _ in range(parameters["level"] + 1):
        off = 4 * off + 12 * made
        made = sum_rounding(2 * copies + 1, Fraction(45, 2))
    chains = 2 * len(low)
    return chains * (off + made) + sum_rounding(chains * copies + 1, Fraction(4 * chains + 1))


def volume(parameters: dict[str, Any]) -> Fraction:
    """The share of points with `y >= -1`: in each coordinate cells that are a quarter longer, at most."""
    total, level = Fraction(1), parameters["level"]
    for digits in parameters["digits"]:
        zeros = sum(Fraction(digit) == 0 for digit in digits)
        total *= min(Fraction(1), 2**zeros * Fraction(1, 4**level) * Fraction(5, 4)) if apart(digits) == 0 else 0
    return total


def build(parameters: dict[str, Any], copies: int = 1) -> Problem:
    low, high = box(parameters)
    level = parameters["level"]
    return Problem(
        layers(parameters), low, high, ((">=", _THRESHOLD),), rounding(parameters, copies), ("at most", volume(parameters)),
        f"{2 ** (level + 1)} pieces of tents along a coordinate, {2 * len(low)} times",
    )  # fmt: skip


FAMILY = Family(
    "whether a Cantor dust meets itself, moved and seen in other coordinates",
    "y is at most -sum_j min(4, 4^(n+1) d_j) for all real inputs, with d_j the distance of level n of the Cantor set "
    "of ratio 1/4 from itself moved by t_j; d_j is the least | |t_j - t'| - 4^-n | over t' = sum 3 delta_i / 4^i with "
    "digits -1, 0, 1, or 0 if they meet",
    draw,
    build,
    bounds,
    witness,
)
