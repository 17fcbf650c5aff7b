"""Maps without parameters: a permutation and the identity."""

from typing import Any

import equinox as eqx
import numpy as np

from .._checks import check_size
from .._static import StaticArray, check_static
from .operator import AbstractLinear


class Permutation(AbstractLinear):
    """`y[i] = x[indices[i]]`. No leaves; its ones count as synapses, not as parameters.

    Example:
        >>> import deepconstruct as dc, jax.numpy as jnp
        >>> dc.linear.Permutation([2, 0, 1])(jnp.array([10.0, 20.0, 30.0])).tolist()
        [30.0, 10.0, 20.0]
    """

    indices: StaticArray = eqx.field(static=True)

    def __init__(self, indices: Any):
        self.indices = check_permutation("Permutation", indices)

    def __check_init__(self):
        check_permutation("Permutation", check_static("Permutation", "indices", self.indices, np.int32, 1))

    @property
    def in_size(self) -> int:
        return len(self.indices.array)

    @property
    def out_size(self) -> int:
        return len(self.indices.array)

    @property
    def leaf_shapes(self):
        return ()

    def apply(self, x):
        return x[:, self.indices.array, :]

    def entries(self):
        return np.arange(self.out_size), self.indices.array, _ones(self.out_size)


class Identity(AbstractLinear):
    """`y = x` on `size` features. No leaves."""

    size: int = eqx.field(static=True)

    def __check_init__(self):
        check_size("Identity", "size", self.size)

    @property
    def in_size(self) -> int:
        return self.size

    @property
    def out_size(self) -> int:
        return self.size

    @property
    def leaf_shapes(self):
        return ()

    def apply(self, x):
        return x

    def entries(self):
        return np.arange(self.size), np.arange(self.size), _ones(self.size)


def check_permutation(owner: str, indices: Any, size: int | None = None) -> StaticArray:
    """Return `indices` as a static array if they are a permutation of `range(size)`, by default of their own number."""
    indices = np.asarray(indices)
    count = indices.size if size is None else size
    if indices.ndim != 1 or not np.array_equal(np.sort(indices), np.arange(count)):
        raise ValueError(f"{owner}: expected a permutation of 0..{count - 1}; got {indices}")
    return StaticArray(indices.astype(np.int32))


def _ones(size: int):
    # Eight-bit ones take on whatever dtype they meet.
    return np.ones(size, np.int8)
