"""Finite sets, boxes, spaces, and products of them."""

import abc
import dataclasses
import itertools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Inexact, PRNGKeyArray

from .._checks import check_choice, check_size
from .._static import StaticArray, check_static

# Finite domains up to this size are walked through where no rule decides.
_SMALL = 2**16


class AbstractDomain(abc.ABC):
    """A set of vectors of `size` numbers."""

    @property
    @abc.abstractmethod
    def size(self) -> int:
        """The number of coordinates."""

    def contains(self, x: Any) -> Bool[Array, "*batch"]:
        """Which of the vectors `(*batch, size)` lie in the domain.

        Raises:
            ValueError: vectors of another size.
        """
        x = jnp.asarray(x)
        if x.ndim == 0 or x.shape[-1] != self.size:
            raise ValueError(f"{self}: expected vectors of {self.size} numbers; got shape {x.shape}")
        return self._contains(x)

    @abc.abstractmethod
    def _contains(self, x: Array) -> Bool[Array, "*batch"]:
        """`contains` for arrays of the right size."""

    @abc.abstractmethod
    def sample(
        self, key: PRNGKeyArray, shape: tuple[int, ...] = (), *, dtype: Any = None
    ) -> Inexact[Array, "*shape size"]:
        """Draw vectors; uniform where that means something, standard normal on a `Space`."""

    @abc.abstractmethod
    def slice(self, start: int, stop: int) -> "AbstractDomain":
        """The projection onto the coordinates `start, ..., stop - 1`."""

    @abc.abstractmethod
    def box(self) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest value of every coordinate (real parts, infinite if unbounded)."""

    @property
    def cardinality(self) -> int | None:
        """The number of vectors, or `None` if there are infinitely many."""
        return None

    def enumerate(self, indices: Array) -> Array:
        """The vectors numbered `indices`: shape `(len(indices), size)`; finite domains only."""
        raise TypeError(f"{self} is not finite: it can't be enumerated")

    def issubset(self, other: "AbstractDomain") -> bool:
        """Whether every vector of this domain lies in `other` (`False` where that isn't known)."""
        if self.size != other.size:
            return False
        if self == other:
            return True
        if isinstance(other, Product):
            return all(self.slice(*span).issubset(part) for span, part in other.spans())
        if isinstance(other, Space):
            return other.field == "complex" or not _is_complex(self)
        if isinstance(other, Box) and not _is_complex(self):
            low, high = self.box()
            return bool(np.all(low >= other.low) and np.all(high <= other.high))
        if isinstance(self, Product) and isinstance(other, Bits | Signs):
            return all(part.issubset(other.slice(*span)) for span, part in self.spans())
        if self.cardinality is not None and self.cardinality <= _SMALL:
            return bool(jnp.all(other.contains(self.enumerate(jnp.arange(self.cardinality)))))
        return False


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

    def _contains(self, x):
        return jnp.all((x == 0) | (x == 1), axis=-1)

    def sample(self, key, shape=(), *, dtype=None):
        # 32 bits a word: drawing a word a bit would cost more than the training step.
        words = jax.random.bits(key, (*shape, -(-self.n // 32)), "uint32")
        bits = (words[..., None] >> jnp.arange(32, dtype="uint32")) & 1
        bits = bits.reshape(*shape, words.shape[-1] * 32)[..., : self.n]
        return bits.astype(jnp.result_type(float) if dtype is None else dtype)

    def slice(self, start, stop):
        return Bits(stop - start)

    def box(self):
        return np.zeros(self.n), np.ones(self.n)

    def enumerate(self, indices):
        if self.n > 32:
            raise ValueError(f"Bits({self.n}) is too large to enumerate")
        bits = (indices.astype("uint32")[:, None] >> jnp.arange(self.n, dtype="uint32")) & 1
        return bits.astype(jnp.result_type(float))


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

    def _contains(self, x):
        return jnp.all((x == -1) | (x == 1), axis=-1)

    def sample(self, key, shape=(), *, dtype=None):
        return 1 - 2 * Bits(self.n).sample(key, shape, dtype=dtype)

    def slice(self, start, stop):
        return Signs(stop - start)

    def box(self):
        return -np.ones(self.n), np.ones(self.n)

    def enumerate(self, indices):
        return 1 - 2 * Bits(self.n).enumerate(indices)


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

    def _contains(self, x):
        return jnp.all((x >= self.low) & (x <= self.high), axis=-1)

    def sample(self, key, shape=(), *, dtype=None):
        dtype = jnp.result_type(float) if dtype is None else dtype
        return jax.random.uniform(key, (*shape, self.n), dtype, self.low, self.high)

    def slice(self, start, stop):
        return Box(stop - start, self.low, self.high)

    def box(self):
        return np.full(self.n, float(self.low)), np.full(self.n, float(self.high))


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

    def _contains(self, x):
        inside = jnp.isfinite(x)
        if self.field == "real":
            inside = inside & (jnp.imag(x) == 0)
        return jnp.all(inside, axis=-1)

    def sample(self, key, shape=(), *, dtype=None):
        default = complex if self.field == "complex" else float
        return jax.random.normal(key, (*shape, self.n), jnp.result_type(default) if dtype is None else dtype)

    def slice(self, start, stop):
        return Space(stop - start, self.field)

    def box(self):
        return np.full(self.n, -np.inf), np.full(self.n, np.inf)


@dataclasses.dataclass(frozen=True, init=False)
class Points(AbstractDomain):
    """A finite list of vectors: `array` of shape `(count, n)`, real and finite."""

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

    def _contains(self, x):
        # Integers are compared by value: the points mustn't be cast to them.
        points = jnp.asarray(self.array.array, jnp.promote_types(x.dtype, jnp.result_type(float)))
        return jnp.any(jnp.all(x[..., None, :] == points, axis=-1), axis=-1)

    def sample(self, key, shape=(), *, dtype=None):
        dtype = jnp.result_type(float) if dtype is None else dtype
        rows = jax.random.randint(key, shape, 0, self.cardinality)
        return jnp.asarray(self.array.array, dtype)[rows]

    def slice(self, start, stop):
        return Points(self.array.array[:, start:stop])

    def box(self):
        return self.array.array.min(axis=0), self.array.array.max(axis=0)

    def enumerate(self, indices):
        return jnp.asarray(self.array.array)[indices]

    def __repr__(self):
        return f"Points({self.cardinality} x {self.size})"


@dataclasses.dataclass(frozen=True)
class Product(AbstractDomain):
    """Vectors whose consecutive groups of coordinates lie in given domains.

    Use `product` to build one: it joins neighbours of one kind, so that `Bits(2)` times `Bits(3)`
    is `Bits(5)`.
    """

    domains: tuple[AbstractDomain, ...]

    def __post_init__(self):
        parts = self.domains if isinstance(self.domains, tuple) else ()
        if not parts or not all(isinstance(part, AbstractDomain) for part in parts):
            raise ValueError(f"Product: expected a non-empty tuple of domains; got {self.domains!r}")

    @property
    def size(self):
        return sum(part.size for part in self.domains)

    @property
    def cardinality(self):
        total = 1
        for part in self.domains:
            if part.cardinality is None:
                return None
            total *= part.cardinality
        return total

    def spans(self) -> list[tuple[tuple[int, int], AbstractDomain]]:
        """Each part with the range of its coordinates."""
        stops = list(itertools.accumulate(part.size for part in self.domains))
        return [((stop - part.size, stop), part) for part, stop in zip(self.domains, stops, strict=True)]

    def _contains(self, x):
        parts = [part.contains(x[..., start:stop]) for (start, stop), part in self.spans()]
        return jnp.all(jnp.stack(parts), axis=0)

    def sample(self, key, shape=(), *, dtype=None):
        keys = jax.random.split(key, len(self.domains))
        parts = zip(self.domains, keys, strict=True)
        return jnp.concatenate([part.sample(k, shape, dtype=dtype) for part, k in parts], axis=-1)

    def slice(self, start, stop):
        parts = []
        for (first, last), part in self.spans():
            low, high = max(start, first), min(stop, last)
            if low < high:
                parts.append(part.slice(low - first, high - first))
        return product(parts)

    def box(self):
        lows, highs = zip(*(part.box() for part in self.domains), strict=True)
        return np.concatenate(lows), np.concatenate(highs)

    def enumerate(self, indices):
        parts = []
        for part in self.domains:
            if part.cardinality is None:
                raise TypeError(f"{self} is not finite: it can't be enumerated")
            count = min(part.cardinality, 2**32 - 1)
            parts.append(part.enumerate(indices % count))
            indices = indices // count
        return jnp.concatenate(parts, axis=-1)

    def __repr__(self):
        return " x ".join(map(repr, self.domains))


def product(domains: Any) -> AbstractDomain:
    """The product of domains, with neighbours of one kind joined.

    Example:
        >>> import deepconstruct as dc
        >>> dc.domains.product([dc.domains.Bits(2), dc.domains.Bits(3)])
        Bits(n=5)
    """
    parts: list[AbstractDomain] = []
    for domain in domains:
        for part in domain.domains if isinstance(domain, Product) else (domain,):
            if parts and _joins(parts[-1], part):
                parts[-1] = dataclasses.replace(part, n=parts[-1].size + part.size)  # pyright: ignore
            else:
                parts.append(part)
    return parts[0] if len(parts) == 1 else Product(tuple(parts))


def _joins(first: AbstractDomain, second: AbstractDomain) -> bool:
    """Whether the product of two domains is a domain of the same kind."""
    if not isinstance(first, Bits | Signs | Box | Space) or type(first) is not type(second):
        return False
    return dataclasses.replace(first, n=1) == dataclasses.replace(second, n=1)  # pyright: ignore


def _is_complex(domain: AbstractDomain) -> bool:
    if isinstance(domain, Product):
        return any(_is_complex(part) for part in domain.domains)
    return isinstance(domain, Space) and domain.field == "complex"
