"""How far rounding moves cell coordinates, level by level.

An error made at one level is stretched by the inverse maps of all that follow, so it sets how deep a
dtype carries. All bounds are of the form `base + factor * delta` for inputs that are off by `delta`
in the max norm. Points that stay are followed: of them `|z| <= 1`, all branches but one are silent,
and zeros add nothing.
"""

import dataclasses
import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import jax.numpy as jnp
import numpy as np

from ..._arithmetic.rounding import gamma, is_power_of_two, unit_roundoff
from ...systems import IFS, sierpinski_carpet
from .branches import cell_rows
from .limits import Limits

_SAFETY = 1 + 2.0**-8


@dataclasses.dataclass(frozen=True)
class Drift:
    """Excesses are off by at most `base + factor * delta`."""

    base: float
    factor: float

    def at(self, delta: float) -> float:
        return self.base + self.factor * delta

    def radius(self, tolerated: float) -> float:
        """The largest `delta` that is tolerated."""
        return (tolerated - self.base) / self.factor


def branch_drifts(system: IFS, limits: Limits, dtype: Any) -> Iterator[Drift]:
    """The drift of the excesses at level 1, 2, ... of the network of branches."""
    u = unit_roundoff(dtype)
    first, later = (_branch_rounding(system, limits, dtype, u, reach) for reach in (1.0, 3.0))
    if not _silences(system, later[2], u):
        return
    norms = [_Norm(system, order) for order in (np.inf, 2)]
    rounding = first
    while True:
        clip, edge, excess = rounding
        drifts = [Drift((n.stretch * n.base + excess) * _SAFETY, n.stretch * n.factor) for n in norms]
        yield min(drifts, key=lambda drift: drift.at(u))
        for norm in norms:
            norm.advance(clip, edge, 4 * u)
        rounding = later


class _Norm:
    """Errors of the coordinates `z` in one norm."""

    def __init__(self, system: IFS, order: float):
        inverses = np.asarray(system.inverses[0], float)
        self.stretch = float(max(np.linalg.norm(matrix, order) for matrix in inverses)) * (1 + 2.0**-40)
        self.scale = 1.0 if order == np.inf else math.sqrt(system.size)
        self.base, self.factor, self.straight = 0.0, self.scale, order == np.inf

    def advance(self, clip: float, edge: float, sums: float) -> None:
        # Where relu(u - 1) is positive u is clipped: its error then counts instead of the one carried on.
        carried = self.stretch * self.base
        carried = max(carried, edge) if self.straight else carried + self.scale * edge
        self.base = carried + self.scale * (clip + sums)
        self.factor *= self.stretch


def _branch_rounding(system: IFS, limits: Limits, dtype: Any, u: float, reach: float) -> tuple[float, float, float]:
    """Of `u + 1` and `u - 1` in the cell of the point, and of `u` beside the threshold in any cell.

    `reach` bounds what comes in: `|x| <= 1` at first, `z + 2 <= 3` later.
    """
    found = [0.0, 0.0, 0.0]
    threshold = Fraction(limits.threshold)
    for row, offset in cell_rows(system, first=reach == 1):
        weights = [weight for weight in row if weight]
        for kind, biases in enumerate(
            ((offset + 1,), (offset - 1,), (offset - 1 - threshold, -offset - 1 - threshold))
        ):
            result = 2 + abs(limits.threshold) if kind < 2 else None
            for bias in biases:
                found[kind] = max(found[kind], _affine_rounding(weights, bias, reach, result, dtype, u))
    return tuple(value * _SAFETY for value in found)  # pyright: ignore[reportReturnType]


def _affine_rounding(
    weights: list[Fraction], bias: Fraction, reach: float, result: float | None, dtype: Any, u: float
) -> float:
    """Of `sum_k w_k x_k + bias` with `|x| <= reach`: stored coefficients, products, and sums in any order."""
    stored = sum(_storage(weight, dtype) for weight in weights) * reach + _storage(bias, dtype)
    products = sum(half_ulp(float(abs(w)) * reach, u) for w in weights if not is_power_of_two(abs(w)))
    moduli = float(sum(abs(weight) for weight in weights)) * reach + abs(float(bias))
    sums = (len(weights) - 1) * half_ulp(moduli, u) + half_ulp(moduli if result is None else result, u)
    return stored + products + sums


def _silences(system: IFS, excess: float, u: float) -> bool:
    """Whether rounding in the other branches is small beside what is kept for it."""
    matrices, shifts = (np.abs(part).astype(float) for part in system.inverses)
    largest = 3 * float((matrices.sum(axis=2)).max()) + float(shifts.max()) + 3
    terms = 2 * system.size + 4
    return terms * u < 0.25 and gamma(terms, u) * 3 * largest + 2 * excess <= 0.125


def fold_drifts(system: IFS, limits: Limits, dtype: Any) -> Iterator[Drift]:
    """The drift of the excesses at level 1, 2, ... of the continuous fold."""
    u, base, factor, reach = unit_roundoff(dtype), 0.0, 1.0, 1.0
    carpet = sierpinski_carpet(system.size)
    # The coefficients are floats next to thirds; the fold has exact ones.
    thirds = 8 * max(abs(float(Fraction(float(value)) - Fraction(round(3 * value), 3))) for value in _values(carpet))
    while True:
        product = half_ulp(3 * reach, u)
        edge = -1 - Fraction(limits.threshold) - (0 if reach == 1 else 6)
        seen = product + half_ulp(4.0, u) + _storage(edge, dtype)
        yield Drift((3 * base + seen + thirds) * _SAFETY, 3 * factor)
        # relu(3z + 4) <= 7, 2 relu(3z + 1) <= 8, 2 relu(3z - 1) <= 4; their partial sums stay below 16.
        units = sum(height * (product + half_ulp(top, u)) for height, top in ((1, 7.0), (2, 4.0), (2, 2.0)))
        base = 3 * base + (units + 2 * half_ulp(15.0, u) + half_ulp(3.0, u)) * _SAFETY + thirds
        factor, reach = 3 * factor, 3.0


def _values(system: IFS) -> list[float]:
    return [*np.unique(system.linear.array).tolist(), *np.unique(system.offsets.array).tolist()]


def is_exact_at_any_level(system: IFS, limits: Limits, dtype: Any) -> bool:
    """Whether the network of branches never rounds on the way of points that stay.

    Where all cells keep a distance from the hyperplanes `x_j = 0`, their points are multiples of one
    power of two, and if inverse maps and biases are too, so is all that is computed; it is exact as
    long as its moduli fit the digits of the dtype.
    """
    digits = jnp.finfo(dtype).nmant + 1
    nearest = float((np.abs(system.offsets.array) - np.abs(system.linear.array).sum(axis=2)).min())
    if nearest <= 0:
        return False
    step = Fraction(2) ** (math.floor(math.log2(nearest)) + 1 - digits)
    threshold = 1 + Fraction(limits.threshold)
    for reach in (1, 3):
        steps = []
        for row, offset in cell_rows(system, first=reach == 1):
            biases = [offset + 1, offset - 1, offset - threshold, -offset - threshold]
            found = _exact_step(row, biases, step, reach, digits)
            if found is None:
                return False
            steps.append(found)
        step = min(steps)
        if step * 2**digits <= 3:  # v = clip(u) + 2, and the sums on the way
            return False
    return True


def _exact_step(row: Any, biases: list[Fraction], step: Fraction, reach: int, digits: int) -> Fraction | None:
    """The power of two of which `u` is a multiple, or `None` where a sum may round."""
    if any(_quantum(value) is None for value in (*row, *biases)):
        return None
    quanta = [_quantum(weight) * step for weight in row if weight]  # pyright: ignore[reportOptionalOperand]
    on_path = min([*quanta, _quantum(biases[0])])  # pyright: ignore[reportArgumentType]
    finest = min([on_path, *(_quantum(bias) for bias in biases)])  # pyright: ignore[reportArgumentType]
    weights = [abs(weight) for weight in row if weight]
    if len(weights) == 1:  # one product and one sum, at most 2 beside the threshold
        moduli = max(Fraction(5, 2), Fraction(0) if is_power_of_two(weights[0]) else weights[0] * reach)
    else:
        moduli = sum(weights) * reach + max(abs(bias) for bias in biases)
    return on_path if moduli < finest * 2**digits else None


def _quantum(value: Fraction) -> Fraction | None:
    """The largest power of two of which a dyadic number is a multiple; `None` for other numbers."""
    if value == 0:
        return Fraction(2) ** 64
    below = value.denominator
    if below & (below - 1):
        return None
    return Fraction(value.numerator & -value.numerator, below)


def half_ulp(value: float, u: float) -> float:
    """The rounding error of a result of modulus up to `value`."""
    return u * 2.0 ** math.floor(math.log2(value)) if value > 0 else 0.0


def _storage(value: Fraction, dtype: Any) -> float:
    return float(abs(Fraction(float(np.asarray(float(value)).astype(dtype))) - value))
