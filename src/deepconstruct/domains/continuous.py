"""Boxes and spaces."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._checks import check_choice, check_size
from .._static import namespace
from .base import AbstractDomain
from .floats import box_rows, inner_ends


@dataclasses.dataclass(frozen=True)
class Box(AbstractDomain):
    """`[low, high]^n`."""

    n: int
    low: float
    high: float

    def __post_init__(self):
        check_size("Box", "n", self.n)
        if not -math.inf < self.low <= self.high < math.inf:
            raise ValueError(f"Box: expected finite low <= high; got low={self.low}, high={self.high}")

    @property
    def size(self):
        return self.n

    def _contains(self, x, room):
        extra = room * (abs(float(self.low)) + abs(float(self.high)))
        low, high = float(self.low) - extra, float(self.high) + extra
        xp, inside = namespace(x), True
        if jnp.issubdtype(x.dtype, np.complexfloating):
            x, inside = xp.real(x), xp.imag(x) == 0
        # The ends are taken into the dtype from inside; rounded, they could let in what lies outside.
        low, high = _ends(low, high, x.dtype)
        return xp.all((x >= low) & (x <= high) & inside, axis=-1)

    def _sample(self, key, shape, dtype):
        low, high = self._held(dtype)
        share = jax.random.uniform(key, (*shape, self.n), dtype)
        with np.errstate(over="ignore"):
            width = high - low
        # The difference of large ends overflows.
        found = low + width * share if np.isfinite(width) else low * (1 - share) + high * share
        return jnp.clip(found, low, high)

    def _held(self, dtype: np.dtype) -> tuple[Any, Any]:
        low, high = inner_ends(self.low, self.high, dtype)
        if low > high:
            raise ValueError(f"{self}: there are no numbers of {dtype.name} between its ends")
        return low, high

    @property
    def words(self):
        return 1 + self.n

    def _from_words(self, words, dtype):
        low, high = self._held(dtype)
        return box_rows(words, low, high, dtype)

    def slice(self, start, stop):
        return Box(stop - start, self.low, self.high)

    def box(self):
        return np.full(self.n, float(self.low)), np.full(self.n, float(self.high))

    def _includes(self, inner):
        low, high = inner.box()
        return bool(not inner.is_complex and np.all(low >= self.low) and np.all(high <= self.high))


@dataclasses.dataclass(frozen=True)
class Space(AbstractDomain):
    """All of `R^n` or `C^n`."""

    n: int
    field: str = "real"

    def __post_init__(self):
        check_size("Space", "n", self.n)
        check_choice("Space", "field", self.field, ("real", "complex"))

    @property
    def size(self):
        return self.n

    def _contains(self, x, room):
        xp = namespace(x)
        inside = xp.isfinite(x)
        if self.field == "real" and jnp.issubdtype(x.dtype, np.complexfloating):
            inside = inside & (xp.imag(x) == 0)
        return xp.all(inside, axis=-1)

    def _sample(self, key, shape, dtype):
        return jax.random.normal(key, (*shape, self.n), dtype)

    @property
    def words(self):
        return 2 + self.n * (2 if self.is_complex else 1)

    def _from_words(self, words, dtype):
        real = np.dtype(jnp.finfo(dtype).dtype)
        found = box_rows(words[:, 1:], np.ones((), real) * -1, np.ones((), real), real)
        # Half of the rows as they are, half with everything larger or smaller.
        most = int(np.frexp(float(jnp.finfo(real).max))[1]) // 4
        scale, which = words[:, :1] % np.uint64(4), (words[:, :1] // np.uint64(4)) % np.uint64(2 * most)
        exponent = np.where(scale < 2, 0, which.astype(np.int64) - most)
        found = (found.astype(np.float64) * 2.0**exponent).astype(real)
        if not jnp.issubdtype(dtype, np.complexfloating):
            return found[:, : self.n]
        return (found[:, : self.n] + 1j * found[:, self.n :]).astype(dtype)

    def slice(self, start, stop):
        return Space(stop - start, self.field)

    def box(self):
        return np.full(self.n, -np.inf), np.full(self.n, np.inf)

    @property
    def is_complex(self):
        return self.field == "complex"

    @property
    def is_space(self):
        return type(self) is Space

    def _grid_size(self, points):
        return 0

    def _includes(self, inner):
        return self.is_complex or not inner.is_complex


def _ends(low: float, high: float, dtype: Any) -> tuple[Any, Any]:
    """The least and the largest number of any dtype between two."""
    if not jnp.issubdtype(dtype, np.integer):
        return inner_ends(low, high, dtype)
    info = jnp.iinfo(dtype)
    first, last = max(math.ceil(low), int(info.min)), min(math.floor(high), int(info.max))
    return (dtype.type(first), dtype.type(last)) if first <= last else (dtype.type(1), dtype.type(0))
