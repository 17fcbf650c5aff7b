"""The one interface of a structured linear map."""

import abc

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Inexact, Int

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
        x = jnp.asarray(x)
        if x.ndim == 0 or x.shape[-1] != self.in_size:
            raise ValueError(f"{type(self).__name__}: expected {self.in_size} features; got shape {x.shape}")
        batch = int(np.prod(x.shape[:-1]))
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
