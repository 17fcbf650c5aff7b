"""Questions about linear maps, and maps made from them: all follow from `entries`."""

from functools import singledispatch

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Inexact

from .._checks import check_allocation, is_concrete, library
from .._static import to_jax
from .blocks import BlockDiagonal, Kronecker
from .composed import Composed
from .dense import Dense
from .operator import HIGHEST, AbstractLinear, alike
from .permutation import Identity, Permutation
from .signs import SignPatterns, SignProduct
from .sparse import Sparse
from .sums import DirectSum, Stack


def real_entries(linear: AbstractLinear) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, columns and values, in double precision, of the entries of a map of known weights that aren't zero.

    Raises:
        TypeError: complex weights.
    """
    rows, cols, values = concrete_entries(linear)
    if np.iscomplexobj(values):
        raise TypeError("real weights are needed: these are complex")
    return rows, cols, values.astype(np.float64)


def as_matrix(linear: AbstractLinear) -> Inexact[Array, "out in"]:
    """The dense matrix of a map.

    Example:
        >>> import deepconstruct as dc
        >>> dc.linear.as_matrix(dc.linear.Permutation([1, 0])).tolist()
        [[0, 1], [1, 0]]
    """
    if isinstance(linear, Dense):
        return linear.weight
    size_out, size_in = linear.out_size, linear.in_size
    check_allocation("as_matrix", f"a dense {size_out} x {size_in} matrix", size_out * size_in, np.float32)
    rows, cols, values = linear.entries()
    shape = (size_out, size_in)
    if library(values) is jnp:
        return jnp.zeros(shape, values.dtype).at[rows, cols].set(values)
    matrix = np.zeros(shape, values.dtype)
    matrix[rows, cols] = values
    return to_jax(matrix, matrix.dtype)


def product(outer: AbstractLinear, inner: AbstractLinear) -> AbstractLinear:
    """The map `outer ∘ inner`, with as much structure as both share.

    Aligned block-diagonal, Kronecker and direct-sum factors keep their class; a dense factor makes
    a dense product; everything else becomes sparse.

    Raises:
        ValueError: `outer.in_size` differs from `inner.out_size`.
    """
    if outer.in_size != inner.out_size:
        raise ValueError(f"product: outer takes {outer.in_size} features but inner gives {inner.out_size}")
    if isinstance(inner, Identity):
        return outer
    return _product(outer, inner)


@singledispatch
def _product(outer: AbstractLinear, inner: AbstractLinear) -> AbstractLinear:
    return _general_product(outer, inner)


@_product.register
def _(outer: Identity, inner):
    return inner


@_product.register
def _(outer: Permutation, inner):
    if isinstance(inner, Permutation):
        return Permutation(inner.indices.array[outer.indices.array])
    return _general_product(outer, inner)


@_product.register
def _(outer: Dense, inner):
    return _dense_product(outer, inner)


@_product.register
def _(outer: BlockDiagonal, inner):
    aligned = isinstance(inner, BlockDiagonal) and outer.shape[::3] == inner.shape[::3]
    if aligned and outer.shape[2] == inner.shape[1]:
        blocks = jnp.einsum("pabq,pbcq->pacq", outer.blocks, inner.blocks, precision=HIGHEST)
        return BlockDiagonal(blocks)
    return _general_product(outer, inner)


@_product.register
def _(outer: Kronecker, inner):
    aligned = isinstance(inner, Kronecker) and outer.shape[::3] == inner.shape[::3]
    if aligned and outer.shape[2] == inner.shape[1]:
        matrix = jnp.matmul(outer.matrix, inner.matrix, precision=HIGHEST)
        return Kronecker(matrix, outer=outer.shape[0], inner=outer.shape[3])
    return _general_product(outer, inner)


@_product.register
def _(outer: DirectSum, inner):
    aligned = isinstance(inner, DirectSum) and len(inner.parts) == len(outer.parts)
    if aligned and all(a.in_size == b.out_size for a, b in zip(outer.parts, inner.parts, strict=True)):
        return DirectSum(tuple(product(a, b) for a, b in zip(outer.parts, inner.parts, strict=True)))
    return _general_product(outer, inner)


@_product.register
def _(outer: SignPatterns, inner):
    return Composed(outer, inner)  # never multiplied out


@_product.register
def _(outer: Stack, inner):
    return Stack(tuple(product(part, inner) for part in outer.parts))


def _general_product(outer: AbstractLinear, inner: AbstractLinear) -> AbstractLinear:
    """The product of maps that share no structure."""
    return _dense_product(outer, inner) if isinstance(inner, Dense) else _sparse_product(outer, inner)


def _dense_product(outer: AbstractLinear, inner: AbstractLinear) -> Dense:
    return Dense(jnp.matmul(*alike(as_matrix(outer), as_matrix(inner)), precision=HIGHEST))


def _sparse_product(outer: AbstractLinear, inner: AbstractLinear) -> Sparse:
    rows, cols, values = Composed(outer, inner).entries()
    if not jnp.issubdtype(values.dtype, jnp.inexact):
        values = values.astype("float32")  # two maps without weights: ones that take on wider dtypes
    return Sparse(rows, cols, values, (outer.out_size, inner.in_size))


def realified(linear: AbstractLinear) -> AbstractLinear:
    """The real map on stacked `(Re x, Im x)`: `[[Re W, -Im W], [Im W, Re W]]` without its zeros.

    Which parts are zero decides the structure, so the weights must be concrete.
    """
    rows, cols, values = linear.entries()
    if not jnp.iscomplexobj(values):
        return DirectSum((linear, linear))
    weights = np.asarray(values)
    n_out, n_in = linear.out_size, linear.in_size
    quarters = [
        (rows, cols, np.real(weights)),
        (rows, cols + n_in, -np.imag(weights)),
        (rows + n_out, cols, np.imag(weights)),
        (rows + n_out, cols + n_in, np.real(weights)),
    ]
    rows, cols, weights = (np.concatenate(part) for part in zip(*quarters, strict=True))
    kept = weights != 0
    return Sparse(rows[kept], cols[kept], to_jax(weights[kept]), (2 * n_out, 2 * n_in))


def concrete_entries(linear: AbstractLinear) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Entries as NumPy arrays without the zeros.

    Raises:
        TypeError: the weights are being traced, so that nobody can say which are zero.
    """
    rows, cols, values = linear.entries()
    weights = _concrete(values)
    kept = weights != 0
    return rows[kept], cols[kept], weights[kept]


@singledispatch
def nonzeros(linear: AbstractLinear) -> int:
    """How many entries of the matrix aren't zero; weights must be concrete."""
    return len(concrete_entries(linear)[0])


@nonzeros.register
def _(linear: SignPatterns):
    return linear.out_size * _nonzero_values(linear.scales)


@nonzeros.register
def _(linear: SignProduct):
    return linear.in_size * _nonzero_values(linear.weight)


def _nonzero_values(values: Array) -> int:
    return int(np.count_nonzero(_concrete(values)))


def _concrete(values: Array | np.ndarray) -> np.ndarray:
    if not is_concrete(values):
        raise TypeError("the weights are being traced, so their zeros can't be counted; ask outside jit, vmap and grad")
    return np.asarray(values)
