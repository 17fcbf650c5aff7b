"""What makes maps a system: invertible, contractive, inside the cube, apart."""

import functools
import itertools
from typing import Any

import numpy as np

from .._static import StaticArray

# Cells nearer than this, in units of half their edges, are taken to touch.
TOUCHING = 1e-12

# What the rounding of coefficients such as 1/3 and 2/3 may add to the extent of an image.
_ROUNDING = 2.0**-50

_SINGULAR = 1e-12
_PAIRS = 2**12


def as_maps(linear: Any, offsets: Any) -> tuple[np.ndarray, np.ndarray]:
    """The coefficients as float64 arrays `(r, d, d)` and `(r, d)`.

    Raises:
        ValueError: other shapes, NaN or infinity.
    """
    linear, offsets = _as_real("linear", linear), _as_real("offsets", offsets)
    if linear.ndim != 3 or 0 in linear.shape or linear.shape[1] != linear.shape[2]:
        raise ValueError(f"IFS: linear must have shape (r, d, d), one matrix a map; got {linear.shape}")
    if offsets.shape != linear.shape[:2]:
        raise ValueError(f"IFS: offsets must have shape {linear.shape[:2]}, one vector a map; got {offsets.shape}")
    for index, (matrix, offset) in enumerate(zip(linear, offsets, strict=True)):
        if not (np.all(np.isfinite(matrix)) and np.all(np.isfinite(offset))):
            raise ValueError(f"IFS: map {index} has NaN or infinite coefficients")
    return linear, offsets


def _as_real(name: str, values: Any) -> np.ndarray:
    try:
        array = np.asarray(values)
        if np.iscomplexobj(array):
            raise TypeError
        return array.astype(np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"IFS: {name} must be an array of real numbers; got {values!r}") from None


def check_maps(linear: np.ndarray, offsets: np.ndarray) -> None:
    """Refuse maps that aren't invertible, contractive, and into the cube, each by its number."""
    for index, (matrix, offset) in enumerate(zip(linear, offsets, strict=True)):
        stretches = np.linalg.svd(matrix, compute_uv=False)
        if stretches[-1] <= _SINGULAR * stretches[0]:
            raise ValueError(
                f"IFS: map {index} is not invertible: it stretches by {stretches[0]:.3g} at most "
                f"and by {stretches[-1]:.3g} at least"
            )
        if stretches[0] >= 1:
            raise ValueError(
                f"IFS: map {index} is not contractive: it stretches some direction by {stretches[0]:.6g}; "
                "all factors must be below 1"
            )
        reach = np.abs(offset) + np.sum(np.abs(matrix), axis=1)
        if np.any(reach > 1 + _ROUNDING):
            axis = int(np.argmax(reach))
            raise ValueError(
                f"IFS: map {index} leaves the cube: its image of [-1, 1]^{len(offset)} reaches "
                f"{reach[axis]:.6g} along axis {axis}; shrink or shift it"
            )


@functools.lru_cache(maxsize=256)
def smallest_gap(linear: StaticArray, offsets: StaticArray) -> tuple[float, tuple[int, int]]:
    """By how much any two cells can be inflated before they meet, and which two meet first.

    In units of half their own edges, in cell coordinates: the least `s` such that some `x` has
    `max |F_i^-1 x| <= 1 + s` and `max |F_k^-1 x| <= 1 + s`. Below 0, cells overlap. One linear
    program a pair, many of them solved as one.
    """
    maps, shifts = linear.array, offsets.array
    best, which = np.inf, (0, 0)
    pairs = np.array(list(itertools.combinations(range(len(maps)), 2)), int).reshape(-1, 2)
    for start in range(0, len(pairs), _PAIRS):
        some = pairs[start : start + _PAIRS]
        gaps = _gaps(maps, shifts, some)
        at = int(np.argmin(gaps))
        if gaps[at] < best:
            best, which = float(gaps[at]), (int(some[at, 0]), int(some[at, 1]))
    return best, which


def _gaps(maps: np.ndarray, shifts: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    from scipy.optimize import linprog
    from scipy.sparse import coo_array

    size, count = maps.shape[1], len(pairs)
    first, second = pairs.T
    inverses = np.linalg.inv(maps[second])
    # Unknown are the coordinates w in the first cell, and s; those in the second are matrix @ w + shift.
    matrices = inverses @ maps[first]
    moved = np.einsum("nij,nj->ni", inverses, shifts[first] - shifts[second])
    rows = np.zeros((count, 4 * size, size + 1))
    rows[:, :size, :size], rows[:, size : 2 * size, :size] = np.eye(size), -np.eye(size)
    rows[:, 2 * size : 3 * size, :size], rows[:, 3 * size :, :size] = matrices, -matrices
    rows[:, :, size] = -1
    limits = np.concatenate([np.ones((count, 2 * size)), 1 - moved, 1 + moved], axis=1)
    block, row, column = np.nonzero(rows)
    sparse = coo_array(
        (rows[block, row, column], (block * 4 * size + row, block * (size + 1) + column)),
        shape=(count * 4 * size, count * (size + 1)),
    ).tocsc()
    cost = np.tile(np.append(np.zeros(size), 1.0), count)
    tolerances = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
    found = linprog(cost, sparse, limits.ravel(), bounds=(None, None), method="highs-ds", options=tolerances)
    if found.x is None:
        raise ValueError(f"IFS: the linear program for the gap between cells failed: {found.message}")
    return found.x.reshape(count, size + 1)[:, size]


def check_overlap(linear: StaticArray, offsets: StaticArray) -> float:
    """Refuse overlapping images; return the gap, 0 where some touch."""
    gap, (first, second) = smallest_gap(linear, offsets)
    if gap < -TOUCHING:
        raise ValueError(
            f"IFS: maps {first} and {second} overlap: their images of the cube share interior points "
            f"(shrink both by {-gap:.3g} of their size, or move them apart)"
        )
    return 0.0 if gap <= TOUCHING else gap
