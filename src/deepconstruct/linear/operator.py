"""The one interface of a structured linear map."""

import abc
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Inexact, Int

from .._checks import as_numbers, widest
from .._static import to_jax

HIGHEST = lax.Precision.HIGHEST

# Up to this many entries a structured map runs as one dense product: the slices of a narrow map
# cost more than the zeros they save.
SMALL = 1024

# Values are NumPy's where the weights are known: questions about a network are answered without compiling.
Entries = tuple[Int[np.ndarray, " nnz"], Int[np.ndarray, " nnz"], Inexact[Array | np.ndarray, " nnz"]]


class AbstractLinear(eqx.Module):
    """A linear map from `in_size` to `out_size` numbers whose free parameters are its leaves.

    Whatever can be asked of the matrix follows from `entries`; how it is applied is the class's
    own affair, and never shows in the leaves.
    """

    @property
    @abc.abstractmethod
    def in_size(self) -> int:
        """The number of inputs; static, never read off the weights (which may be batched)."""

    @property
    @abc.abstractmethod
    def out_size(self) -> int:
        """The number of outputs."""

    @property
    @abc.abstractmethod
    def leaf_shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shapes of the leaves of one map, in the order of `jax.tree.leaves`; static, as the sizes are.

        A stack of maps has leading axes beyond these.
        """

    @property
    def summation(self) -> str:
        """What order of summation bounds may count on: `"any"`, or `"pairwise"`.

        `"any"`: none; a backend may add the terms of an output in whatever order it likes.
        `"pairwise"`: pairs of terms are added first, then pairs of these sums, and so on, as elementwise
        operations, which no backend reorders (very long sums in groups, one after another). The order
        belongs to the map: the dense map of the same matrix promises none.
        """
        return "any"

    @abc.abstractmethod
    def apply(self, x: Inexact[Array, "before size after"]) -> Inexact[Array, "before out after"]:
        """Apply the map along the middle axis.

        With the batch before or after the features, one kernel serves both memory layouts.
        """

    @abc.abstractmethod
    def entries(self) -> Entries:
        """Rows, columns (static) and values (traced, or NumPy's if known) of all entries that may be non-zero.

        No position comes twice; values are those of the weights, in no promised order.
        """

    def __call__(self, x: Inexact[Array, "*batch in"]) -> Inexact[Array, "*batch out"]:
        """Apply the map to the last axis."""
        x = to_jax(as_numbers(type(self).__name__, "inputs", x))
        if x.ndim == 0 or x.shape[-1] != self.in_size:
            raise ValueError(f"{type(self).__name__}: expected {self.in_size} features; got shape {x.shape}")
        batch = math.prod(x.shape[:-1])
        y = self.apply(x.reshape(batch, self.in_size, 1))
        return y.reshape(*x.shape[:-1], self.out_size)


def apply_matrix(matrix: Array, x: Array) -> Array:
    """`matrix` along the middle axis of `x`, at full precision (TF32 would ruin smooth gates)."""
    before, _, after = x.shape
    if after == 1:
        return jnp.matmul(x[:, :, 0], matrix.T, precision=HIGHEST)[:, :, None]
    if before == 1:
        return jnp.matmul(matrix, x[0], precision=HIGHEST)[None]
    return jnp.matmul(matrix, x, precision=HIGHEST)


def as_weights(owner: str, what: str, values: Any) -> Array:
    """Weights from JAX, NumPy or nested lists, as an array of JAX."""
    return to_jax(as_numbers(owner, what, values))


def floating(values: Any) -> np.dtype:
    """The dtype that numbers have as weights: their own where they are floats, else JAX's default."""
    is_float = jnp.issubdtype(values.dtype, jnp.inexact)
    return jax.dtypes.canonicalize_dtype(values.dtype if is_float else jnp.result_type(float))


def alike(*arrays: Any) -> list[Any]:
    """Values of several maps in one dtype: the ones of maps without weights take that of the weights."""
    dtypes = {array.dtype for array in arrays if jnp.issubdtype(array.dtype, jnp.inexact)}
    return [array.astype(widest(*dtypes)) for array in arrays] if dtypes else list(arrays)
