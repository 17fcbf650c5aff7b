"""The part of the cube that no cell covers, as boxes; and points moved into cells."""

import functools
from typing import Any, NamedTuple

import numpy as np

from .._static import StaticArray
from .tracking import nearest, wide_inverses

# At most about so many boxes are made, thinner ones are dropped, and faces nearer than this are one.
_BOXES, _THIN, _NEAR = 2**13, 1e-9, 1e-12
_TRIED = 2**14


class Gap(NamedTuple):
    """Boxes that cover what is left of the cube, and how much of it each has.

    Attributes:
        boxes: lowest and highest corners, shape `(m, 2, d)`; none if nothing is left.
        shares: the volumes of the first `k` boxes, as shares of all, shape `(m,)`.
        points: some points that are left, shape `(count, d)`.
        is_tight: whether no box reaches into a cell.
    """

    boxes: StaticArray
    shares: StaticArray
    points: StaticArray
    is_tight: bool


@functools.lru_cache(maxsize=256)
def gap_of(linear: StaticArray, offsets: StaticArray, inner: float, outer: float) -> Gap:
    """Where `max |x| <= 1 - inner` and `x` exceeds all cells by `outer`, covered tightly by boxes.

    Boxes are halved until they lie in a cell or clear of all. Where cells have the axes' directions they
    are cut at faces, so that what is left is covered exactly; else some boxes reach into cells.
    """
    inverses = wide_inverses(linear, offsets)
    matrices, shifts = (part.astype(np.float64) for part in inverses)
    size = matrices.shape[1]
    pending = np.stack([np.full(size, inner - 1.0), np.full(size, 1.0 - inner)])[None]
    free = np.empty((0, 2, size))
    while len(pending) and len(pending) + len(free) < _BOXES:
        covered, clear, open_cell = _classified(matrices, shifts, pending, 1 + outer)
        free, rest = np.concatenate([free, pending[clear]]), ~(covered | clear)
        pending = pending[rest]
        if len(pending):
            pending = _halves(matrices, shifts, pending, open_cell[rest], 1 + outer)
    boxes = np.concatenate([free, pending])
    generator = np.random.default_rng(0)
    shares = np.cumsum(np.prod(boxes[:, 1] - boxes[:, 0], axis=1))
    shares = shares / shares[-1] if len(boxes) else shares
    points = uniform_in(boxes, shares, _TRIED, generator)
    excess, _ = nearest(np, inverses, list(points.astype(np.longdouble).T)) if len(points) else (np.zeros(0), None)
    left = points[excess >= outer if outer > 0 else excess > 0]
    boxes, shares = (boxes, shares) if len(left) else (boxes[:0], shares[:0])
    return Gap(StaticArray(boxes), StaticArray(shares), StaticArray(left), not len(pending))


def _classified(matrices: np.ndarray, shifts: np.ndarray, boxes: np.ndarray, limit: float) -> tuple[np.ndarray, ...]:
    """Which boxes lie in a cell, which are clear of all, and for the others a cell that they cut."""
    centers, halves = boxes.mean(axis=1), (boxes[:, 1] - boxes[:, 0]) / 2
    middle = np.abs(np.einsum("rij,nj->nri", matrices, centers) + shifts)
    reach = np.einsum("rij,nj->nri", np.abs(matrices), halves)
    covered = np.all(middle + reach <= limit + _NEAR, axis=2).any(axis=1)
    apart = np.any(middle - reach >= limit - _NEAR, axis=2)
    return covered, apart.all(axis=1), np.argmin(apart, axis=1)


def _halves(matrices: np.ndarray, shifts: np.ndarray, boxes: np.ndarray, cell: np.ndarray, limit: float) -> np.ndarray:
    """Cut every box in two, at a face of its cell where that is parallel to the axes."""
    low, high = boxes[:, 0], boxes[:, 1]
    rows, steps = matrices[cell], shifts[cell]
    straight = np.count_nonzero(rows, axis=2) == 1
    axes = np.argmax(np.abs(rows), axis=2)
    slope = np.take_along_axis(rows, axes[:, :, None], axis=2)[:, :, 0]
    faces = (np.array([-limit, limit])[:, None, None] - steps) / slope
    first, last = np.take_along_axis(low, axes, 1), np.take_along_axis(high, axes, 1)
    cuts = straight & (faces > first + _NEAR) & (faces < last - _NEAR)
    found = cuts.transpose(1, 0, 2).reshape(len(boxes), -1)
    which = np.argmax(found, axis=1)
    every = np.arange(len(boxes))
    # Elsewhere across the side that the cell's coordinates depend on most.
    longest = np.argmax(np.abs(rows).max(axis=1) * (high - low), axis=1)
    side, row = np.divmod(which, axes.shape[1])
    any_cut = found.any(axis=1)
    axis = np.where(any_cut, axes[every, row], longest)
    at = np.where(any_cut, faces[side, every, row], (low[every, axis] + high[every, axis]) / 2)
    below, above = boxes.copy(), boxes.copy()
    below[every, 1, axis], above[every, 0, axis] = at, at
    both = np.concatenate([below, above])
    return both[np.all(both[:, 1] - both[:, 0] > _THIN, axis=1)]


def uniform_in(boxes: np.ndarray, shares: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    """Points of boxes, uniform over their volume."""
    if not len(boxes):
        return np.zeros((0, boxes.shape[2]))
    which = np.minimum(np.searchsorted(shares, generator.random(count), side="right"), len(boxes) - 1)
    low, high = boxes[which, 0], boxes[which, 1]
    return low + (high - low) * generator.random((count, boxes.shape[2]))


def moved_in(
    maps: tuple[Any, Any], x: np.ndarray, lengths: Any, inner: float, generator: Any, *, whole: bool = True
) -> np.ndarray:
    """Points taken into cells `lengths` times, each into one where it keeps `inner` from the faces; NaN where none is.

    After the last letter nothing has to be kept if that leads to the `whole` cube.
    """
    x, (matrices, shifts) = x.astype(np.longdouble), maps
    lengths = np.broadcast_to(lengths, len(x))
    for letter in range(int(lengths.max(initial=0))):
        rows = np.flatnonzero(lengths > letter)
        images = np.einsum("rij,nj->nri", matrices, x[rows]) + shifts
        kept = (np.abs(images).max(axis=2) <= 1 - inner) | (whole & (lengths[rows] == letter + 1))[:, None]
        kept &= (np.abs(x[rows]).max(axis=1) <= 1 - inner)[:, None]
        which = np.argmax(np.where(kept, generator.random(kept.shape), -1), axis=1)
        x[rows] = np.where(kept.any(axis=1)[:, None], images[np.arange(len(rows)), which], np.nan)
    return x


@functools.lru_cache(maxsize=64)
def spare_points(
    linear: StaticArray, offsets: StaticArray, level: int, inner: float, outer: float, ends: StaticArray | None
) -> StaticArray:
    """Points that leave at each level, then such that stay: shape `(level + 1, count, d)`.

    What drawing by chance doesn't find in time is taken from them. Where there are none they are NaN.
    """
    generator, maps, count = np.random.default_rng(0), (linear.array, offsets.array), 64
    # Points that leave at once needn't keep away from the faces of the cube.
    rows = [_some(gap_of(linear, offsets, 0.0, outer).points.array, count, generator)]
    found = gap_of(linear, offsets, inner, outer).points.array
    for _ in range(1, level):
        found = _some(found, count, generator)
        rows.append(moved_in(maps, found, 1, inner, generator).astype(float))
        found = moved_in(maps, found, 1, inner, generator, whole=False).astype(float)
        found = found[np.all(np.isfinite(found), axis=1)]
    if ends is None:
        within = generator.uniform(inner - 1, 1 - inner, (4 * count, offsets.array.shape[1]))
        stay = moved_in(maps, within, level, inner, generator).astype(float)
    else:
        stay = ends.array
    rows = [_some(points[np.all(np.isfinite(points), axis=1)], count, generator) for points in (*rows[:level], stay)]
    return StaticArray(np.stack(rows))


def _some(points: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    if not len(points):
        return np.full((count, points.shape[1]), np.nan)
    return points[generator.integers(0, len(points), count)]
