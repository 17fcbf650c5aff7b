"""Extended precision, where the platform has it, and bounds rounded up in it."""

import math

import numpy as np

from ...domains.floats import quanta

WIDE = np.dtype(np.longdouble if np.finfo(np.longdouble).nmant in (52, 63, 112) else np.float64)
EPS = np.finfo(WIDE).eps
_BITS = np.finfo(WIDE).nmant


def is_exact_sum(terms: np.ndarray) -> bool:
    """Whether numbers, in double precision, add up without rounding whatever their signs and order."""
    return bool(quanta(terms.reshape(-1)).min(initial=np.inf) * 2.0**_BITS >= np.abs(terms).sum())


def times_up(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Products of numbers that aren't negative, rounded up where they may be rounded."""
    product = first * second
    with np.errstate(over="ignore", invalid="ignore"):
        grid = _quanta(first) * _quanta(second)
        return np.where((product == 0) | (grid * 2.0**_BITS >= product), product, product * (1 + 4 * EPS))


def plus_up(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Sums of numbers that aren't negative, rounded up where they may be rounded."""
    return plus_outward(first, second) if np.any(first) or np.any(second) else first + second


def plus_outward(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Sums, rounded up where they may be rounded."""
    size, grid = np.abs(first) + np.abs(second), np.minimum(_quanta(first), _quanta(second))
    return first + second + np.where((size == 0) | (grid * 2.0**_BITS >= size), 0.0, 4 * EPS * size)


def up(value: float | np.floating) -> float:
    """A double that isn't smaller."""
    narrow = float(value)
    return narrow if narrow >= value else math.nextafter(narrow, math.inf)


def _quanta(values: np.ndarray) -> np.ndarray:
    """The largest powers of two of which numbers are multiples; 0 for those that double precision doesn't hold."""
    narrow = values.astype(np.float64)
    return np.where(narrow == values, quanta(narrow), 0.0)
