"""Structured maps whose rows and columns change places, or are multiplied; and networks with other layers."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .._bias import bias_vector
from .._checks import check_size, known
from .._static import to_jax
from ..activations import AbstractActivation, groups
from ..construction import Construction, as_network
from ..linear import AbstractLinear, Composed, Dense, DirectSum, Identity, Kronecker, Permutation, Sparse, Stack
from ..network import Label, Layer, Network, Repeat, stack_size
from ._core import is_vast, keeps_an_order, with_values


def steps(linear: AbstractLinear) -> list[AbstractLinear]:
    """The maps that run one after another in a map, the first first; none of them has such inside.

    Shorter parts of a sum or a stack are followed by identities, which round nothing.
    """
    if isinstance(linear, Composed):
        return [*steps(linear.inner), *steps(linear.outer)]
    if not isinstance(linear, DirectSum | Stack):
        return [linear]
    parts = list(map(steps, linear.parts))
    count = max(map(len, parts))
    if count == 1:
        return [linear]
    padded = [[*part, *[Identity(part[-1].out_size)] * (count - len(part))] for part in parts]
    first, *rest = zip(*padded, strict=True)
    return [type(linear)(first), *map(DirectSum, rest)]


def composed(maps: Sequence[AbstractLinear]) -> AbstractLinear:
    """One map that runs these, the first first."""
    found = maps[0]
    for outer in maps[1:]:
        found = Composed(outer, found)
    return found


def at_ends(
    linear: AbstractLinear,
    first: Callable[[AbstractLinear], AbstractLinear] | None,
    last: Callable[[AbstractLinear], AbstractLinear] | None,
) -> AbstractLinear:
    """A map with its inner step changed by one function and its outer step by another."""
    if first is None and last is None:
        return linear
    maps = steps(linear)
    maps[0] = maps[0] if first is None else first(maps[0])
    maps[-1] = maps[-1] if last is None else last(maps[-1])
    return composed(maps)


def permuted(linear: AbstractLinear, units: np.ndarray, *, rows: bool) -> AbstractLinear:
    """A map whose row `k`, or column `k`, is that of number `units[k]`.

    Dense maps, permutations, and those whose pattern stays keep their class; others become sparse.
    """
    place = np.argsort(units)
    if isinstance(linear, Dense):
        weight = known(linear.weight)
        return Dense(to_jax(weight[units] if rows else weight[:, units]))
    if isinstance(linear, Identity | Permutation):
        indices = linear.entries()[1]
        return Permutation(indices[units] if rows else place[indices])
    at_rows, at_cols, values = linear.entries()
    moved_rows, moved_cols = (place[at_rows], at_cols) if rows else (at_rows, place[at_cols])
    shape = (linear.out_size, linear.in_size)
    old, new = np.lexsort((at_cols, at_rows)), np.lexsort((moved_cols, moved_rows))
    if np.array_equal(at_rows[old], moved_rows[new]) and np.array_equal(at_cols[old], moved_cols[new]):
        ordered = np.empty_like(values)
        ordered[old] = values[new]
        return with_numbers(linear, ordered)
    return Sparse(moved_rows, moved_cols, to_jax(values), shape)


def with_numbers(linear: AbstractLinear, values: np.ndarray) -> AbstractLinear:
    """The map with these values in the places of its `entries`; a tied one stays if they are alike."""
    if isinstance(linear, Kronecker):
        blocks = values.reshape(linear.shape)
        if np.all(blocks == blocks[:1, :, :, :1]):
            return Kronecker(to_jax(blocks[0, :, :, 0]), outer=linear.shape[0], inner=linear.shape[3])
    return with_values(linear, values)


def one_network(rule: str, given: Any) -> Network:
    """The network of what is to be rewritten.

    Raises:
        TypeError: neither a network nor a construction, or a stack of networks.
    """
    network = as_network(rule, given)
    if stack_size(network) is not None:
        raise TypeError(f"{rule}: expected one network; got a stack of them. Rewrite those of dc.unstack(stack)")
    return network


def hidden_index(rule: str, layers: Sequence[Layer], at: Any) -> int:
    """Which hidden layer is meant, repeated blocks unrolled."""
    if check_size(rule, "at", at, minimum=0) >= len(layers) - 1:
        raise ValueError(
            f"{rule}: at must be a hidden layer, of which there are {len(layers) - 1}, from 0 on; got {at}"
        )
    return int(at)


def check_entries(rule: str, index: int, layer: Layer) -> None:
    """Refuse a map of all patterns of signs with too many entries to be written out."""
    if keeps_an_order(layer.linear) and is_vast(layer.linear):
        raise ValueError(f"{rule}: the map of layer {index} has too many entries to be written out")


def check_worth(rule: str, given: Any, found: Any) -> None:
    """Refuse a construction whose new rounding was only bounded by more than its outputs can be."""
    if not isinstance(given, Construction) or found.claim == given.claim:
        return
    ends = np.abs(given.claim.codomain.box())
    most, added = max(1.0, float(ends[np.isfinite(ends)].max(initial=0.0))), found.claim.error.largest
    if added > most and added > 2 * given.claim.error.largest:
        raise ValueError(
            f"{rule}: the rounding of {given.name} can only be bounded by {added:.2g} then, which says nothing of "
            f"outputs up to {most:.3g}; rewrite its .network"
        )


def sums_anew(old: Layer, new: Layer) -> bool:
    """Whether a map that sums in an order of its own was made anew, which may not keep that order."""
    if old is new:
        return False
    pairs = zip(steps(old.linear), steps(new.linear), strict=True)
    return any(before is not after and keeps_an_order(before) for before, after in pairs)


def unit_activations(layer: Layer) -> list[AbstractActivation]:
    """One activation a unit; a softmax of the whole layer stands for each of its units."""
    return [kind for kind, width in groups(layer.activation, layer.out_size) for _ in range(width)]


def label_of_units(layer: Layer, units: np.ndarray) -> Label | None:
    """The label of these units of a layer, in this order."""
    if layer.label is None:
        return None
    return Label(layer.label.name, listed=tuple(map(int, layer.label.gates(layer.out_size)[units])))


def bias_values(layer: Layer) -> np.ndarray | None:
    """The biases in their dtype; `None` for a layer without."""
    bias = bias_vector(layer.bias)
    return None if bias is None else np.asarray(bias)


def with_layers(network: Network, old: Sequence[Layer], new: Sequence[Layer]) -> Network:
    """A network with `new` in the place of its `old` layers, unrolled; blocks of which none is new stay blocks."""
    parts, start = [], 0
    for part in network.layers:
        stop = start + (len(part.layers) * part.times if isinstance(part, Repeat) else 1)
        same = all(a is b for a, b in zip(old[start:stop], new[start:stop], strict=True))
        parts += [part] if same else new[start:stop]
        start = stop
    return Network(tuple(parts))
