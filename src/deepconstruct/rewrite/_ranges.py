"""What units can be on a box: over the reals, in rational numbers, and in the running network."""

from fractions import Fraction
from typing import Any

import numpy as np

from .._arithmetic.running import Enclosure, affine, through
from ..activations import AbstractActivation, Exp, Identity, Power, ReLU, Sigmoid, Softplus, Square, Step, Tanh
from ..network import Layer
from ._core import Rows

# The sums of layers with more weights are not bounded.
_MOST_WEIGHTS = 2**16

Ends = tuple[np.ndarray, np.ndarray]


def everything(size: int) -> Ends:
    """All numbers."""
    return np.full(size, -np.inf), np.full(size, np.inf)


def real_sums(units: Rows, held: Ends) -> Ends:
    """Bounds of `W h + b` for `h` in a box: exact ones, rounded outward to double precision."""
    found = everything(units.out_size)
    if len(units.values) > _MOST_WEIGHTS:
        return found
    for unit, (cols, values) in enumerate(units.parts()):
        ends = [(held[0][cols], held[1][cols]), (held[1][cols], held[0][cols])]
        for side, (for_positive, for_negative) in enumerate(ends):
            terms = np.where(values > 0, for_positive, for_negative)
            if np.all(np.isfinite(terms)):
                pairs = zip(values.tolist(), terms.tolist(), strict=True)
                total = sum((Fraction(a) * Fraction(b) for a, b in pairs), start=Fraction(units.bias[unit]))
                found[side][unit] = _outward(total, side)
    return found


def behind(units: Rows, sums: Ends) -> Ends:
    """What units give whose sums lie between these ends."""
    pairs = [_range(*unit) for unit in zip(units.activations, *(end.tolist() for end in sums), strict=True)]
    low, high = (np.array(end, float) for end in zip(*pairs, strict=True))
    return low, high


def _range(kind: AbstractActivation, low: float, high: float) -> tuple[float, float]:
    """What is certain without evaluating anything that rounds; all numbers where nothing is."""
    if type(kind) is Identity:
        return low, high
    if type(kind) is ReLU:
        return max(low, 0.0), max(high, 0.0)
    if type(kind) is Step:
        return float(low > 0), float(high > 0)
    if type(kind) in (Square, Power):
        return _power(degree(kind) or 1, low, high)
    bounds = {Sigmoid: (0.0, 1.0), Tanh: (-1.0, 1.0), Exp: (0.0, np.inf), Softplus: (0.0, np.inf)}
    return bounds.get(type(kind), (-np.inf, np.inf))


def _power(n: int, low: float, high: float) -> tuple[float, float]:
    is_even = n % 2 == 0
    if not np.isfinite([low, high]).all():
        return (0.0 if is_even else -np.inf), np.inf
    ends = sorted(Fraction(end) ** n for end in (low, high))
    if is_even and low <= 0 <= high:
        ends[0] = Fraction(0)
    return _outward(ends[0], 0), _outward(ends[1], 1)


def _outward(value: Fraction, side: int) -> float:
    """A float that isn't above a number (side 0), or isn't below it (side 1)."""
    beyond = np.inf if side else -np.inf
    if abs(value) > 2**1000:
        return beyond
    number = float(value)
    is_outside = Fraction(number) >= value if side else Fraction(number) <= value
    return number if is_outside else float(np.nextafter(number, beyond))


def running_sums(layers: tuple[Layer, ...], box: Ends, dtype: Any) -> list[Ends | None]:
    """What the pre-activations of layers can be, over the reals and in the running network; `None` if not known."""
    kind = np.longdouble if np.dtype(dtype) == np.float64 else np.float64
    low, high = (end.astype(kind)[None] for end in box)
    held, found = Enclosure(low, high, np.zeros(low.shape)), []
    for layer in layers:
        try:
            found.append(_ends(affine(layer, held, dtype)))
            held = through(layer, held, dtype)
        except (TypeError, ValueError):
            return [*found, *[None] * (len(layers) - len(found))]
    return found


def _ends(sums: Enclosure) -> Ends:
    with np.errstate(invalid="ignore"):
        low, high = sums.low[0] - sums.error[0], sums.high[0] + sums.error[0]
    low, high = np.where(np.isnan(low), -np.inf, low), np.where(np.isnan(high), np.inf, high)
    return np.nextafter(low.astype(float), -np.inf), np.nextafter(high.astype(float), np.inf)


def degree(kind: AbstractActivation) -> int | None:
    """Of a unit whose sum is scaled, what power of that its output is scaled by; `None` where it may not be scaled."""
    if type(kind) in (Identity, ReLU):
        return 1
    if type(kind) is Step:
        return 0
    if type(kind) is Square:
        return 2
    return kind.n if type(kind) is Power else None
