"""Sums of squares by ReLUs, within and just outside of their proved error.

On `[0, 1]`, `f_m(x) = x - sum_(s<=m) T^s(x) / 4^s` with the tent `T(x) = 2 min(x, 1 - x)` is the square up to

    0 <= f_m(x) - x^2 <= 4^-(m+1),    with the upper end just at the middles between multiples of 2^-m.

Compared are two approximations, of `m` and of `m + 2` tents, of a quadratic form `sum_k l_k(x)^2` of affine functions:

    y = sum_k relu(4^(m+1) (f_m(l_k) - f_(m+2)(l_k))) <= number of squares,

since `f_(m+2) >= x^2`; products are there as parts of these squares. The end is reached where all `l_k` are such
middles at once, which is arranged at one point. There are more functions than variables, so that local maxima lie
lower.
"""

from fractions import Fraction

import numpy as np

from ._matrices import Matrices, side_by_side
from ._problem import Family, Problem, unit_box

_MARGIN, _FINER = Fraction(1, 2), 2
# Coefficients and points are multiples of 1/64.
_GRID = 64


def draw(difficulty: int, holds: bool, generator: np.random.Generator) -> Problem:
    """Affine functions with values in `[0, 1]`, all of them middles at one point."""
    size = 3 if difficulty == 1 else 4 * difficulty
    count, tents = 3 if difficulty == 1 else size * 5 // 2, min(difficulty, 3)
    point = generator.integers(8, 57, size) / _GRID
    forms = [_form(point, tents, generator) for _ in range(count)]
    # Slopes of f_m - f_(m+2) are at most 2^-m, and those of affine functions add up to 1 at most.
    slope = count * Fraction(4 ** (tents + 1), 2**tents)
    return Problem(
        _layers(forms, tents),
        *unit_box(size),
        ((">=", count + (_MARGIN if holds else -_MARGIN)),),
        None if holds else tuple(map(Fraction, point.tolist())),
        ("exact", Fraction(0)) if holds else ("at least", (_MARGIN / slope) ** size),
        f"{count} squares, {2 ** (tents + _FINER)} pieces each on [0, 1]",
    )


def _form(point: np.ndarray, tents: int, generator: np.random.Generator) -> tuple[np.ndarray, float]:
    """Three coefficients, whose moduli leave half a tooth of room on both sides, and the constant."""
    step = 2.0**-tents
    total = int(_GRID * (1 - step))
    sizes = total // 3 + generator.integers(-2, 3, 3)
    sizes[2] = total - sizes[:2].sum()
    row = np.zeros(len(point))
    row[generator.choice(len(point), 3, replace=False)] = sizes * generator.choice([-1, 1], 3) / _GRID
    value = row @ point + step / 2 - row[row < 0].sum()
    middle = np.floor(value / step) * step + step / 2
    return row, middle - row @ point


def _square(row: np.ndarray, constant: float, tents: int, depth: int) -> Matrices:
    """`f_tents` of an affine function in `depth` hidden layers: units for the tent, and one for the sum so far."""
    found: Matrices = [(np.stack([row] * 3), np.array([0, -0.5, 0]) + constant)]
    tent, starts = np.array([2.0, -4.0, 0.0]), np.array([0, -0.5, 0])
    for place in range(1, depth + 1):
        share = 4.0**-place
        total = np.array([-2 * share, 4 * share, 1.0]) if place <= tents else np.ones(1)
        is_last = place >= min(tents, depth)
        found.append((total[None], np.zeros(1)) if is_last else (np.stack([tent, tent, total]), starts))
    return found


def _layers(forms: list[tuple[np.ndarray, float]], tents: int) -> Matrices:
    """Both approximations of all squares, their scaled differences, none of them negative, and the sum."""
    depth = tents + _FINER
    parts = [_square(row, constant, many, depth) for row, constant in forms for many in (tents, depth)]
    *hidden, (last, _) = side_by_side(parts, shared=True)
    count, scale = len(forms), 4.0 ** (tents + 1)
    differences = np.kron(np.eye(count), [scale, -scale]) @ last
    return [*hidden, (differences, np.zeros(count)), (np.ones((1, count)), np.zeros(1))]


FAMILY = Family(
    "how far two approximations of a sum of squares are apart on a box",
    "f_m - x^2 is between 0 and 4^-(m+1) on [0, 1] for every m, so that f_m - f_(m+2) is at most 4^-(m+1); all affine "
    "functions stay in [0, 1] on the box",
    draw,
)
