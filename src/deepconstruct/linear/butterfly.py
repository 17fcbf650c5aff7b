"""Butterfly stages, and how two of them run as one."""

from functools import reduce
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Inexact

from .._checks import check_leaf, check_shape, known
from .._static import StaticArray, check_static
from .blocks import block_pattern
from .operator import AbstractLinear, as_weights
from .permutation import check_permutation


class Butterfly(AbstractLinear):
    """Square blocks on strided features, after an optional permutation of the inputs.

    `y[p, a, q] = sum_b twiddles[p, a, b, q] v[p, b, q]` with `v = x[permutation]`; every row has
    `radix` entries. The permutation is absorbed: it moves columns and costs no synapses.

    Args:
        twiddles: shape `(outer, radix, radix, inner)`.
        permutation: a permutation of the `outer * radix * inner` inputs, or `None`.

    Cost: `radix` synapses a row.
    """

    twiddles: Inexact[Array, "outer radix radix inner"]
    shape: tuple[int, int, int, int] = eqx.field(static=True)
    permutation: StaticArray | None = eqx.field(static=True)

    def __init__(self, twiddles: Inexact[Array, "outer radix radix inner"], permutation: Any = None):
        twiddles = as_weights("Butterfly", "twiddles", twiddles)
        if twiddles.ndim != 4 or 0 in twiddles.shape or twiddles.shape[1] != twiddles.shape[2]:
            raise ValueError(
                f"Butterfly: twiddles must have a shape (outer, radix, radix, inner); got {twiddles.shape}"
            )
        self.twiddles = twiddles
        self.shape = twiddles.shape  # pyright: ignore[reportAttributeAccessIssue]
        self.permutation = None
        if permutation is not None:
            self.permutation = check_permutation("Butterfly", permutation, self.in_size)

    def __check_init__(self):
        check_shape("Butterfly", "shape", self.shape, 4)
        if self.shape[1] != self.shape[2]:
            raise ValueError(f"Butterfly: blocks must be square; got shape {self.shape}")
        check_leaf("Butterfly", "twiddles", self.twiddles, self.shape)
        if self.permutation is not None:
            order = check_static("Butterfly", "permutation", self.permutation, np.int32, 1)
            check_permutation("Butterfly", order, self.in_size)

    @property
    def in_size(self) -> int:
        outer, radix, _, inner = self.shape
        return outer * radix * inner

    @property
    def out_size(self) -> int:
        return self.in_size

    @property
    def leaf_shapes(self):
        return (self.shape,)

    def apply(self, x):
        outer, radix, _, inner = self.shape
        before, size, after = x.shape
        if self.permutation is not None:
            x = x[:, self.permutation.array, :]
        x = x.reshape(before, outer, radix, inner, after)
        # Stacking the rows keeps XLA from computing every stage again inside the next one.
        rows = [
            reduce(jnp.add, [self.twiddles[None, :, a, b, :, None] * x[:, :, b] for b in range(radix)])
            for a in range(radix)
        ]
        return jnp.stack(rows, axis=2).reshape(before, size, after)

    def entries(self):
        rows, cols = block_pattern(self.shape)
        if self.permutation is not None:
            cols = self.permutation.array[cols]
        return rows, cols, known(self.twiddles).reshape(len(rows))


def merge_stages(first: Butterfly, second: Butterfly) -> Butterfly | None:
    """`second ∘ first` as one stage of the product radix, if they are consecutive stages.

    Two stages of radix 2 and one of radix 4 have equally many synapses, but the merged one reads
    and writes the data once. Used inside a call only: the leaves stay those of the two stages.
    """
    outer1, radix1, _, inner1 = first.shape
    outer2, radix2, _, inner2 = second.shape
    aligned = inner2 == inner1 * radix1 and outer1 == outer2 * radix2
    if not aligned or second.permutation is not None or radix1 * radix2 > 4:
        return None
    early = known(first.twiddles).reshape(outer2, radix2, radix1, radix1, inner1)
    late = known(second.twiddles).reshape(outer2, radix2, radix2, radix1, inner1)
    # Entry (x, a), (i, b) is late[x, i, a] early[i, a, b], of every block p and feature q.
    twiddles = late.swapaxes(2, 3)[:, :, :, :, None] * early.swapaxes(1, 2)[:, None]
    radix = radix1 * radix2
    permutation = None if first.permutation is None else first.permutation.array
    return Butterfly(twiddles.reshape(outer2, radix, radix, inner1), permutation)


def bit_reversal(size: int) -> np.ndarray:
    """The permutation that reverses the bits of an index below `size`, a power of two."""
    order = np.zeros(1, dtype=np.int64)
    while len(order) < size:
        order = np.concatenate([2 * order, 2 * order + 1])
    return order
