"""Floats inside an interval, made of integers: ends, neighbors, zeros, all magnitudes."""

from typing import Any

import jax.numpy as jnp
import numpy as np

# What a coordinate is, by its word modulo this; the rest of the word says which.
_KINDS = 16
# How a whole row is made, by its first word.
_ROWS = 8


def inner_ends(low: float, high: float, dtype: Any) -> tuple[Any, Any]:
    """The least and the largest number of a floating dtype in `[low, high]`; the least is larger if there are none."""
    kind = np.dtype(dtype)
    with np.errstate(over="ignore", under="ignore"):
        first, last = np.asarray(low).astype(kind), np.asarray(high).astype(kind)
        if first < low if kind == np.longdouble else float(first) < low:
            first = np.nextafter(first, np.asarray(np.inf, kind))
        if last > high if kind == np.longdouble else float(last) > high:
            last = np.nextafter(last, np.asarray(-np.inf, kind))
    return np.asarray(first)[()], np.asarray(last)[()]


def floats_between(words: np.ndarray, low: Any, high: Any, dtype: np.dtype) -> np.ndarray:
    """Numbers of a dtype between ends of that dtype, one a word; the ends broadcast against the words.

    Word 0 gives the low end, 1 the high one. Of the others a quarter are ends and their neighbors, an
    eighth zeros and subnormal, a quarter of any magnitude, the rest uniform.
    """
    kind, which = words % np.uint64(_KINDS), words // np.uint64(_KINDS)
    low, high = (np.broadcast_to(np.asarray(end, dtype), words.shape) for end in (low, high))
    negative, share = which % np.uint64(2) == 1, (which // np.uint64(2)).astype(np.float64) / 2.0**58
    with np.errstate(all="ignore"):
        between = low.astype(np.longdouble) * (1 - share) + high.astype(np.longdouble) * share
        found = between.astype(dtype)
        sized = _any_magnitude(share, low, high, dtype)
        found = np.where(kind < 8, np.where(negative, -sized, sized), found)
        tiny = (np.ceil(share * 64) * float(jnp.finfo(dtype).smallest_subnormal)).astype(dtype)
        found = np.where(kind == 5, np.where(negative, -tiny, tiny), found)
        found = np.where(kind == 4, np.zeros((), dtype), found)
        inward = np.where(negative, np.nextafter(low, high), np.nextafter(high, low))
        found = np.where(kind == 3, inward, found)
        found = np.where(kind == 2, np.where(negative, low, high), found)
        found = np.where(kind < 2, np.where(kind == 0, low, high), found)
    return np.minimum(np.maximum(found, low), high)


def _any_magnitude(share: np.ndarray, low: Any, high: Any, dtype: np.dtype) -> np.ndarray:
    """Moduli up to that of the larger end, with exponents spread evenly down to the smallest normal number."""
    least = np.log2(float(jnp.finfo(dtype).smallest_normal))
    most = np.log2(np.maximum(np.maximum(np.abs(low), np.abs(high)).astype(np.longdouble), 2.0**least))
    return np.exp2(least + share * (most - least)).astype(dtype)


def box_rows(words: np.ndarray, low: Any, high: Any, dtype: np.dtype) -> np.ndarray:
    """Vectors of a box, one a row of `1 + n` words: some are corners, some tiny in all coordinates."""
    row, rest = words[:, :1] % np.uint64(_ROWS), words[:, 1:]
    # The kinds of `floats_between`: one end, the other, any corner, zeros and subnormal; else each as it comes.
    kinds = np.where(rest % np.uint64(2) == 1, np.uint64(5), np.uint64(4))
    forced = np.select([row == 1, row == 2, row == 3, row == 4], [0, 1, 2, 0], 0).astype(np.uint64)
    kinds = np.where(row == 4, kinds, forced)
    chosen = (row >= 1) & (row <= 4)
    rest = np.where(chosen, rest // np.uint64(_KINDS) * np.uint64(_KINDS) + kinds, rest)
    return floats_between(rest, low, high, dtype)


def are_floats(values: np.ndarray, dtype: Any) -> bool:
    """Whether a dtype holds all of the numbers, given in double precision."""
    with np.errstate(over="ignore", under="ignore"):
        held = values.astype(jnp.finfo(dtype).dtype).astype(np.float64)
    return bool(np.array_equal(held, values))


def quanta(values: np.ndarray) -> np.ndarray:
    """The largest powers of two of which the numbers, in double precision, are multiples; infinite for 0."""
    mantissa, exponent = np.frexp(values)
    digits = np.abs(np.ldexp(mantissa, 53)).astype(np.int64)
    lowest = (digits & -digits).astype(float)
    return np.where(values == 0, np.inf, np.ldexp(lowest, exponent - 53))
