"""The record of an iterated function system, and what can be asked of it."""

import dataclasses
import itertools
import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Inexact, Int, PRNGKeyArray

from .._checks import check_choice, check_dtype, check_key, check_scalar, check_size
from .._static import StaticArray, check_static
from .exact import as_points, exact_depths, exact_inverses
from .sampling import points_leaving
from .tracking import track, wide_inverses
from .validation import as_maps, check_maps, check_overlap

MEASURES = ("uniform", "self-similar")
_LARGEST = 2**24


@dataclasses.dataclass(frozen=True, init=False)
class IFS:
    """Maps `F_i(x) = A_i x + t_i` of the cube `[-1, 1]^d` into itself.

    The coefficients are kept in 64 bits, and they define the fractal: `1/3` is the float next to it.

    Args:
        linear: the matrices `A_i`, shape `(r, d, d)`.
        offsets: the vectors `t_i`, shape `(r, d)`.
        name: shown in messages and tables.

    Raises:
        ValueError: a map that isn't invertible, contractive (in the Euclidean norm) or into the
            cube; two whose images share interior points; wrong shapes; NaN. The message says which.

    Example:
        >>> import deepconstruct as dc
        >>> thirds = dc.IFS([[[1 / 3]], [[1 / 3]]], [[-2 / 3], [2 / 3]])
        >>> thirds.contains([[-1.0], [0.0], [0.5]], 2).tolist()
        [True, False, True]
    """

    linear: StaticArray
    offsets: StaticArray
    name: str

    def __init__(self, linear: Any, offsets: Any, *, name: str = "ifs"):
        for field, array in zip(("linear", "offsets"), as_maps(linear, offsets), strict=True):
            object.__setattr__(self, field, StaticArray(array))
        object.__setattr__(self, "name", name)
        self.__post_init__()

    def __post_init__(self):
        if not isinstance(self.name, str) or not self.name:
            raise TypeError(f"IFS: name must be a text; got {self.name!r}")
        as_maps(
            check_static("IFS", "linear", self.linear, np.float64, 3),
            check_static("IFS", "offsets", self.offsets, np.float64, 2),
        )
        check_maps(self.linear.array, self.offsets.array)
        check_overlap(self.linear, self.offsets)

    @property
    def size(self) -> int:
        """The number of coordinates `d`."""
        return self.offsets.array.shape[1]

    @property
    def num_maps(self) -> int:
        """The number of maps `r`."""
        return self.offsets.array.shape[0]

    @property
    def gap(self) -> float:
        """By how much all cells can be inflated, in units of half their edges, before two meet.

        0 where some touch, infinite for a single map. Found by linear programming.
        """
        return check_overlap(self.linear, self.offsets)

    @property
    def volumes(self) -> np.ndarray:
        """The share of the cube that each image fills, shape `(r,)`."""
        return np.abs(np.linalg.det(self.linear.array))

    def __repr__(self) -> str:
        return f"IFS({self.name}: {self.num_maps} maps of [-1, 1]^{self.size})"

    def compose(self, other: "IFS") -> "IFS":
        """The system of all `F_i G_j`: its first level is this system's map of the other's.

        `system.compose(system)` has the second level of `system` as its first.

        Raises:
            ValueError: systems of different dimensions.

        Example:
            >>> import deepconstruct as dc
            >>> cantor = dc.systems.cantor()
            >>> cantor.compose(cantor).num_maps
            4
        """
        if not isinstance(other, IFS) or other.size != self.size:
            raise ValueError(f"IFS: can compose only with a system of {self.size} coordinates; got {other!r}")
        linear = np.einsum("iab,jbc->ijac", self.linear.array, other.linear.array)
        offsets = np.einsum("iab,jb->ija", self.linear.array, other.offsets.array) + self.offsets.array[:, None]
        size = self.size
        name = f"{self.name} of {other.name}"
        return IFS(linear.reshape(-1, size, size), offsets.reshape(-1, size), name=name)

    def words(self, level: int) -> Int[np.ndarray, "count level"]:
        """All words of `level` maps, in lexicographic order: `r^level` rows of map numbers, from 0.

        Raises:
            ValueError: a level below 0, or more than 2^24 words.
        """
        level = check_size("IFS", "level", level, minimum=0)
        if self.num_maps**level > _LARGEST:
            raise ValueError(f"IFS: {self.num_maps}^{level} words are too many to list; at most 2^24 are")
        words = list(itertools.product(range(self.num_maps), repeat=level))
        return np.array(words, np.int32).reshape(len(words), level)

    def cells(self, level: int) -> tuple[np.ndarray, np.ndarray]:
        """The maps of all words of a level, in the order of `words`: cell `k` is `A_k [-1, 1]^d + t_k`.

        Returns:
            Matrices `(r^level, d, d)` and vectors `(r^level, d)`, in 64 bits (rounded).

        Example:
            >>> import deepconstruct as dc
            >>> matrices, centers = dc.systems.cantor().cells(2)
            >>> centers.round(3).ravel().tolist()
            [-0.889, -0.444, 0.444, 0.889]
        """
        size = self.size
        matrices, shifts = np.eye(size)[None], np.zeros((1, size))
        for _ in range(self.words(level).shape[1]):
            # A letter is appended on the right: it acts first.
            moved = np.einsum("nab,jb->nja", matrices, self.offsets.array) + shifts[:, None]
            matrices = np.einsum("nab,jbc->njac", matrices, self.linear.array).reshape(-1, size, size)
            shifts = moved.reshape(-1, size)
        return matrices, shifts

    def depth(self, x: Any, level: int, *, tolerance: float = 0.0) -> Int[Any, "*batch"]:
        """The largest `j <= level` with `x` in `K_j`, or -1 outside the cube, in floating point.

        Every point is followed into the nearest cell of each level, so errors grow as the cells
        shrink; `exact_depth` has none. Can be compiled by `jax.jit`.

        Args:
            x: shape `(*batch, d)`; NumPy arrays are followed in NumPy, in their own precision.
            level: the last level, at least 0.
            tolerance: cells are inflated by so much, in units of half their edges (shrunk, but for the
                cube itself, if it is negative).

        Returns:
            Integers of shape `(*batch,)`.
        """
        level = check_size("IFS", "level", level, minimum=0)
        tolerance = check_scalar("IFS", "tolerance", tolerance, minimum=-1.0)
        x = self._points(x)
        depth, _ = track((self.linear, self.offsets), x, level, inside=tolerance, outside=tolerance)
        xp = np if isinstance(x, np.ndarray) else jnp
        return xp.where(xp.max(xp.abs(x), axis=-1) <= 1 + max(tolerance, 0), depth, -1)

    def contains(self, x: Any, level: int, *, tolerance: float = 0.0) -> Bool[Any, "*batch"]:
        """Which points lie in `K_level`, in floating point: see `depth`.

        Example:
            >>> import deepconstruct as dc, jax.numpy as jnp
            >>> dc.systems.vicsek().contains(jnp.array([[0.0, 0.0], [0.5, 0.0]]), 3).tolist()
            [True, False]
        """
        return self.depth(x, level, tolerance=tolerance) == level

    def exact_depth(self, x: Any, level: int) -> Int[np.ndarray, " count"]:
        """The largest `j <= level` with `x` in `K_j`, or -1 outside the cube, in rational arithmetic.

        Args:
            x: points of shape `(count, d)`: floats, taken as the rationals they are, or fractions.
            level: the last level, at least 0.

        Example:
            >>> import deepconstruct as dc
            >>> from fractions import Fraction
            >>> dc.systems.cantor().exact_depth([[Fraction(1, 2)], [0.5], [0.75]], 20).tolist()
            [20, 20, 1]
        """
        level = check_size("IFS", "level", level, minimum=0)
        inverses = exact_inverses(self.linear, self.offsets)
        return np.array(exact_depths(inverses, as_points(x, self.size), level), np.int64)

    def sample(
        self, key: PRNGKeyArray, level: int, num: int, measure: str = "uniform", *, dtype: Any = None
    ) -> Inexact[Array, "num d"]:
        """Draw points of `K_level`.

        Args:
            key: a PRNG key; the same key gives the same points.
            level: at least 0.
            num: how many, at least 0.
            measure: `"uniform"` over the volume of `K_level`; `"self-similar"` gives every cell the
                same share, whatever its size. They differ where maps shrink differently.
            dtype: JAX's default if `None`.

        Returns:
            Points, right to about two roundings of `dtype`.

        Raises:
            ValueError: a negative level or number, an unknown measure.

        Example:
            >>> import deepconstruct as dc, jax
            >>> dc.systems.cantor().sample(jax.random.key(0), 5, 1000).shape
            (1000, 1)
        """
        check_key("IFS", key)
        level = check_size("IFS", "level", level, minimum=0)
        num = check_size("IFS", "num", num, minimum=0)
        weights = StaticArray(self.measure_weights(measure))
        resolved = check_dtype("IFS", dtype)
        stops = jnp.full(num, level + 1)
        return points_leaving(key, (self.linear, self.offsets), stops, level, weights=weights, dtype=resolved)

    def measure_weights(self, measure: str) -> np.ndarray:
        """The weights of the maps under a measure."""
        check_choice("IFS", "measure", measure, MEASURES)
        return self.volumes if measure == "uniform" else np.ones(self.num_maps)

    @property
    def is_foldable(self) -> bool:
        """Whether the maps are the thirds of the cube without the center, in any order, up to rounding."""
        size = self.size
        if size > 5 or self.num_maps != 3**size - 1:
            return False
        places = [place for place in itertools.product((-2 / 3, 0.0, 2 / 3), repeat=size) if any(place)]
        ours = self.offsets.array[np.lexsort(np.round(self.offsets.array, 9).T)]
        offsets = np.array(places)[np.lexsort(np.round(places, 9).T)]
        apart = max(np.abs(ours - offsets).max(), np.abs(self.linear.array - np.eye(size) / 3).max())
        return bool(apart <= 2.0**-50)

    @property
    def usual_margins(self) -> tuple[float, float]:
        """How far points usually keep from the faces of their cells, and from the cells that they leave."""
        if self.gap > 0:
            return 0.0, 2.0 ** math.floor(math.log2(min(2.0**-4, self.gap)))
        return (0.0, 2.0**-4) if self.is_foldable else (2.0**-6, 0.0)

    @property
    def maps(self) -> tuple[np.ndarray, np.ndarray]:
        """The matrices `(r, d, d)` and offsets `(r, d)`."""
        return self.linear.array, self.offsets.array

    @property
    def inverses(self) -> tuple[np.ndarray, np.ndarray]:
        """Matrices and offsets of the inverse maps, in extended precision where the platform has it."""
        return wide_inverses(self.linear, self.offsets)

    def _points(self, x: Any) -> Any:
        if not isinstance(x, np.ndarray):
            x = jnp.asarray(x)
        if x.ndim == 0 or x.shape[-1] != self.size:
            raise ValueError(f"IFS: expected points of {self.size} coordinates; got shape {x.shape}")
        if jnp.iscomplexobj(x):
            raise TypeError(f"IFS: points must be real; got {x.dtype}")
        if not jnp.issubdtype(x.dtype, np.floating) and x.dtype != np.longdouble:
            return x.astype(float if isinstance(x, np.ndarray) else jnp.result_type(float))
        return x
