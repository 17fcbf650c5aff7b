"""Where an indicator network is right: on the fractal, and off it by a margin."""

import dataclasses
import functools
import math
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Inexact, Int, PRNGKeyArray

from .._checks import check_scalar, check_size
from .._static import StaticArray, inexact, namespace
from ..systems import IFS
from ..systems.exact import exact_fixed_points
from ..systems.gaps import Gap, gap_of, moved_in
from ..systems.sampling import choose, points_leaving, sampling_error
from ..systems.tracking import track, tracking_slack
from .base import AbstractDomain
from .floats import box_rows

# So many points are tried, and taken into cells so many times, to see whether any keep the margins.
_TRIED, _STEPS = 2**14, 64
# So often are probes drawn until enough lie in the domain.
_ROUNDS = 64


@dataclasses.dataclass(frozen=True)
class Fractal(AbstractDomain):
    """Points of the cube that lie clearly in `K_level`, or leave it clearly.

    A point is followed into the cell that it is in, level by level. In all its cells it must keep
    `inner` from the faces, `max |u| <= 1 - inner`; if it leaves the fractal, it must leave by
    `outer`: `max |u| >= 1 + outer` in the coordinates of all cells of that level. What lies in
    between is undecided. With `inner = 0` all of `K_level` belongs to the domain.

    Args:
        system: the iterated function system.
        level: its level, at least 1.
        inner, outer: the margins, in units of half a cell's edge; one of them above 0. With `outer = 0`
            points that leave must lie off the cells by what rounding can tell: those on faces don't.

    Raises:
        ValueError: margins that are negative, both 0, or such that no points of `K_level` keep them.
    """

    system: IFS
    level: int
    inner: float
    outer: float

    def __post_init__(self):
        check_size("domains.Fractal", "level", self.level)
        check_scalar("domains.Fractal", "inner", self.inner)
        check_scalar("domains.Fractal", "outer", self.outer)
        if not isinstance(self.system, IFS):
            raise TypeError(f"domains.Fractal: system must be a dc.IFS; got {type(self.system).__name__}")
        if self.inner == self.outer == 0:
            raise ValueError("domains.Fractal: one of the margins inner and outer must be above 0")
        if self.inner > 0 and not can_be_entered(self.system, self.level, self.inner):
            raise ValueError(
                f"domains.Fractal: no points of {self.system.name} keep inner={self.inner:g} from the faces of "
                f"all cells that they are in, up to level {self.level}"
            )

    @property
    def size(self):
        return self.system.size

    def _contains(self, x, room):
        """Membership, with room for the rounding of `x` to its dtype and of the test itself."""
        x, xp = inexact(x), namespace(x)
        inside, dtype = True, np.dtype(jnp.finfo(x.dtype).dtype) if x.dtype != np.longdouble else x.dtype
        if xp.iscomplexobj(x):
            x, inside = xp.real(x), xp.all(xp.imag(x) == 0, axis=-1)
        slack = self._room(np.dtype(float) if dtype == np.longdouble else dtype)
        x = x if x.dtype == np.longdouble else x.astype(np.promote_types(dtype, jnp.result_type(float)))
        outside = self.outer or 2 * float(slack[-1])
        _, decided = track(self._maps, x, self.level, inside=-self.inner, outside=outside, slack=slack)
        return decided & inside & (xp.max(xp.abs(x), axis=-1) <= 1)

    @property
    def _maps(self) -> tuple[StaticArray, StaticArray]:
        return self.system.linear, self.system.offsets

    def _room(self, dtype: Any) -> np.ndarray:
        """For rounding, at every level."""
        return np.minimum(tracking_slack(self.system.inverses, self.level, dtype), (self.inner + self.outer) / 4)

    def _sample(self, key, shape, dtype):
        # About half of the points stay, the others leave at levels drawn uniformly.
        count, last = math.prod(shape), min(self.finest(dtype), self.last_left)
        which, points = jax.random.split(key)
        bits = jax.random.bits(which, (2, count))
        stays = (bits[0] % 2 == 0) | (last == 0)
        leaves = 1 + choose(bits[1], np.ones(max(last, 1)))
        drawn = self.draw(points, jnp.where(stays, self.level + 1, leaves), dtype=dtype)
        return drawn.reshape(*shape, self.size)

    @property
    def words(self):
        return 1

    def _from_words(self, words, dtype):
        generator = np.random.default_rng(words.ravel()) if len(words) else np.random.default_rng(0)
        found = np.zeros((0, self.size), dtype)
        for _ in range(_ROUNDS):
            drawn = self._probed(generator, max(2 * (len(words) - len(found)), 16), dtype)
            found = np.concatenate([found, drawn[np.asarray(self.contains(drawn))]])[: len(words)]
            if len(found) == len(words):
                return found
        if not len(found):
            raise ValueError(f"{self}: no points were found in {dtype.name} that keep the margins")
        return found[generator.integers(0, len(found), len(words))]

    def _probed(self, generator: np.random.Generator, count: int, dtype: np.dtype) -> np.ndarray:
        """Points of the domain (most of them): uniform, and on faces of cells and of what lies between them."""
        finest = self.finest(dtype)
        last = min(finest, self.last_left)
        stays = (generator.random(count) < 0.5) | (last == 0)
        stops = np.where(stays, self.level + 1, generator.integers(1, max(last, 1) + 1, count))
        cube = np.full((1, self.size), 1.0 - self.inner)
        low, high = np.repeat(-cube, count, axis=0), np.repeat(cube, count, axis=0)
        if not np.all(stays):
            for leaves, inner in ((stops == 1, 0.0), (~stays & (stops > 1), self.inner)):
                boxes = _some_boxes(gap_of(*self._maps, inner, self.outer), int(np.count_nonzero(leaves)), generator)
                low[leaves], high[leaves] = boxes[:, 0], boxes[:, 1]
        words = generator.integers(0, 2**63, (count, 1 + self.size), np.uint64)
        w = box_rows(words, low, high, np.dtype(float))
        if finest < self.level:
            ends = self._fixed_points(dtype, finest)
            w = np.where(stays[:, None], ends[generator.integers(0, len(ends), count)], w)
        moved = moved_in(self.system.maps, w, np.minimum(stops - 1, finest), self.inner, generator)
        # A quarter come from the whole cube, for its own faces and corners.
        words = generator.integers(0, 2**63, (count, 1 + self.size), np.uint64)
        anywhere = box_rows(words, -np.ones(()), np.ones(()), np.dtype(float))
        moved = np.where(generator.random((count, 1)) < 0.25, anywhere, moved.astype(float))
        return np.nan_to_num(moved, nan=2.0).astype(dtype)

    def draw(
        self, key: PRNGKeyArray, stops: Int[Array, " num"], *, measure: str = "uniform", dtype: Any
    ) -> Inexact[Array, "num d"]:
        """Points that leave at the levels `stops`, or lie in `K_level` where those are above `level`."""
        finest = self.finest(dtype)
        ends = None if finest == self.level else StaticArray(self._fixed_points(dtype, finest))
        outer = self.outer or 4 * float(self._room(dtype)[-1])
        weights = StaticArray(self.system.measure_weights(measure))
        return points_leaving(
            key, self._maps, jnp.minimum(stops, finest + 1), finest,
            weights=weights, inner=self.inner, outer=outer, ends=ends, dtype=np.dtype(dtype),
        )  # fmt: skip

    def finest(self, dtype: Any) -> int:
        """The last level, up to `level`, whose cells `dtype` resolves well enough to draw points by them."""
        error, level = sampling_error(self.system.maps, dtype), 0
        stretch = 1 / float(np.linalg.svd(self.system.linear.array, compute_uv=False).min())
        while level < self.level and error * stretch ** (level + 1) <= (self.inner + self.outer) / 4:
            level += 1
        return level

    @property
    def last_left(self) -> int:
        """The last level, up to `level`, at which points leave that keep the margins; 0 if none do."""
        return last_left(self.system, self.level, self.inner, self.outer)

    def _fixed_points(self, dtype: Any, finest: int) -> np.ndarray:
        # They lie in all levels, and so do their images under any word.
        found = [point for point in exact_fixed_points(self.system.linear, self.system.offsets) if _holds(point, dtype)]
        if not found:
            name = np.dtype(dtype).name
            raise ValueError(f"{self}: its points can't be drawn in {name}, which resolves cells up to level {finest}")
        return np.array(found, float)

    def slice(self, start, stop):
        if (start, stop) == (0, self.size):
            return self
        raise TypeError(f"{self} can't be cut into coordinates")

    def box(self):
        return -np.ones(self.size), np.ones(self.size)

    def __repr__(self):
        margin = f"off it by {self.outer:g}" if self.outer else f"off faces by {self.inner:g}"
        return f"Fractal({self.system.name}, {self.level}, {margin})"


def _holds(point: tuple[Fraction, ...], dtype: Any) -> bool:
    return all(Fraction(float(np.asarray(float(value), dtype))) == value for value in point)


@functools.lru_cache(maxsize=256)
def can_be_entered(system: IFS, level: int, inner: float) -> bool:
    """Whether points of `K_level` keep `inner` from the faces of all cells that they are in."""
    x = np.random.default_rng(0).uniform(-1, 1, (_TRIED, system.size))
    return _letters(system, x, level, inner) == level


@functools.lru_cache(maxsize=256)
def last_left(system: IFS, level: int, inner: float, outer: float) -> int:
    """The last level at which points leave by `outer` that keep `inner` before; 0 if none do."""
    x = gap_of(system.linear, system.offsets, 0.0, outer).points.array
    return _letters(system, x, level - 1, inner) + 1 if len(x) else 0


def _some_boxes(gap: Gap, count: int, generator: np.random.Generator) -> np.ndarray:
    """Boxes of a gap, half of them by their volumes."""
    boxes, shares = gap.boxes.array, gap.shares.array
    if not count:
        return boxes[:0]
    by_volume = np.minimum(np.searchsorted(shares, generator.random(count), side="right"), len(shares) - 1)
    return boxes[np.where(generator.random(count) < 0.5, by_volume, generator.integers(0, len(shares), count))]


def _letters(system: IFS, x: np.ndarray, level: int, inner: float) -> int:
    """How many times, up to `level`, some of the points can be taken into cells without coming near to faces."""
    generator = np.random.default_rng(0)
    # What lasts so long lasts for ever; and so do all points if no distance is asked for.
    for letters in range(min(level, _STEPS) if inner > 0 else 0):
        x = x[np.abs(x).max(axis=1) <= 1 - inner]
        if not len(x):
            return letters
        # Points that are left stand in for those that dropped out.
        x, which = x[generator.integers(0, len(x), _TRIED)], generator.integers(0, system.num_maps, _TRIED)
        x = np.einsum("nij,nj->ni", system.linear.array[which], x) + system.offsets.array[which]
    return level
