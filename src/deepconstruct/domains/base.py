"""The interface of a domain: what can be asked of a set of vectors."""

import abc
import math
from collections.abc import Sequence
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Inexact, PRNGKeyArray

from .._checks import check_dtype, check_key, check_size

# Finite domains up to this size are walked through where no rule decides.
_SMALL = 2**16
# Corners and grids have so many vectors at most.
_LISTED = 2**20


class AbstractDomain(abc.ABC):
    """A set of vectors of `size` numbers.

    Two ways to draw from it: `sample` is uniform, for training and statistics; `probe` mixes in what
    breaks claims: corners, faces, zeros, subnormal numbers and all magnitudes. Uniform floats lie on a
    coarse grid and hide rounding.
    """

    @property
    @abc.abstractmethod
    def size(self) -> int:
        """The number of coordinates."""

    @final
    def contains(self, x: Any, *, room: float = 0.0) -> Any:
        """Which of the vectors `(*batch, size)` lie in the domain, exactly, in the precision of `x`.

        Args:
            x: a JAX array, or what NumPy takes as one.
            room: lets numbers be off the faces of boxes by this share of `|low| + |high|`, for what was
                computed with rounding.

        Returns:
            Booleans of shape `(*batch,)`, of NumPy or JAX as `x`.

        Raises:
            ValueError: vectors of another size.
        """
        x = x if isinstance(x, jax.Array) else np.asarray(x)
        if x.ndim == 0 or x.shape[-1] != self.size:
            raise ValueError(f"{self}: expected vectors of {self.size} numbers; got shape {x.shape}")
        x = x.astype("uint8") if x.dtype == bool else x
        return self._contains(x, room)

    @abc.abstractmethod
    def _contains(self, x: Any, room: float) -> Any:
        """`contains` for arrays of numbers of the right size, in NumPy or JAX as they are."""

    @final
    def sample(
        self, key: PRNGKeyArray, shape: tuple[int, ...] = (), *, dtype: Any = None
    ) -> Inexact[Array, "*shape size"]:
        """Draw vectors: uniform where that means something, standard normal on a `Space`.

        They lie in the domain exactly, whatever the dtype. Can be compiled by `jax.jit`.

        Args:
            key: a PRNG key.
            shape: of the batch.
            dtype: JAX's default if `None`, complex where the domain is.

        Raises:
            ValueError: the domain has vectors that the dtype doesn't hold, one by one (`Points`), or none
                that it holds.
        """
        resolved, real = self._dtypes(dtype)
        return self._sample(key, tuple(shape), resolved if self.is_complex else real).astype(resolved)

    @abc.abstractmethod
    def _sample(self, key: Any, shape: tuple[int, ...], dtype: np.dtype) -> Array:
        """`sample` in a dtype that is known; a real one unless the domain `is_complex`."""

    @final
    def probe(self, key: PRNGKeyArray, shape: tuple[int, ...] = (), *, dtype: Any = None) -> np.ndarray:
        """Draw vectors that claims are likely to fail at, beside uniform ones; in NumPy, so not inside jit.

        Among them are corners and faces, the floats next to them, zeros, subnormal numbers and all
        magnitudes; on a `Space` those up to the fourth root of what the dtype holds. They lie in the
        domain exactly, whatever the dtype.

        Example:
            >>> import deepconstruct as dc, jax
            >>> x = dc.domains.Box(1, -1, 1).probe(jax.random.key(0), (100,))
            >>> bool((x == 1).any() and (x == -1).any() and (x == 0).any())
            True
        """
        check_key(f"{self}", key)
        generator = np.random.default_rng(np.asarray(jax.random.key_data(key)).ravel())
        count = math.prod(shape)
        words = generator.integers(0, 2**63, (count, self.words), np.uint64)
        return self.from_words(words, dtype=dtype).reshape(*shape, self.size)

    @property
    @abc.abstractmethod
    def words(self) -> int:
        """How many integers decide on a vector: see `from_words`."""

    @final
    def from_words(self, words: np.ndarray, *, dtype: Any = None) -> np.ndarray:
        """The vectors that `probe` makes of integers below 2^63: of shape `(count, words)`, one row a vector.

        Small integers give simple vectors, so that a property test can shrink its examples.
        """
        resolved, real = self._dtypes(dtype)
        found = self._from_words(np.asarray(words, np.uint64), resolved if self.is_complex else real)
        return found.astype(resolved, copy=False)

    @abc.abstractmethod
    def _from_words(self, words: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """`from_words` in a dtype that is known; a real one unless the domain `is_complex`."""

    def _dtypes(self, dtype: Any) -> tuple[np.dtype, np.dtype]:
        """The dtype asked for, and that of its real parts."""
        default = jnp.result_type(complex if self.is_complex else float)
        resolved = np.dtype(default if dtype is None else dtype)
        kind = "complex" if jnp.issubdtype(resolved, np.complexfloating) else "real"
        resolved = check_dtype(f"{self}", resolved, kind=kind)
        return resolved, np.dtype(jnp.finfo(resolved).dtype)

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

    def enumerate(self, indices: Any) -> Any:
        """The vectors numbered `indices`: shape `(len(indices), size)`; finite domains only.

        NumPy indices give float64 without any rounding, JAX indices JAX's default precision.
        """
        raise TypeError(f"{self} is not finite: it can't be enumerated")

    def corners(self) -> np.ndarray:
        """The corners of the domain's box that lie in it, and all vectors of a finite domain: float64.

        Raises:
            TypeError: an unbounded domain.
            ValueError: more than 2^20 of them.
        """
        return self.grid(2)

    def grid(self, points: int) -> np.ndarray:
        """A grid over the domain's box with `points` values an axis, both ends among them: float64.

        Only its vectors in the domain are returned; of a finite domain all vectors are, whatever `points` is.

        Raises:
            TypeError: an unbounded domain.
            ValueError: fewer than 2 points, or more than 2^20 vectors.

        Example:
            >>> import deepconstruct as dc
            >>> dc.domains.Box(1, 0, 1).grid(3).tolist()
            [[0.0], [0.5], [1.0]]
        """
        points = check_size(f"{self}", "points", points, minimum=2)
        count = self._grid_size(points)
        if count > _LISTED:
            raise ValueError(
                f"{self}: a grid of {points} points an axis has {count:.3g} vectors; at most 2^20 are listed"
            )
        return self._grid(points)

    def _grid_size(self, points: int) -> int:
        return points**self.size if self.cardinality is None else self.cardinality

    def _grid(self, points: int) -> np.ndarray:
        if self.cardinality is not None:
            return np.asarray(self.enumerate(np.arange(self.cardinality)))
        low, high = self.box()
        if not np.all(np.isfinite([low, high])):
            raise TypeError(f"{self} is unbounded: it has no corners and no grid")
        axes = [_ticks(a, b, points) for a, b in zip(low, high, strict=True)]
        x = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, self.size)
        return x[np.asarray(self.contains(x))]

    def spans(self) -> list[tuple[tuple[int, int], "AbstractDomain"]]:
        """Each part of a product with the range of its coordinates; the domain itself if it is none."""
        return [((0, self.size), self)]

    @property
    def is_complex(self) -> bool:
        """Whether some coordinates may have imaginary parts."""
        return False

    @property
    def is_space(self) -> bool:
        """Whether the domain is all of R^n or all of C^n."""
        return False

    def steps(self) -> np.ndarray:
        """For every coordinate the largest power of two of which all its values are multiples.

        Infinite where the only value is 0, and 0 where there is no such power.
        """
        return np.zeros(self.size)

    def fits(self, dtype: Any) -> bool:
        """Whether every vector of a finite domain is one of floats of the dtype (`False` where that isn't known)."""
        return False

    @final
    def issubset(self, other: "AbstractDomain") -> bool:
        """Whether every vector of this domain lies in `other` (`False` where that isn't known)."""
        if self.size != other.size:
            return False
        if self == other:
            return True
        if not (_speaks_for_itself(self) and _speaks_for_itself(other)):
            return False
        return other._includes(self) or _all_in(self, other)

    def _includes(self, inner: "AbstractDomain") -> bool:
        """Whether a rule says that the domain holds all of another one of its size."""
        return False


def _speaks_for_itself(domain: AbstractDomain) -> bool:
    """Whether what a domain says of itself was written for it: not so if it derives from another domain."""
    return AbstractDomain in type(domain).__bases__


def _all_in(inner: AbstractDomain, outer: AbstractDomain) -> bool:
    """Whether a finite domain that is small lies in another, vector by vector."""
    if inner.cardinality is None or inner.cardinality > _SMALL:
        return False
    return bool(np.all(outer.contains(inner.enumerate(np.arange(inner.cardinality)))))


def _ticks(low: float, high: float, points: int) -> np.ndarray:
    """Equally spaced values whose ends are exact; one where the two are the same."""
    if low == high:
        return np.array([low])
    # Halves first: the difference of large ends could overflow.
    shares = np.arange(points) / (points - 1)
    return np.clip(low * (1 - shares) + high * shares, low, high)


def per_part(parts: Sequence[np.ndarray]) -> np.ndarray:
    """All combinations of rows, one of each part, side by side: the first part changes fastest."""
    found = parts[-1]
    for part in parts[-2::-1]:
        rows = np.tile(part, (len(found), 1))
        found = np.concatenate([rows, np.repeat(found, len(part), axis=0)], axis=1)
    return found
