"""Finite domains: bits, signs, and lists of points."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._checks import check_size
from .._static import StaticArray, check_static, like, namespace, to_jax
from .base import AbstractDomain
from .floats import are_floats, quanta

# The number of bits that 32-bit numbers of vectors tell apart.
_NUMBERED = 32


@dataclasses.dataclass(frozen=True)
class Bits(AbstractDomain):
    """`{0, 1}^n`; vector number `i` holds the binary digits of `i`, lowest first.

    Example:
        >>> import deepconstruct as dc, jax.numpy as jnp
        >>> dc.domains.Bits(2).enumerate(jnp.arange(4)).tolist()
        [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]
    """

    n: int

    def __post_init__(self):
        check_size("Bits", "n", self.n)

    @property
    def size(self):
        return self.n

    @property
    def cardinality(self):
        return 2**self.n

    def _contains(self, x, room):
        xp = namespace(x)
        return xp.all((x == 0) | (x == 1), axis=-1)

    def _sample(self, key, shape, dtype):
        # 32 bits a word: drawing a word a bit would cost more than the training step.
        words = jax.random.bits(key, (*shape, -(-self.n // 32)), "uint32")
        bits = _digits(jnp, words[..., None], 32)
        return bits.reshape(*shape, words.shape[-1] * 32)[..., : self.n].astype(dtype)

    @property
    def words(self):
        return self.n

    def _from_words(self, words, dtype):
        return (words % np.uint64(2)).astype(dtype)

    def slice(self, start, stop):
        return Bits(stop - start)

    def box(self):
        return np.zeros(self.n), np.ones(self.n)

    def steps(self):
        return np.where(_is(self, Bits), np.ones(self.n), 0.0)

    def fits(self, dtype):
        return _is(self, Bits)

    def enumerate(self, indices):
        if self.n > _NUMBERED:
            raise ValueError(f"Bits({self.n}) is too large to enumerate")
        if isinstance(indices, jax.Array):
            return _digits(jnp, indices.astype("uint32")[:, None], self.n).astype(jnp.result_type(float))
        return _digits(np, np.asarray(indices).astype("uint32")[:, None], self.n).astype(np.float64)

    def _includes(self, inner):
        return _part_by_part(inner, self)


@dataclasses.dataclass(frozen=True)
class Signs(AbstractDomain):
    """`{-1, +1}^n`; a bit `b` is written as the sign `1 - 2 b`."""

    n: int

    def __post_init__(self):
        check_size("Signs", "n", self.n)

    @property
    def size(self):
        return self.n

    @property
    def cardinality(self):
        return 2**self.n

    def _contains(self, x, room):
        inside = x == 1
        if not jnp.issubdtype(x.dtype, np.unsignedinteger):  # where JAX would take -1 for the largest number
            inside = inside | (x == -1)
        return namespace(x).all(inside, axis=-1)

    def _sample(self, key, shape, dtype):
        return 1 - 2 * Bits(self.n).sample(key, shape, dtype=dtype)

    @property
    def words(self):
        return self.n

    def _from_words(self, words, dtype):
        return 1 - 2 * Bits(self.n).from_words(words, dtype=dtype)

    def slice(self, start, stop):
        return Signs(stop - start)

    def box(self):
        return -np.ones(self.n), np.ones(self.n)

    def steps(self):
        return np.where(_is(self, Signs), np.ones(self.n), 0.0)

    def fits(self, dtype):
        return _is(self, Signs)

    def enumerate(self, indices):
        return 1 - 2 * Bits(self.n).enumerate(indices)

    def _includes(self, inner):
        return _part_by_part(inner, self)


@dataclasses.dataclass(frozen=True, init=False)
class Points(AbstractDomain):
    """A finite list of vectors: `array` of shape `(count, n)`, real and finite.

    They are kept in 64 bits. A narrower dtype holds some of them only: `sample` refuses it, `probe` draws
    those that it holds.
    """

    array: StaticArray

    def __init__(self, array: Any):
        values = np.asarray(array.array if isinstance(array, StaticArray) else array)
        if np.iscomplexobj(values):
            raise TypeError("Points: expected real numbers; got complex ones")
        values = values.astype(np.float64)
        if values.ndim != 2:
            raise ValueError(f"Points: expected a finite array of shape (count, n); got {values.shape}")
        object.__setattr__(self, "array", StaticArray(values))
        self.__post_init__()

    def __post_init__(self):
        values = check_static("Points", "array", self.array, np.float64, 2)
        if 0 in values.shape or not np.all(np.isfinite(values)):
            raise ValueError(f"Points: expected a finite array of shape (count, n); got {values.shape}")

    @property
    def size(self):
        return self.array.array.shape[1]

    @property
    def cardinality(self):
        return self.array.array.shape[0]

    def _contains(self, x, room):
        # Points that the dtype of `x` doesn't hold are equal to no vector of it; they mustn't be rounded to it.
        held = self._held(x.dtype)
        rows = x[..., None, :]
        same = rows == like(rows, held)
        return namespace(x).any(namespace(x).all(same, axis=-1), axis=-1)

    def _held(self, dtype: Any) -> np.ndarray:
        """The points that are numbers of a dtype."""
        points = self.array.array
        if jnp.issubdtype(dtype, np.integer):
            info = jnp.iinfo(dtype)
            # The largest integer itself would round up to a float that is too large.
            whole = (points == np.floor(points)) & (points >= float(info.min)) & (points < float(info.max) + 1)
            return points[np.all(whole, axis=1)]
        if dtype == np.longdouble or dtype == np.clongdouble:
            return points
        with np.errstate(over="ignore"):
            return points[np.all(points.astype(jnp.finfo(dtype).dtype).astype(np.float64) == points, axis=1)]

    def _sample(self, key, shape, dtype):
        held = self._held(dtype)
        if len(held) < self.cardinality:
            raise ValueError(
                f"{self}: {self.cardinality - len(held)} of the points aren't numbers of {dtype.name}; "
                f"round them first, Points(array.astype({dtype.name!r})), or draw others"
            )
        return to_jax(held, dtype)[jax.random.randint(key, shape, 0, len(held))]

    @property
    def words(self):
        return 1

    def _from_words(self, words, dtype):
        held = self._held(dtype)
        if not len(held):
            raise ValueError(f"{self}: none of the points is a vector of {dtype.name}")
        return held[(words[:, 0] % np.uint64(len(held))).astype(np.int64)].astype(dtype)

    def slice(self, start, stop):
        return Points(self.array.array[:, start:stop])

    def box(self):
        return self.array.array.min(axis=0), self.array.array.max(axis=0)

    def steps(self):
        return np.where(_is(self, Points), quanta(self.array.array).min(axis=0), 0.0)

    def fits(self, dtype):
        return _is(self, Points) and are_floats(self.array.array, dtype)

    def enumerate(self, indices):
        if isinstance(indices, jax.Array):
            return to_jax(self.array.array, jnp.result_type(float))[indices]
        return self.array.array[np.asarray(indices)]

    def __repr__(self):
        return f"Points({self.cardinality} x {self.size})"


def _is(domain: AbstractDomain, kind: type) -> bool:
    # A subclass may hold other vectors.
    return type(domain) is kind


def _digits(xp: Any, numbers: Any, count: int) -> Any:
    """Binary digits along a last axis of length 1, lowest first."""
    places = xp.arange(count, dtype="uint32").reshape((1,) * (numbers.ndim - 1) + (count,))
    return (numbers >> places) & xp.uint32(1)


def _part_by_part(inner: AbstractDomain, outer: AbstractDomain) -> bool:
    """Whether the parts of a product lie in those of a domain that is one of its coordinates."""
    spans = inner.spans()
    if spans[0][1] is inner:
        return False
    return all(part.issubset(outer.slice(*span)) for span, part in spans)
