"""Sums of squares by ReLUs, within and just outside of their proved error.

On `[0, 1]`, `f_m(x) = x - sum_(s<=m) T^s(x) / 4^s` with the tent `T(x) = 2 min(x, 1 - x)` is the square up to

    0 <= f_m(x) - x^2 <= 4^-(m+1),    with the upper end just at the middles between multiples of 2^-m.

Compared are two approximations, of `m` and of `m + 2` tents, of a quadratic form `sum_k l_k(x)^2` of affine functions:

    y = sum_k relu(4^(m+1) (f_m(l_k) - f_(m+2)(l_k))) <= number of squares,

since `f_(m+2) >= x^2`. It is reached where all `l_k` are such middles at once, which is arranged at one point. There are
more functions than variables, so that local maxima lie lower, and only chance leads to the point.
"""

from fractions import Fraction
from typing import Any

import numpy as np

from ._matrices import Matrices, side_by_side
from ._problem import Family, Problem, fractions, sum_rounding, texts

_MARGIN, _FINER = Fraction(1, 2), 2
# Coefficients and points are multiples of 1/64.
_GRID = 64


def draw(difficulty: int, holds: bool, generator: np.random.Generator) -> dict[str, Any]:
    """Affine functions, and a point at which all are middles."""
    variables = 3 if difficulty == 1 else 4 * difficulty
    count, tents = 3 if difficulty == 1 else variables * 5 // 2, min(difficulty, 3)
    return {
        "holds": holds,
        "tents": tents,
        "slopes": [_slopes(variables, tents, generator) for _ in range(count)],
        "point": texts([Fraction(int(place), _GRID) for place in generator.integers(8, 57, variables)]),
    }


def _slopes(variables: int, tents: int, generator: np.random.Generator) -> list[int]:
    """Integers, three of them not 0, whose moduli leave half a tooth of room on both sides."""
    total = _GRID - 2 * (_GRID >> tents + 1)
    sizes = total // 3 + generator.integers(-2, 3, 3)
    sizes[2] = total - sizes[:2].sum()
    row = np.zeros(variables, int)
    row[generator.choice(variables, 3, replace=False)] = sizes * generator.choice([-1, 1], 3)
    return row.tolist()


def forms(parameters: dict[str, Any]) -> list[tuple[list[Fraction], Fraction]]:
    """Coefficients and constants; on the box the values lie in `[0, 1]`."""
    point, step, found = fractions(parameters["point"]), Fraction(1, 2 ** parameters["tents"]), []
    for slopes in parameters["slopes"]:
        row = [Fraction(slope, _GRID) for slope in slopes]
        value = sum((a * x for a, x in zip(row, point, strict=True)), step / 2)
        value -= sum((a for a in row if a < 0), Fraction(0))
        middle = (value // step) * step + step / 2
        found.append((row, middle - sum((a * x for a, x in zip(row, point, strict=True)), Fraction(0))))
    return found


def bounds(parameters: dict[str, Any]) -> tuple[Fraction, Fraction]:
    """Between 0 and the number of squares, if the affine functions stay in `[0, 1]`."""
    for row, constant in forms(parameters):
        low = constant + sum(a for a in row if a < 0)
        high = constant + sum(a for a in row if a > 0)
        if low < 0 or high > 1:
            raise ValueError(f"an affine function leaves [0, 1]: it is between {low} and {high}")
    return Fraction(0), Fraction(len(parameters["slopes"]))


def witness(parameters: dict[str, Any]) -> tuple[Fraction, ...]:
    """Where all affine functions are middles."""
    return tuple(fractions(parameters["point"]))


def square(row: list[Fraction], constant: Fraction, tents: int, depth: int) -> Matrices:
    """`f_tents` of an affine function in `depth` hidden layers: units for the tent, and one for the sum so far."""
    form = np.array([float(a) for a in row])
    found: Matrices = [(np.stack([form] * 3), np.array([0, -0.5, 0]) + float(constant))]
    for place in range(1, depth + 1):
        if place <= tents:
            share = 4.0**-place
            total = np.array([-2 * share, 4 * share, 1.0])
            tent = np.array([2.0, -4.0, 0.0])
        else:
            total, tent = np.array([1.0]), np.zeros(1)
        if place == depth:
            found.append((total[None], np.zeros(1)))
        elif place < tents:
            found.append((np.stack([tent, tent, total]), np.array([0, -0.5, 0])))
        else:
            found.append((total[None], np.zeros(1)))
    return found


def layers(parameters: dict[str, Any]) -> Matrices:
    """Both approximations of all squares, their scaled differences, none of them negative, and the sum."""
    coarse = parameters["tents"]
    depth, parts = coarse + _FINER, []
    for row, constant in forms(parameters):
        parts += [square(row, constant, tents, depth) for tents in (coarse, depth)]
    count, scale = len(parts) // 2, 4.0 ** (coarse + 1)
    whole = side_by_side(parts, shared=True)
    last, _ = whole[-1]
    return [
        *whole[:-1],
        (np.kron(np.eye(count), [scale, -scale]) @ last, np.zeros(count)),
        (np.ones((1, count)), np.zeros(1)),
    ]


def _rounding(parameters: dict[str, Any], copies: int) -> Fraction:
    """Both units of a tent round apart: off by `r`, they pass on `2 r + 4 r`; what is off already grows by 2."""
    tents, count, variables = parameters["tents"] + _FINER, len(parameters["slopes"]), len(parameters["point"])
    off, made = Fraction(0), sum_rounding(variables + 1, Fraction(3))
    total = made
    for place in range(1, tents + 1):
        off = 2 * off + 6 * made
        # Of the last place no sum is made but that of both approximations.
        total += off / 4**place + (sum_rounding(3 * copies, Fraction(2)) if place < tents else 0)
        made = sum_rounding(2 * copies + 1, Fraction(9, 2))
    scale = 4 ** (parameters["tents"] + 1)
    each = 2 * scale * total + sum_rounding(4 * copies, Fraction(3 * scale))
    return count * each + sum_rounding(count * copies, Fraction(2 * count))


def build(parameters: dict[str, Any], copies: int = 1) -> Problem:
    variables, count = len(parameters["point"]), len(parameters["slopes"])
    threshold = count + (_MARGIN if parameters["holds"] else -_MARGIN)
    # Slopes of f_m - f_(m+2) are at most 2^-m, and those of affine functions sum up to 1 at most.
    slope = count * Fraction(4 ** (parameters["tents"] + 1), 2 ** parameters["tents"])
    least = (_MARGIN / slope) ** variables
    return Problem(
        layers(parameters), (Fraction(0),) * variables, (Fraction(1),) * variables, ((">=", threshold),),
        _rounding(parameters, copies), ("exact", Fraction(0)) if parameters["holds"] else ("at least", least),
        f"{count} squares, {2 ** (parameters['tents'] + _FINER)} pieces each on [0, 1]",
    )  # fmt: skip


FAMILY = Family(
    "how far two approximations of a sum of squares are apart on a box",
    "f_m - x^2 is between 0 and 4^-(m+1) on [0, 1] for every m, so that f_m - f_(m+2) is at most 4^-(m+1); all affine "
    "functions stay in [0, 1] on the box",
    draw,
    build,
    bounds,
    witness,
)
