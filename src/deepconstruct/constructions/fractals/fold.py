"""Thirds of the cube without the center: one continuous fold for all cells.

`T(x) = 3x + 2, -3x, 3x - 2` on the three thirds of [-1, 1] maps each onto [-1, 1]; the middle one is
reflected, which a fractal with this symmetry doesn't notice. Since `T` is continuous, points on shared
faces are right too:

    A:  relu(3x + 4), relu(3x + 1), relu(3x - 1), relu(3x - 4), relu(3x - 1 - t), relu(-3x - 1 - t)
    B:  p_j = relu(T(x_j) + 2),  g = relu(1 - M sum_j (the last two)),    z_j = p_j - 2 - 4 g

`g` is 1 in the removed center and 0 elsewhere; it sends a point to `z < -2`, from where `T` leads to
`(-2, ..., -2)` and stays. At last `relu(1 - 4 sum_j (relu(z_j - 3/2) + relu(-z_j - 3/2)))` tells whether
the point is in the cube still.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np

from ..._static import to_jax
from ...activations import ReLU
from ...linear import Sparse
from ...network import Label, Layer, Network, Repeat
from .limits import Limits

# T(x) + 2 as a sum of relu(3 x + shift).
_SHIFTS, _HEIGHTS = (4.0, 1.0, -1.0, -4.0), (1.0, -2.0, 2.0, -1.0)

# Points in the cube end at |z| <= 1, lost ones at 2 or more.
_EDGE, _SLOPE = 1.5, 4.0


def fold_network(size: int, level: int, limits: Limits, dtype: Any) -> Network:
    """The indicator of `K_level` for `3^size - 1` maps: `2 level + 2` hidden layers, `6 size` units wide."""
    fold = _fold(size, limits, dtype)
    middle: tuple[Layer | Repeat, ...] = ()
    if level > 1:
        middle = (Repeat.copies((fold, _locate(size, limits, dtype)), level - 1),)
    return Network((_locate(size, limits, dtype, first=True), *middle, fold, *_decide(size, dtype)))


def _locate(size: int, limits: Limits, dtype: Any, *, first: bool = False) -> Layer:
    """Layer A, six units a coordinate."""
    signs = np.array([3.0, 3.0, 3.0, 3.0, 3.0, -3.0])
    shifts = np.array([*_SHIFTS, *(-1 - limits.threshold,) * 2])
    return _of_coordinates(size, signs, shifts, "locate", dtype, first=first)


def _of_coordinates(size: int, signs: Any, shifts: Any, name: str, dtype: Any, *, first: bool = False) -> Layer:
    """`relu(sign z_j + shift)` for every coordinate, where `z` is the input or `p - 2 - 4 g`."""
    kinds = len(signs)
    rows = np.arange(size * kinds)
    cols, values = rows // kinds, np.tile(signs, size)
    biases = np.tile(shifts if first else shifts - 2 * signs, size)
    if not first:
        rows, cols = np.tile(rows, 2), np.concatenate([cols, np.full(len(cols), size)])
        values = np.concatenate([values, -4 * values])
    linear = Sparse(rows, cols, values.astype(dtype), (len(biases), size if first else size + 1))
    return Layer(linear, to_jax(biases, dtype), ReLU(), Label(name, group=kinds))


def _fold(size: int, limits: Limits, dtype: Any) -> Layer:
    """Layer B: the folded coordinates, plus 2, and the unit that sees the center."""
    units = np.arange(size)
    folded = (np.repeat(units, 4), (6 * units[:, None] + np.arange(4)).ravel(), np.tile(_HEIGHTS, size))
    seen = (np.full(2 * size, size), (6 * units[:, None] + [4, 5]).ravel(), np.full(2 * size, -limits.slope))
    rows, cols, values = (np.concatenate(parts) for parts in zip(folded, seen, strict=True))
    linear = Sparse(rows, cols, values.astype(dtype), (size + 1, 6 * size))
    bias = to_jax(np.append(np.zeros(size), 1.0), dtype)
    return Layer(linear, bias, ReLU(), Label("fold", group=size + 1))


def _decide(size: int, dtype: Any) -> tuple[Layer, Layer, Layer]:
    """Whether the point is in the cube still."""
    edges = _of_coordinates(size, np.array([1.0, -1.0]), np.array([-_EDGE, -_EDGE]), "edge", dtype)
    units = np.arange(2 * size)
    inside = Sparse(0 * units, units, np.full(2 * size, -_SLOPE).astype(dtype), (1, 2 * size))
    last = Sparse(np.array([0]), np.array([0]), np.ones(1, dtype), (1, 1))
    return edges, Layer(inside, jnp.ones(1, dtype), ReLU(), Label("decide")), Layer(last)
