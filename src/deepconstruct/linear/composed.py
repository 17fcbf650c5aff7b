"""A map kept as two factors."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._checks import check_all, library
from .operator import AbstractLinear, alike


class Composed(AbstractLinear):
    """`outer(inner(x))`, run factor by factor; its entries are those of the product.

    A readout followed by the next layer's weights is one matrix. Kept as two factors it is cheaper
    where few numbers pass between them, and rounds less: what `inner` cancels never meets the
    large products of both weights.

    Raises:
        ValueError: `outer.in_size` differs from `inner.out_size`.

    Example:
        >>> import deepconstruct as dc, jax.numpy as jnp
        >>> pair = dc.linear.Composed(dc.linear.Dense(jnp.ones((2, 1))), dc.linear.Dense(jnp.ones((1, 3))))
        >>> pair(jnp.array([1.0, 2.0, 3.0])).tolist()
        [6.0, 6.0]
    """

    outer: AbstractLinear
    inner: AbstractLinear

    def __check_init__(self):
        check_all("Composed", "outer and inner", (self.outer, self.inner), AbstractLinear)
        if self.outer.in_size != self.inner.out_size:
            raise ValueError(
                f"Composed: outer takes {self.outer.in_size} features but inner gives {self.inner.out_size}"
            )

    @property
    def in_size(self) -> int:
        return self.inner.in_size

    @property
    def out_size(self) -> int:
        return self.outer.out_size

    @property
    def leaf_shapes(self):
        return (*self.outer.leaf_shapes, *self.inner.leaf_shapes)

    def apply(self, x):
        return self.outer.apply(self.inner.apply(x))

    def entries(self):
        rows, cols, outer_values = self.outer.entries()
        inner_rows, inner_cols, inner_values = self.inner.entries()
        values, inner_values = alike(outer_values, inner_values)
        left, right = matches(cols, inner_rows)
        flat = rows[left].astype(np.int64) * self.in_size + inner_cols[right]
        positions, segment = np.unique(flat, return_inverse=True)
        sums = _segment_sums(values[left], inner_values[right], segment, len(positions))
        return *np.divmod(positions, self.in_size), sums


def _segment_sums(left: Any, right: Any, segment: np.ndarray, count: int) -> Any:
    """Sums of products, in NumPy where all values are known."""
    if library(left, right) is jnp:
        return jax.ops.segment_sum(left * right, segment, num_segments=count)
    with np.errstate(all="ignore"):  # a sum that overflows is infinite, as in JAX
        terms = left * right
        sums = np.zeros(count, terms.dtype)
        np.add.at(sums, segment, terms)
    return sums


def factors(linear: AbstractLinear) -> list[AbstractLinear]:
    """The maps that are run one after another, the first first."""
    if not isinstance(linear, Composed):
        return [linear]
    return [*factors(linear.inner), *factors(linear.outer)]


def matches(left_keys: np.ndarray, right_keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of indices with `left_keys[i] == right_keys[j]`."""
    order = np.argsort(right_keys, kind="stable")
    ordered = right_keys[order]
    first = np.searchsorted(ordered, left_keys, "left")
    counts = np.searchsorted(ordered, left_keys, "right") - first
    left = np.repeat(np.arange(len(left_keys)), counts)
    offsets = np.arange(len(left)) - np.repeat(np.cumsum(counts) - counts, counts)
    return left, order[np.repeat(first, counts) + offsets]
