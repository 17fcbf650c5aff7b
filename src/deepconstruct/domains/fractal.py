"""Where an indicator network of a fractal is right: on the fractal, and off it by a margin."""

import dataclasses
import functools
import math
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Inexact, Int, PRNGKeyArray

from .._checks import check_dtype, check_scalar, check_size
from ..systems import IFS
from ..systems.exact import exact_fixed_points
from ..systems.sampling import points_leaving, sampling_error
from ..systems.tracking import nearest, track, tracking_slack
from .sets import AbstractDomain


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
        inner, outer: the margins, in units of half a cell's edge; one of them above 0.
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

    @property
    def size(self):
        return self.system.size

    def _contains(self, x):
        """Membership, with room for the rounding of `x` to its dtype and of the test itself."""
        dtype = x.dtype if jnp.issubdtype(x.dtype, jnp.inexact) else jnp.result_type(float)
        inverses = self.system.inverses
        room = np.minimum(tracking_slack(inverses, self.level, dtype), (self.inner + self.outer) / 4)
        x = x.astype(jnp.promote_types(dtype, jnp.result_type(float)))
        _, decided = track(inverses, x, self.level, inside=-self.inner, outside=self.outer, slack=room)
        return decided & (jnp.max(jnp.abs(x), axis=-1) <= 1)

    def sample(self, key, shape=(), *, dtype=None):
        """Draw vectors: about half of them in `K_level`, the others leave at levels drawn uniformly.

        Raises:
            ValueError: cells too fine for `dtype`, where no points of `K_level` are known that it holds.
        """
        dtype = check_dtype("domains.Fractal", dtype)
        count, finest = math.prod(shape), self.finest(dtype)
        which, when, points = jax.random.split(key, 3)
        stays = jax.random.bernoulli(which, shape=(count,)) | (not self.can_be_left() or finest == 0)
        leaves = jax.random.randint(when, (count,), 1, max(finest, 1) + 1)
        drawn = self.draw(points, jnp.where(stays, self.level + 1, leaves), dtype=dtype)
        return drawn.reshape(*shape, self.size)

    def draw(
        self, key: PRNGKeyArray, stops: Int[Array, " num"], *, measure: str = "uniform", dtype: Any
    ) -> Inexact[Array, "num d"]:
        """Points that leave at the levels `stops`, or lie in `K_level` where those are above `level`."""
        finest = self.finest(dtype)
        ends = None if finest == self.level else self._fixed_points(dtype, finest)
        return points_leaving(
            key, self.system.maps, self.system.inverses, jnp.minimum(stops, finest + 1), finest,
            weights=self.system.measure_weights(measure), inner=self.inner, outer=self.outer, ends=ends, dtype=dtype,
        )  # fmt: skip

    def finest(self, dtype: Any) -> int:
        """The last level, up to `level`, whose cells `dtype` resolves well enough to draw points by them."""
        error, level = sampling_error(self.system.maps, dtype), 0
        stretch = 1 / float(np.linalg.svd(self.system.linear.array, compute_uv=False).min())
        while level < self.level and error * stretch ** (level + 1) <= (self.inner + self.outer) / 4:
            level += 1
        return level

    def can_be_left(self) -> bool:
        """Whether there are points off `K_1` by the margin (else none leave at any level)."""
        return can_be_left(self.system, self.outer)

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
def can_be_left(system: IFS, outer: float) -> bool:
    """Whether some of many points of the cube lie off all images by `outer`."""
    x = np.random.default_rng(0).uniform(-1, 1, (2**14, system.size))
    excess, _ = nearest(np, system.inverses, list(x.T))
    return bool(np.any(excess >= outer if outer > 0 else excess > 0))
