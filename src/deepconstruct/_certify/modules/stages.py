"""The maps of a network as they are run, one after another, as lists of entries."""

import dataclasses
from collections.abc import Iterator
from itertools import zip_longest

import numpy as np

from ..._arithmetic.intervals import bias_array
from ..._checks import known
from ...activations import AbstractActivation, Identity, groups
from ...linear import AbstractLinear, BlockDiagonal, Composed, DirectSum, Identity as IdentityMap, Kronecker, Stack
from ...linear.queries import concrete_entries
from ...network import Layer
from .records import NotModular

# Lists of more entries aren't made.
_ENTRIES = 2**23
# Blocks that read more units are treated as any map.
_WIDEST = 4096


@dataclasses.dataclass(frozen=True)
class Stage:
    """One map as it is run, with the bias and the activations behind it.

    Maps whose parts have several factors are sums of maps side by side, part by part.
    """

    linear: AbstractLinear
    bias: np.ndarray
    activations: list[tuple[AbstractActivation, int]]

    def entries(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows, columns and values, without zeros."""
        if self.size() > _ENTRIES:
            raise NotModular("a map has too many entries")
        rows, cols, values = concrete_entries(self.linear)
        if not np.all(np.isfinite(values)):
            raise NotModular("some weights aren't finite")
        return rows.astype(np.int64), cols.astype(np.int64), values.astype(np.float64)

    def size(self) -> int:
        leaves = sum(int(np.prod(shape)) for shape in self.linear.leaf_shapes)
        shape = self.linear.shape if isinstance(self.linear, Kronecker) else (1,)
        return leaves * int(shape[0]) * int(shape[-1])


def stages(layer: Layer) -> Iterator[Stage]:
    """The stages of a layer: one a factor of its map."""
    *inner, last = _factors(layer.linear)
    for linear in inner:
        yield Stage(linear, np.zeros(linear.out_size), [(Identity(), linear.out_size)])
    bias = bias_array(layer)
    if not np.all(np.isfinite(bias)):
        raise NotModular("some biases aren't finite")
    yield Stage(last, bias, groups(layer.activation, layer.out_size))


def _factors(linear: AbstractLinear) -> list[AbstractLinear]:
    """Maps without maps of several factors in them, which give the same one after another.

    Copies stand in for the factors that a part has less than another: they round nothing.
    """
    if isinstance(linear, Composed):
        return [*_factors(linear.inner), *_factors(linear.outer)]
    if not isinstance(linear, DirectSum | Stack):
        return [linear]
    chains = [_factors(part) for part in linear.parts]
    if all(len(chain) == 1 for chain in chains):
        return [linear]
    first, *rest = zip_longest(*chains)
    whole: list[AbstractLinear] = [type(linear)(first)]
    for row in rest:
        pairs = zip(row, linear.parts, strict=True)
        whole.append(DirectSum(tuple(IdentityMap(part.out_size) if map is None else map for map, part in pairs)))
    return whole


def equal_block(stage: Stage) -> tuple[tuple[int, int, int, int], np.ndarray, np.ndarray] | None:
    """Shape, weights and biases of the block of a map of equal blocks; `None` where they aren't all alike."""
    linear = stage.linear
    if len(stage.activations) > 1 or not isinstance(linear, BlockDiagonal | Kronecker):
        return None
    outer, out_block, in_block, inner = shape = linear.shape
    if in_block > _WIDEST:
        return None
    bias = stage.bias.reshape(outer, out_block, inner)
    if isinstance(linear, BlockDiagonal):
        blocks = known(linear.blocks)
        block = blocks[0, :, :, 0]
        if not np.all(blocks == block[None, :, :, None]):
            return None
    else:
        block = known(linear.matrix)
    block = block.astype(np.float64)
    if not np.all(np.isfinite(block)) or not np.all(bias == bias[:1, :, :1]):
        return None
    return shape, block, bias[0, :, 0]
