"""Values of targets as intervals: exact where there are exact values, else as they come out in floating point."""

import dataclasses
from fractions import Fraction
from typing import Any

import numpy as np

from ..._arithmetic.running import Enclosure
from ..._flint import flint_text, has_flint
from ...targets import AbstractTarget
from ...targets.exact import is_ball

FLOATING = "the target was evaluated in floating point"


@dataclasses.dataclass(frozen=True)
class Values:
    """Values lie in `[low, high]`, in extended precision where the platform has it."""

    low: np.ndarray
    high: np.ndarray


def value_kind(target: AbstractTarget) -> str | None:
    """How values of a target are found: `"rational"`, `"balls"`, or `None` for floating point."""
    return None if target.exactness == "balls" and not has_flint() else target.exactness


def value_trust(kind: str | None) -> tuple[str, ...]:
    """What a certificate trusts for values of a kind."""
    return {"rational": (), "balls": (flint_text(),) if kind == "balls" else (), None: (FLOATING,)}[kind]


def target_values(target: AbstractTarget, x: np.ndarray, kind: str | None) -> Values:
    """Real values of a target at floats `(batch, in)`.

    Raises:
        TypeError: complex values.
        ValueError: inputs that exact values aren't about.
    """
    if kind is None:
        wide = target.wide(x)
        if np.iscomplexobj(wide):
            raise TypeError("values are complex")
        return Values(wide, wide)
    found = target.exact(x)
    if found.dtype != object:
        low = found.astype(np.longdouble)
        if np.array_equal(low.astype(found.dtype), found):
            return Values(low, low)
        found = found.astype(object)
    return _ends(found)


def _ends(values: np.ndarray) -> Values:
    # Values of a table are few different objects.
    known: dict[int, tuple[np.longdouble, np.longdouble]] = {}
    flat = values.ravel().tolist()
    for value in flat:
        if id(value) not in known:
            known[id(value)] = _ball_ends(value) if is_ball(value) else _fraction_ends(value)
    low, high = (np.array([known[id(value)][end] for value in flat], np.longdouble) for end in (0, 1))
    return Values(low.reshape(values.shape), high.reshape(values.shape))


def _fraction_ends(value: Any) -> tuple[np.longdouble, np.longdouble]:
    """The number itself if it is a float of extended precision, else those around it."""
    first = np.longdouble(float(value))
    near = first + np.longdouble(float(value - _fraction(first)))
    off = value - _fraction(near)
    down, up = (np.nextafter(near, np.longdouble(side)) for side in (-np.inf, np.inf))
    return (near if off >= 0 else down), (near if off <= 0 else up)


def _fraction(value: np.longdouble) -> Fraction:
    return Fraction(*value.as_integer_ratio())


def _ball_ends(value: Any) -> tuple[np.longdouble, np.longdouble]:
    if type(value).__name__ == "acb":
        if not value.imag == 0:
            raise TypeError("values are complex")
        value = value.real
    middle, radius = (_dyadic(part) for part in (value.mid(), value.rad()))
    return _fraction_ends(middle - radius)[0], _fraction_ends(middle + radius)[1]


def _dyadic(value: Any) -> Fraction:
    """An exact ball as a fraction."""
    mantissa, exponent = (int(part) for part in value.man_exp())
    if abs(exponent) > 2**16:
        raise ValueError("values are too large or too small for fractions")
    return Fraction(mantissa) * Fraction(2) ** exponent


def gaps(units: Enclosure, values: Values) -> np.ndarray:
    """Bounds of `|unit - value|`, rounded up: 0 just where both are one number."""
    low, high = units.low.astype(np.longdouble), units.high.astype(np.longdouble)
    return np.maximum(summed_up(high, -values.low), summed_up(values.high, -low))


def summed_up(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Sums rounded up: what a sum was rounded by is a float, after Knuth."""
    total = a + b
    part = total - a
    rest = (a - (total - part)) + (b - part)
    return np.where(rest > 0, np.nextafter(total, np.longdouble(np.inf)), total)
