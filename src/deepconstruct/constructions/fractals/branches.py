"""A network with one branch a map: the cell's own hands on the coordinates in it.

For a point with coordinates `z` of the level before and `u_i = F_i^-1 z`:

    A:  a = relu(u + 1), b = relu(u - 1), p = relu(u - 1 - t), q = relu(-u - 1 - t)
    B:  v_ij = relu(a_ij - b_ij + 1 - M sum_k (p_ik + q_ik)),    z_j = sum_i v_ij - 2

`a - b - 1` clips `u` to the cube. The branch of the cell has `p = q = 0` and sends on `clip(u) + 2`;
all others are silenced by `M`. Where none is left `z = (-2, ..., -2)`, which lies in no cell, so that
the point stays lost. The last level adds up `relu(1 - M sum_k (p_ik + q_ik))` over the branches.
"""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import jax.numpy as jnp
import numpy as np

from ..._static import to_jax
from ...activations import ReLU
from ...linear import Composed, Sparse
from ...network import Label, Layer, Network, Repeat
from ...systems import IFS
from ...systems.exact import Vector, exact_inverses
from .limits import Limits

# What the units of A subtract from u or add to it, by kind, with the sign of u.
_CLIP = ((1, Fraction(1)), (1, Fraction(-1)))


def branch_network(system: IFS, level: int, limits: Limits, dtype: Any) -> Network:
    """The indicator of `K_level`: `2 level` hidden layers, at most `4 d r` units wide."""
    parts = _Parts(system, limits, dtype)
    if level == 1:
        return Network((parts.locate(first=True, last=True), *parts.decide()))
    middle: tuple[Layer | Repeat, ...] = ()
    if level > 2:
        middle = (Repeat.copies((parts.select(), parts.locate()), level - 2),)
    first, last = parts.locate(first=True), parts.locate(last=True)
    return Network((first, *middle, parts.select(), last, *parts.decide()))


def cell_rows(system: IFS, *, first: bool) -> Iterator[tuple[Vector, Fraction]]:
    """Weights and offset of every cell coordinate, map by map: of the input, else of `z + 2`, which B sends on."""
    for matrix, shift in exact_inverses(system.linear, system.offsets):
        for row, constant in zip(matrix, shift, strict=True):
            yield row, constant if first else constant - 2 * sum(row)


class _Parts:
    """The layers of one system."""

    def __init__(self, system: IFS, limits: Limits, dtype: Any):
        self.system, self.limits, self.dtype = system, limits, dtype

    def _kinds(self, last: bool) -> tuple[tuple[int, Fraction], ...]:
        edge = -1 - Fraction(self.limits.threshold)
        return (*(() if last else _CLIP), (1, edge), (-1, edge))

    def locate(self, *, first: bool = False, last: bool = False) -> Layer:
        """Layer A: unit `(i d + j) kinds + kind` sees coordinate `j` in the cell of map `i`."""
        kinds, size = self._kinds(last), self.system.size
        rows, cols, values, biases = [], [], [], []
        for row, offset in cell_rows(self.system, first=first):
            for sign, added in kinds:
                for col, weight in enumerate(row):
                    if weight:
                        rows.append(len(biases))
                        cols.append(col)
                        values.append(float(sign * weight))
                biases.append(float(sign * offset + added))
        linear = self._sparse(rows, cols, values, (len(biases), size))
        return Layer(
            linear if first else Composed(linear, self._gather()),
            to_jax(np.array(biases), self.dtype),
            ReLU(),
            Label("locate", group=size * len(kinds)),
        )

    def _gather(self) -> Sparse:
        """`sum_i v_ij` for every coordinate `j`."""
        maps, size = self.system.num_maps, self.system.size
        cols = np.arange(maps * size)
        return self._sparse(cols % size, cols, np.ones(len(cols)), (size, len(cols)))

    def select(self) -> Layer:
        """Layer B: unit `i d + j` is coordinate `j` in the cell of map `i`, plus 2, or 0."""
        maps, size = self.system.num_maps, self.system.size
        rows, cols, values = [], [], []
        for unit in range(maps * size):
            rows += [unit, unit]
            cols += [4 * unit, 4 * unit + 1]
            values += [1.0, -1.0]
            for axis in range(size):
                excess = 4 * (unit // size * size + axis) + 2
                rows += [unit, unit]
                cols += [excess, excess + 1]
                values += [-self.limits.slope] * 2
        linear = self._sparse(rows, cols, values, (maps * size, 4 * maps * size))
        return Layer(linear, jnp.ones(maps * size, self.dtype), ReLU(), Label("select", group=size))

    def decide(self) -> tuple[Layer, Layer]:
        """The last layer B, one unit a map, and the sum of its units."""
        maps, size = self.system.num_maps, self.system.size
        cols = np.arange(2 * maps * size)
        linear = self._sparse(cols // (2 * size), cols, np.full(len(cols), -self.limits.slope), (maps, len(cols)))
        hidden = Layer(linear, jnp.ones(maps, self.dtype), ReLU(), Label("decide"))
        units = np.arange(maps)
        return hidden, Layer(self._sparse(0 * units, units, np.ones(maps), (1, maps)))

    def _sparse(self, rows: Any, cols: Any, values: Any, shape: tuple[int, int]) -> Sparse:
        return Sparse(np.asarray(rows), np.asarray(cols), np.asarray(values).astype(self.dtype), shape)
