"""Block-diagonal maps: many small blocks side by side, untied or all tied."""

from functools import reduce

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Inexact

from .._checks import check_leaf, check_shape, check_size, known, library
from .operator import HIGHEST, SMALL, AbstractLinear, apply_matrix, as_weights

# Blocks of up to this many weights are unrolled into sums of whole slices.
_NARROW = 64


class BlockDiagonal(AbstractLinear):
    """One block for each `(p, q)`: `y[p, a, q] = sum_b blocks[p, a, b, q] x[p, b, q]`.

    The features are read as an array `(outer, block, inner)`. With `inner = 1` the blocks are the
    consecutive ones of a block-diagonal matrix; with `outer = 1` block `q` takes the features
    `q, inner + q, 2 inner + q, ...`, whose slices are contiguous, which is what runs fast.

    Args:
        blocks: shape `(outer, out_block, in_block, inner)`.

    Example:
        >>> import deepconstruct as dc, jax.numpy as jnp
        >>> sums = dc.linear.BlockDiagonal(jnp.ones((1, 1, 2, 2)))
        >>> sums(jnp.array([1.0, 2.0, 10.0, 20.0])).tolist()
        [11.0, 22.0]
    """

    blocks: Inexact[Array, "outer out_block in_block inner"]
    shape: tuple[int, int, int, int] = eqx.field(static=True)

    def __init__(self, blocks: Inexact[Array, "outer out_block in_block inner"]):
        blocks = as_weights("BlockDiagonal", "blocks", blocks)
        if blocks.ndim != 4 or 0 in blocks.shape:
            raise ValueError(
                "BlockDiagonal: blocks must have a non-empty shape (outer, out_block, in_block, inner); "
                f"got {blocks.shape}"
            )
        self.blocks = blocks
        self.shape = blocks.shape  # pyright: ignore[reportAttributeAccessIssue]

    def __check_init__(self):
        check_shape("BlockDiagonal", "shape", self.shape, 4)
        check_leaf("BlockDiagonal", "blocks", self.blocks, self.shape)

    @property
    def in_size(self) -> int:
        outer, _, in_block, inner = self.shape
        return outer * in_block * inner

    @property
    def out_size(self) -> int:
        outer, out_block, _, inner = self.shape
        return outer * out_block * inner

    @property
    def leaf_shapes(self):
        return (self.shape,)

    def apply(self, x):
        if self.in_size * self.out_size <= SMALL:
            return apply_matrix(block_matrix(self.blocks, self.shape), x)
        return apply_blocks(self.blocks, self.shape, x)

    def entries(self):
        rows, cols = block_pattern(self.shape)
        return rows, cols, known(self.blocks).reshape(len(rows))


class Kronecker(AbstractLinear):
    """One matrix repeated: `I_outer ⊗ matrix ⊗ I_inner`, the tied form of `BlockDiagonal`.

    Args:
        matrix: shape `(out_block, in_block)`, the only leaf.
        outer, inner: how often it is repeated over consecutive and over strided features.

    Example:
        >>> import deepconstruct as dc, jax.numpy as jnp
        >>> sums = dc.linear.Kronecker(jnp.ones((1, 2)), outer=2)
        >>> sums(jnp.array([1.0, 2.0, 10.0, 20.0])).tolist()
        [3.0, 30.0]
    """

    matrix: Inexact[Array, "out_block in_block"]
    shape: tuple[int, int, int, int] = eqx.field(static=True)

    def __init__(self, matrix: Inexact[Array, "out_block in_block"], *, outer: int = 1, inner: int = 1):
        matrix = as_weights("Kronecker", "matrix", matrix)
        if matrix.ndim != 2 or 0 in matrix.shape:
            raise ValueError(f"Kronecker: matrix must have a non-empty shape (out, in); got {matrix.shape}")
        self.matrix = matrix
        self.shape = (
            check_size("Kronecker", "outer", outer),
            *matrix.shape,
            check_size("Kronecker", "inner", inner),
        )  # pyright: ignore[reportAttributeAccessIssue]

    def __check_init__(self):
        check_shape("Kronecker", "shape", self.shape, 4)
        check_leaf("Kronecker", "matrix", self.matrix, self.shape[1:3])

    @property
    def in_size(self) -> int:
        outer, _, in_block, inner = self.shape
        return outer * in_block * inner

    @property
    def out_size(self) -> int:
        outer, out_block, _, inner = self.shape
        return outer * out_block * inner

    @property
    def leaf_shapes(self):
        return (self.shape[1:3],)

    def apply(self, x):
        blocks = self.matrix[None, :, :, None]
        if self.in_size * self.out_size <= SMALL:
            return apply_matrix(block_matrix(jnp.broadcast_to(blocks, self.shape), self.shape), x)
        return apply_blocks(blocks, self.shape, x)

    def entries(self):
        rows, cols = block_pattern(self.shape)
        matrix = known(self.matrix)
        values = library(matrix).broadcast_to(matrix[None, :, :, None], self.shape)
        return rows, cols, values.reshape(len(rows))


def apply_blocks(blocks: Array, shape: tuple[int, int, int, int], x: Array) -> Array:
    """Blocks `(outer or 1, out_block, in_block, inner or 1)` along the middle axis of `x`."""
    outer, out_block, in_block, inner = shape
    before, _, after = x.shape
    x = x.reshape(before, outer, in_block, inner, after)
    if out_block * in_block <= _NARROW:
        # A sum of broadcast products over whole slices: every output of the layer comes from one
        # fused loop, without gathers or small reductions.
        y = reduce(jnp.add, [blocks[None, :, :, b, :, None] * x[:, :, None, b] for b in range(in_block)])
    else:
        y = jnp.einsum("pabq,npbqm->npaqm", jnp.broadcast_to(blocks, shape), x, precision=HIGHEST)
    return y.reshape(before, outer * out_block * inner, after)


def block_pattern(shape: tuple[int, int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the block entries, in the order of the array of blocks."""
    outer, out_block, in_block, inner = shape
    p, a, b, q = np.ogrid[:outer, :out_block, :in_block, :inner]
    rows = np.broadcast_to((p * out_block + a) * inner + q, shape)
    cols = np.broadcast_to((p * in_block + b) * inner + q, shape)
    return rows.ravel(), cols.ravel()


def block_matrix(blocks: Array, shape: tuple[int, int, int, int]) -> Array:
    """The dense matrix of the blocks, made without a scatter (its gradient is a masked sum)."""
    outer, out_block, in_block, inner = shape
    eye = jnp.eye(outer, dtype=blocks.dtype)[:, None, None, :, None, None]
    eye = eye * jnp.eye(inner, dtype=blocks.dtype)[None, None, :, None, None, :]
    # Axes: (outer, out_block, inner) of the row, then (outer, in_block, inner) of the column.
    spread = jnp.swapaxes(blocks, 2, 3)[:, :, :, None, :, None] * eye
    return spread.reshape(outer * out_block * inner, outer * in_block * inner)
