"""What rewrites share: layers as exact rows of numbers, and layers made of rows.

A rewrite reads `rows_of` the layers that it changes, makes `layer_of` new rows, and hands the network to
`rewritten` (in `_claims`), which gives back what it was given.
"""

import dataclasses
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._arithmetic.intervals import bias_array
from .._arithmetic.products import multiplies_exactly
from .._static import to_jax
from ..activations import AbstractActivation, groups, is_elementwise, join
from ..linear import (
    AbstractLinear,
    BlockDiagonal,
    Butterfly,
    Composed,
    Dense,
    DirectSum,
    SignPatterns,
    Sparse,
    Stack,
    product,
)
from ..linear.queries import real_entries
from ..network import Label, Layer

# Claims count on what these do one after another too: a bias is added to finished sums, and factors run apart.
_IN_STEPS = (SignPatterns, Composed)
# Maps whose leaf holds the values of all entries, in their order.
_FREE = (Dense, Sparse, BlockDiagonal, Butterfly)
# Layers of more entries are left as they are.
_MOST_ENTRIES = 2**22


@dataclasses.dataclass(frozen=True)
class Rows:
    """A real layer, unit by unit: double precision holds the weights of every real dtype exactly.

    Attributes:
        rows, cols, values: the weights that aren't 0, row by row and each row by its columns.
        bias: one number a unit, 0 where there is none.
        activations: one a unit.
        in_size: how many numbers the layer takes.
        name: of the layer's label; `None` without one.
        gates: the gate of every unit, as in `Label.listed`; -1 without a label.
    """

    rows: np.ndarray
    cols: np.ndarray
    values: np.ndarray
    bias: np.ndarray
    activations: tuple[AbstractActivation, ...]
    in_size: int
    name: str | None
    gates: np.ndarray

    @property
    def out_size(self) -> int:
        return len(self.bias)

    def with_entries(self, rows: np.ndarray, cols: np.ndarray, values: np.ndarray, **changes: Any) -> "Rows":
        """The same with other weights, in any order; zeros among them are dropped."""
        kept = values != 0
        rows, cols, values = rows[kept], cols[kept], values[kept]
        order = np.lexsort((cols, rows))
        return dataclasses.replace(self, rows=rows[order], cols=cols[order], values=values[order], **changes)

    def picked(self, units: np.ndarray) -> "Rows":
        """These units only, in this order; none comes twice."""
        place = np.full(self.out_size, -1)
        place[units] = np.arange(len(units))
        kept = place[self.rows] >= 0
        return self.with_entries(
            place[self.rows[kept]],
            self.cols[kept],
            self.values[kept],
            bias=self.bias[units],
            activations=tuple(self.activations[unit] for unit in units),
            gates=self.gates[units],
        )

    def parts(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Columns and values of every row."""
        cuts = np.searchsorted(self.rows, np.arange(1, self.out_size))
        return list(zip(np.split(self.cols, cuts), np.split(self.values, cuts), strict=True))

    def matrix(self) -> np.ndarray:
        """The weights as a dense matrix."""
        matrix = np.zeros((self.out_size, self.in_size))
        matrix[self.rows, self.cols] = self.values
        return matrix


def in_order(units: Rows, behind: Rows, order: np.ndarray) -> tuple[Rows, Rows]:
    """A layer with its units in another order, and the one behind it."""
    place = np.argsort(order)
    return units.picked(order), behind.with_entries(behind.rows, place[behind.cols], behind.values)


def rows_of(layer: Layer) -> Rows | None:
    """The exact rows of a layer.

    `None` where they aren't known as floats of its dtype: complex weights, activations that mix units (softmax),
    factors whose product rounds, and matrices that would fill the memory.
    """
    linear = layer.linear
    kinds = [kind for kind, _ in groups(layer.activation, layer.out_size)]
    if not all(map(is_elementwise, kinds)) or is_vast(linear):
        return None
    if any(jnp.issubdtype(leaf.dtype, jnp.complexfloating) for leaf in jax.tree.leaves((linear, layer.bias))):
        return None
    if any(isinstance(part, Composed) for part in _parts(linear)) and not _has_exact_product(linear):
        return None
    rows, cols, values = real_entries(linear)
    label, width = layer.label, layer.out_size
    empty = Rows(
        rows=rows,
        cols=cols,
        values=values,
        bias=bias_array(layer),
        activations=tuple(kind for kind, count in groups(layer.activation, width) for _ in range(count)),
        in_size=layer.in_size,
        name=None if label is None else label.name,
        gates=np.full(width, -1) if label is None else _gates(label, width),
    )
    return empty.with_entries(rows.astype(np.int64), cols.astype(np.int64), values)


def _gates(label: Label, width: int) -> np.ndarray:
    """The gate of every unit, also where the parts of a label aren't those of the layer."""
    gates = np.asarray(label.gates(width))
    return gates if len(gates) == width else np.array([label.gate(unit, width) for unit in range(width)])


def layer_of(rows: Rows, dtype: Any, *, like: Layer | None = None) -> Layer:
    """The layer of these rows.

    The map is `Dense` where every entry is used and `Sparse` otherwise; with `like`, the map of that layer where
    it has the same pattern and can hold the values. Without any bias there is none.

    Raises:
        ValueError: numbers that the dtype doesn't hold.
    """
    for numbers in (rows.values, rows.bias):
        if not np.all(fits(numbers, dtype)):
            raise ValueError(f"layer_of: all weights must be numbers of {np.dtype(dtype).name}")
    linear = None if like is None else _map_like(like.linear, rows, dtype)
    bias = to_jax(rows.bias.astype(dtype)) if np.any(rows.bias) else None
    activation = join([(kind, 1) for kind in rows.activations])
    return Layer(_map_of(rows, dtype) if linear is None else linear, bias, activation, label_of(rows, like))


def label_of(rows: Rows, like: Layer | None = None) -> Label | None:
    """The label of these units: that of another layer, if it says the same of them."""
    if rows.name is None:
        return None
    if like is not None and like.label is not None and like.out_size == rows.out_size:
        same = like.label.name == rows.name and np.array_equal(like.label.gates(rows.out_size), rows.gates)
        if same:
            return like.label
    return Label(rows.name, listed=tuple(map(int, rows.gates)))


def fits(values: np.ndarray, dtype: Any) -> np.ndarray:
    """Which numbers a dtype holds as normal ones, or 0: none that may be flushed."""
    info = jnp.finfo(dtype)
    with np.errstate(over="ignore", under="ignore"):
        held = values.astype(dtype).astype(np.float64) == values
    return held & ((values == 0) | ((np.abs(values) >= float(info.tiny)) & (np.abs(values) <= float(info.max))))


def with_values(linear: AbstractLinear, values: np.ndarray) -> AbstractLinear:
    """The map with other values in the places of its `entries`, in their order.

    It keeps its class where all its entries are free (and those of its parts); else it becomes `Sparse`.
    """
    if type(linear) in _FREE:
        (leaf,) = jax.tree.leaves(linear)
        new = to_jax(values.reshape(leaf.shape).astype(leaf.dtype))
        return eqx.tree_at(lambda tree: jax.tree.leaves(tree)[0], linear, new)
    if isinstance(linear, DirectSum | Stack):
        counts = [len(part.entries()[2]) for part in linear.parts]
        pieces = np.split(values, np.cumsum(counts)[:-1])
        return type(linear)(tuple(map(with_values, linear.parts, pieces)))
    rows, cols, _ = linear.entries()
    leaves = jax.tree.leaves(linear)
    dtype = leaves[0].dtype if leaves else values.dtype
    return Sparse(rows, cols, values.astype(dtype), (linear.out_size, linear.in_size))


def is_vast(linear: AbstractLinear) -> bool:
    """Whether a map has too many entries to be written out."""
    widest = max((part.out_size * part.in_size for part in _parts(linear) if isinstance(part, SignPatterns)), default=0)
    return widest > _MOST_ENTRIES or sum(map(math.prod, linear.leaf_shapes)) > _MOST_ENTRIES


def keeps_an_order(linear: AbstractLinear) -> bool:
    """Whether a map, or one of those that it is joined from, sums in an order of its own."""
    return any(map(_is_ordered, jax.tree.leaves(linear, is_leaf=_is_ordered)))


def _is_ordered(part: Any) -> bool:
    return isinstance(part, _IN_STEPS) or (isinstance(part, AbstractLinear) and part.summation != "any")


def _map_of(rows: Rows, dtype: Any) -> AbstractLinear:
    shape = (rows.out_size, rows.in_size)
    if len(rows.values) == rows.out_size * rows.in_size:
        return Dense(to_jax(rows.matrix().astype(dtype)))
    return Sparse(rows.rows, rows.cols, rows.values.astype(dtype), shape)


def _map_like(linear: AbstractLinear, rows: Rows, dtype: Any) -> AbstractLinear | None:
    """A map of this class and pattern with the values of the rows, if there is one."""
    if (linear.out_size, linear.in_size) != (rows.out_size, rows.in_size) or is_vast(linear):
        return None
    at_rows, at_cols, old = linear.entries()
    wanted = rows.matrix()
    values = wanted[at_rows, at_cols]
    if np.count_nonzero(values) != len(rows.values):
        return None  # an entry has no place in the pattern
    if np.array_equal(np.asarray(old, np.float64), values):
        return linear
    if not jax.tree.leaves(linear) or not all(type(part) in (*_FREE, DirectSum, Stack) for part in _parts(linear)):
        return None
    return with_values(linear, values)


def _parts(linear: AbstractLinear) -> list[AbstractLinear]:
    """A map and all those that it is made of."""
    inner = [linear.outer, linear.inner] if isinstance(linear, Composed) else []
    inner += list(linear.parts) if isinstance(linear, DirectSum | Stack) else []
    return [linear, *(part for piece in inner for part in _parts(piece))]


def _has_exact_product(linear: AbstractLinear) -> bool:
    """Whether the products of all factors in a map are exact."""
    if isinstance(linear, DirectSum | Stack):
        return all(map(_has_exact_product, linear.parts))
    if not isinstance(linear, Composed):
        return True
    if not (_has_exact_product(linear.outer) and _has_exact_product(linear.inner)):
        return False
    return multiplies_exactly(Layer(linear.inner), Layer(linear.outer), Layer(product(linear.outer, linear.inner)))
