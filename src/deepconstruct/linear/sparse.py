"""A map with its non-zeros in a list."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Inexact

from .._checks import as_numbers, check_leaf, check_shape, known
from .._static import StaticArray, check_static, to_jax
from .operator import SMALL, AbstractLinear, apply_matrix


class Sparse(AbstractLinear):
    """The matrix with `values[k]` at `(rows[k], cols[k])` and 0 elsewhere.

    Args:
        rows, cols: positions, integers of shape `(nnz,)`, none twice. They are static.
        values: shape `(nnz,)`, the only leaf.
        shape: `(out_size, in_size)`.

    Raises:
        ValueError: positions outside `shape`, a position given twice, or unequal lengths.

    Example:
        >>> import deepconstruct as dc, jax.numpy as jnp
        >>> swap = dc.linear.Sparse([0, 1], [1, 0], jnp.ones(2), (2, 2))
        >>> swap(jnp.array([3.0, 4.0])).tolist()
        [4.0, 3.0]
    """

    values: Inexact[Array, " nnz"]
    rows: StaticArray = eqx.field(static=True)
    cols: StaticArray = eqx.field(static=True)
    shape: tuple[int, int] = eqx.field(static=True)

    def __init__(self, rows: Any, cols: Any, values: Any, shape: tuple[int, int]):
        rows, cols, values = np.asarray(rows), np.asarray(cols), as_numbers("Sparse", "values", values)
        if not rows.shape == cols.shape == np.shape(values) or rows.ndim != 1:
            raise ValueError(
                "Sparse: rows, cols and values must have one shape (nnz,); "
                f"got {rows.shape}, {cols.shape}, {np.shape(values)}"
            )
        _check_positions(rows, cols, shape)
        order = np.lexsort((cols, rows))
        if not np.array_equal(order, np.arange(len(order))):
            # Known values are ordered in NumPy: a gather in JAX would be compiled for every shape.
            rows, cols, values = rows[order], cols[order], known(values)[order]
        self.rows = StaticArray(rows.astype(np.int32))
        self.cols = StaticArray(cols.astype(np.int32))
        self.values = to_jax(values)
        self.shape = (int(shape[0]), int(shape[1]))

    def __check_init__(self):
        check_shape("Sparse", "shape", self.shape, 2, minimum=0)
        rows = check_static("Sparse", "rows", self.rows, np.int32, 1)
        cols = check_static("Sparse", "cols", self.cols, np.int32, 1)
        check_leaf("Sparse", "values", self.values, rows.shape)
        if rows.shape != cols.shape:
            raise ValueError(f"Sparse: rows and cols must be equally many; got {len(rows)} and {len(cols)}")
        steps = np.diff(_check_positions(rows, cols, self.shape))
        if np.any(steps == 0):
            raise ValueError("Sparse: a position was given twice")
        if np.any(steps < 0):
            raise ValueError("Sparse: positions must be stored in order")

    @property
    def in_size(self) -> int:
        return self.shape[1]

    @property
    def out_size(self) -> int:
        return self.shape[0]

    @property
    def leaf_shapes(self):
        return (self.rows.array.shape,)

    def apply(self, x):
        rows, cols = self.rows.array, self.cols.array
        if self.in_size * self.out_size <= SMALL:
            matrix = jnp.zeros(self.shape, self.values.dtype)
            matrix = matrix.at[rows, cols].set(self.values, unique_indices=True, indices_are_sorted=True)
            return apply_matrix(matrix, x)
        before, _, after = x.shape
        terms = self.values[:, None, None] * jnp.moveaxis(x, 1, 0)[cols]
        sums = jax.ops.segment_sum(terms, rows, num_segments=self.out_size, indices_are_sorted=True)
        return jnp.moveaxis(sums, 0, 1).reshape(before, self.out_size, after)

    def entries(self):
        return self.rows.array, self.cols.array, known(self.values)


def _check_positions(rows: np.ndarray, cols: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The positions as numbers, if they lie within the shape."""
    if len(rows) == 0:
        return np.zeros(0, np.int64)
    if not (np.issubdtype(rows.dtype, np.integer) and np.issubdtype(cols.dtype, np.integer)):
        raise TypeError(f"Sparse: rows and cols must be integers; got {rows.dtype} and {cols.dtype}")
    if min(rows.min(), cols.min()) < 0 or rows.max() >= shape[0] or cols.max() >= shape[1]:
        raise ValueError(f"Sparse: positions must lie within shape {shape}")
    return rows.astype(np.int64) * int(shape[1]) + cols
