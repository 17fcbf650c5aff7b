"""Approximation curves: how much of a fractal distribution is seen at which level.

`P(j)` is the accuracy of the indicator of `K_j` on a distribution of depth `n`: it misses the
negative points that leave at levels beyond `j`. `P(0) = 1/2`, `P(n) = 1`, and `P` doesn't fall.
Coarse distributions have their negatives at the first levels, fine ones at the last.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from .._checks import check_scalar, check_size
from .._static import StaticArray

_ROUNDING = 1e-12


@dataclasses.dataclass(frozen=True)
class Curve:
    """A family of approximation curves, one for every depth; call it with the depth.

    Attributes:
        name: shown in tables.
        parameter: what tells it from others of its name.
    """

    name: str
    parameter: Any = None

    def __call__(self, level: int) -> np.ndarray:
        """`P(0), ..., P(level)`, shape `(level + 1,)`.

        Raises:
            ValueError: a level below 1, or one that the curve doesn't fit.
        """
        level = check_size("data.Curve", "level", level)
        return _FAMILIES[self.name](level, self.parameter)

    def __repr__(self) -> str:
        if isinstance(self.parameter, StaticArray):
            return f"curve({self.parameter.array.tolist()})"
        return self.name if self.parameter is None else f"{self.name}({self.parameter:g})"


coarse = Curve("coarse")
"""All negatives leave at the first level: `P = (1/2, 1, ..., 1)`."""

fine = Curve("fine")
"""All negatives leave at the last level: `P = (1/2, ..., 1/2, 1)`."""

linear = Curve("linear")
"""As many negatives at every level: `P(j) = 1/2 + j / (2 n)`."""


def power(exponent: float) -> Curve:
    """Weights `j^exponent`: the larger the exponent, the finer.

    On its way from level 1 to `n` a point leaves at level `j` with probability `1 - 2^-w_j`, where the
    weights `w_j` are proportional to `j^exponent` and add up to 1; so `P(j) = 3/2 - 2^-(w_1 + ... + w_j)`.

    Args:
        exponent: finite and at least 0; at 0 all levels weigh the same.

    Raises:
        ValueError: a negative or infinite exponent.

    Source: Malach & Shalev-Shwartz's experiments: their curves 1, 4 and 5 are the exponents 0, 5 and 9.

    Example:
        >>> import deepconstruct as dc
        >>> dc.data.power(0)(2).round(3).tolist()
        [0.5, 0.793, 1.0]
    """
    return Curve("power", check_scalar("data.power", "exponent", exponent))


def finest(count: int) -> Curve:
    """Equal weights (see `power`) at the finest `count` levels, and no negatives before.

    Args:
        count: at least 1, and at most the level that it is used at.

    Raises:
        ValueError: a count below 1; when it is called, one above the level.

    Source: Malach & Shalev-Shwartz's experiments: their curves 6, 3 and 2 are the counts 1, 2 and 3.

    Example:
        >>> import deepconstruct as dc
        >>> dc.data.finest(1)(3).tolist()
        [0.5, 0.5, 0.5, 1.0]
    """
    return Curve("finest", check_size("data.finest", "count", count))


def curve(values: Any) -> Curve:
    """The curve with these values, for one depth.

    Args:
        values: `P(0), ..., P(n)`, with `P(0) = 1/2`, `P(n) = 1`, not falling.

    Raises:
        ValueError: other values; when it is called, another level than `n`.

    Example:
        >>> import deepconstruct as dc
        >>> dc.data.curve([0.5, 0.75, 1.0])(2).tolist()
        [0.5, 0.75, 1.0]
    """
    try:
        array = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"data.curve: expected numbers P(0), ..., P(n); got {values!r}") from None
    if array.ndim != 1 or len(array) < 2 or not np.all(np.isfinite(array)):
        raise ValueError(f"data.curve: expected at least two finite values P(0), ..., P(n); got {values!r}")
    if abs(array[0] - 0.5) > _ROUNDING or abs(array[-1] - 1) > _ROUNDING:
        raise ValueError(f"data.curve: P must start at 1/2 and end at 1; got {array[0]:g} and {array[-1]:g}")
    falls = np.flatnonzero(np.diff(array) < -_ROUNDING)
    if len(falls):
        at = int(falls[0])
        raise ValueError(
            f"data.curve: P must not fall; got P({at}) = {array[at]:g} and P({at + 1}) = {array[at + 1]:g}"
        )
    return Curve("values", StaticArray(np.clip(np.maximum.accumulate(array), 0.5, 1.0)))


def as_curve(value: Any) -> Curve:
    """A curve, or values of one."""
    return value if isinstance(value, Curve) else curve(value)


def _steps(level: int, at: int) -> np.ndarray:
    return np.where(np.arange(level + 1) < at, 0.5, 1.0)


def _from_weights(weights: np.ndarray) -> np.ndarray:
    shares = np.concatenate([[0.0], np.cumsum(weights / weights.sum())])
    values = 1.5 - 2.0**-shares
    values[-1] = 1.0
    return values


def _power(level: int, exponent: float) -> np.ndarray:
    # Relative to the last level, so that large exponents don't overflow.
    return _from_weights((np.arange(1, level + 1) / level) ** exponent)


def _finest(level: int, count: int) -> np.ndarray:
    if count > level:
        raise ValueError(f"data.finest: count is {count}, but there are only {level} levels")
    return _from_weights((np.arange(level) >= level - count).astype(float))


def _values(level: int, values: StaticArray) -> np.ndarray:
    if len(values.array) != level + 1:
        raise ValueError(f"data.curve: P has values for level {len(values.array) - 1}; got level {level}")
    return values.array.copy()


_FAMILIES: dict[str, Callable[[int, Any], np.ndarray]] = {
    "coarse": lambda level, _: _steps(level, 1),
    "fine": lambda level, _: _steps(level, level),
    "linear": lambda level, _: np.linspace(0.5, 1.0, level + 1),
    "power": _power,
    "finest": _finest,
    "values": _values,
}
