"""Which values a fractal's indicator can have at points of a box: on all ways through cells that may hold some.

A point of the domain keeps `inner` from the faces of all cells that it is in, and leaves by `outer` from all. So
on a box `1` is possible if it meets cells of the last level, shrunk by `inner`; and `0` if it meets such a cell
without lying in a cell of the next level inflated by `outer`. All cells are followed that may hold a point, so it
doesn't matter which one a target follows where several are near.

Coordinates of boxes in cells are affine forms in double precision. Every step is a sum of `d` products and a
shift, with rounded coefficients: that is off by at most `(d + 3) u` of the moduli, to which `d u` of the sum of
slopes comes; this is carried along.
"""

import dataclasses

import numpy as np

from ...domains import Fractal
from ...systems.exact import exact_inverses
from ...systems.tracking import tracking_slack

_DOUBLE = 2.0**-53
# More cells than that aren't followed for a single box: all is possible there.
_CELLS = 2**12
_NEAR = 2.0**-40


@dataclasses.dataclass(frozen=True)
class Found:
    """For every box: whether 0 and 1 are possible, and where a face of a cell cuts it: axis (-1: none) and place."""

    zero: np.ndarray
    one: np.ndarray
    axis: np.ndarray
    place: np.ndarray


@dataclasses.dataclass
class _Pairs:
    """Boxes in the coordinates of cells, as forms and, cut down to what the domain leaves of them, as intervals."""

    box: np.ndarray
    center: np.ndarray
    slopes: np.ndarray
    slack: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def of(self, kept: np.ndarray) -> "_Pairs":
        return _Pairs(*(getattr(self, field.name)[kept] for field in dataclasses.fields(self)))


class Cells:
    """The cells of some levels of a domain; `start` is how far its points reach at first."""

    def __init__(self, domain: Fractal, level: int, start: float = 1.0):
        inverses = exact_inverses(domain.system.linear, domain.system.offsets)
        self.maps = np.array([[[float(value) for value in row] for row in matrix] for matrix, _ in inverses])
        self.shifts = np.array([[float(value) for value in shift] for _, shift in inverses])
        self.level, self.size, self.start = level, domain.size, start
        # One or two of these bound a rounded `1 - inner` and `1 + outer`, too.
        self.stay = (1 - domain.inner) * (1 + 4 * _DOUBLE)
        slacks = tracking_slack(domain.system.inverses, level, np.dtype(float))
        self.leave = [1 + (domain.outer or min(float(slack), domain.inner / 4)) for slack in slacks]
        if domain.outer:
            self.leave = [edge * (1 - 4 * _DOUBLE) for edge in self.leave]
        step = min(1e-6, (domain.inner + domain.outer) / 8)
        inner, outer = 1 - domain.inner, 1 + domain.outer
        # Cuts lie a little beyond what belongs to the domain; but at the very face where cells may share it.
        self.faces = np.array([inner + step, outer - step if domain.outer else 1.0])

    def possible(self, low: np.ndarray, high: np.ndarray) -> Found:
        """What is possible on boxes, `(batch, d)`."""
        count = len(low)
        zero, crowded = np.zeros(count, bool), np.zeros(count, bool)
        axis, place = np.full(count, -1), np.zeros(count)
        pairs = self._whole(low, high)
        for level in range(self.level):
            crowded |= np.bincount(pairs.box, minlength=count) * len(self.maps) > _CELLS
            pairs = pairs.of(~crowded[pairs.box])
            children = self._children(pairs)
            stays, covered = self._judged(children, level)
            zero[pairs.box[~covered.any(axis=1)]] = True
            self._cut(pairs.box, children, level, axis, place)
            parent, child = np.nonzero(stays)
            center, slopes, slack, low_ends, high_ends = (part[parent, child] for part in children)
            ends = np.maximum(low_ends, -self.stay), np.minimum(high_ends, self.stay)
            pairs = _Pairs(pairs.box[parent], center, slopes, slack, *ends)
        one = np.bincount(pairs.box, minlength=count) > 0
        place = (low + high) / 2 + (high - low) / 2 * np.clip(place, -1, 1)[:, None] if count else low
        place = np.take_along_axis(place, np.maximum(axis, 0)[:, None], axis=1)[:, 0]
        return Found(zero | crowded, one | crowded, axis, place)

    def _whole(self, low: np.ndarray, high: np.ndarray) -> _Pairs:
        """The boxes themselves, cut down to the cube."""
        center = (low + high) / 2
        half = np.maximum(center - low, high - center) * (1 + 4 * _DOUBLE)
        slopes = half[:, :, None] * np.eye(self.size)
        ends = np.maximum(low, -self.start), np.minimum(high, self.start)
        return _Pairs(np.arange(len(low)), center, slopes, np.zeros_like(center), *ends)

    def _children(self, pairs: _Pairs) -> tuple[np.ndarray, ...]:
        """Forms and intervals of pairs in the cells of the next level: `(pairs, maps, d)`, slopes `(.., d, d)`."""
        sizes, shifts, unit = np.abs(self.maps), self.shifts, (2 * self.size + 4) * _DOUBLE

        def times(maps: np.ndarray, vectors: np.ndarray) -> np.ndarray:
            return np.einsum("rij,nj->nri", maps, vectors)

        center = times(self.maps, pairs.center) + shifts
        slopes = np.einsum("rij,njk->nrik", self.maps, pairs.slopes)
        moduli = np.abs(pairs.center) + np.abs(pairs.slopes).sum(axis=2) + pairs.slack
        slack = (times(sizes, pairs.slack) + unit * (times(sizes, moduli) + np.abs(shifts))) * (1 + 2.0**-40)
        reach = (np.abs(slopes).sum(axis=3) + slack) * (1 + unit)
        own = unit * (np.abs(center) + reach)
        middle, half = (pairs.low + pairs.high) / 2, (pairs.high - pairs.low) / 2
        around, room = times(self.maps, middle) + shifts, times(sizes, half)
        other = unit * (times(sizes, np.abs(middle) + np.abs(half)) + np.abs(shifts)) * (1 + 2.0**-40)
        low = np.maximum(center - reach - own, around - room - other)
        high = np.minimum(center + reach + own, around + room + other)
        return center, slopes, slack, low, high

    def _judged(self, children: tuple[np.ndarray, ...], level: int) -> tuple[np.ndarray, np.ndarray]:
        """Which boxes may stay in a cell, and which lie in it so that no point leaves."""
        low, high = children[3:]
        # Nothing is left where enclosures don't meet.
        empty = np.any(low > high, axis=2)
        covered = empty | np.all(np.maximum(-low, high) < self.leave[level], axis=2)
        stays = ~empty & np.all((low <= self.stay) & (high >= -self.stay), axis=2)
        return stays, covered

    def _cut(self, box: np.ndarray, children: tuple[np.ndarray, ...], level: int, axis: np.ndarray, place: np.ndarray):
        """Note the first face that goes through a box, where it is parallel to a side of it."""
        center, slopes, _, low, high = children
        near = np.all((low < self.faces[1]) & (high > -self.faces[1]), axis=2)
        for sign in (-1, 1):
            for face in self.faces:
                through = near[:, :, None] & (low < sign * face - _NEAR) & (high > sign * face + _NEAR)
                straight = np.count_nonzero(slopes, axis=3) == 1
                pair, cell, row = np.nonzero(through & straight & (axis[box] < 0)[:, None, None])
                which = np.argmax(np.abs(slopes[pair, cell, row]), axis=1)
                at = (sign * face - center[pair, cell, row]) / slopes[pair, cell, row, which]
                inside = np.abs(at) < 1 - 2.0**-30
                axis[box[pair[inside]]], place[box[pair[inside]]] = which[inside], at[inside]
