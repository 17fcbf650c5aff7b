"""Hidden units in another order."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from .._checks import check_key
from .._static import to_jax
from ..activations import Softmax, groups, join
from ..network import Layer, flat_layers
from ._claims import rewritten
from ._maps import (
    at_ends,
    bias_values,
    check_entries,
    check_worth,
    label_of_units,
    one_network,
    permuted,
    sums_anew,
    unit_activations,
    with_layers,
)


def permute_units(network: Any, permutations: Sequence[Any] | None = None, *, key: PRNGKeyArray | None = None) -> Any:
    """The same function with the units of hidden layers in another order.

    Args:
        network: a `Network` or a `Construction`.
        permutations: one a layer, repeated blocks unrolled, but for the last layer, whose units are the outputs:
            integers of shape `(width,)`, of which the `k`-th says which unit comes in place `k`; or `None` for a
            layer that stays as it is.
        key: a PRNG key, from which all are drawn instead.

    Returns:
        The same kind. Labels go with their units. Blocks of which a layer changes are unrolled, shared weights and
        biases unshared; maps whose pattern stays, dense ones and permutations keep their class, others become
        `Sparse`.

    Raises:
        ValueError: neither or both of permutations and key, another number of them, what isn't a permutation of
            a layer's units, units of a softmax beside others, a map too large to be written out, or a claim that
            counts on a map's own order of sums and can't be kept without.
        TypeError: neither a network nor a construction, or a stack of networks.

    Exactness: the function is the same, and so is every output bit where sums don't depend on their order. A claim
        holds in any order and is kept as it is; but maps that sum in an order of their own add the rounding of
        plain sums to it.

    Example:
        >>> import deepconstruct as dc
        >>> moved = dc.rewrite.permute_units(dc.parity(2), [[1, 0]])
        >>> [layer.tolist() for layer in dc.layer_outputs(moved.network, [1, 1])]
        [[1.0, 2.0], [0.0]]
    """
    source = one_network("permute_units", network)
    layers = flat_layers(source)
    orders = _drawn(layers, key) if permutations is None and key is not None else permutations
    if orders is None or (permutations is not None and key is not None):
        raise ValueError("permute_units: give either permutations or key=")
    moves = [*_checked(layers, orders), None]
    new = [_moved(*parts) for parts in zip(range(len(layers)), layers, moves, [None, *moves[:-1]], strict=True)]
    rounds = [sums_anew(*pair) for pair in zip(layers, new, strict=True)]
    found = rewritten("permute_units", network, with_layers(source, layers, new), rounds=rounds)
    check_worth("permute_units", network, found)
    return found


def _drawn(layers: Sequence[Layer], key: PRNGKeyArray) -> list[Any]:
    check_key("permute_units", key)
    keys = jax.random.split(key, len(layers))
    return [
        np.asarray(jax.random.permutation(part, layer.out_size)) if _moves_freely(layer) else None
        for part, layer in zip(keys, layers[:-1], strict=False)
    ]


def _moves_freely(layer: Layer) -> bool:
    """Whether its units may change places: not those of a softmax with others."""
    kinds = groups(layer.activation, layer.out_size)
    return len(kinds) == 1 or not any(isinstance(kind, Softmax) for kind, _ in kinds)


def _checked(layers: Sequence[Layer], orders: Sequence[Any]) -> list[np.ndarray | None]:
    """The permutations, `None` for those that move nothing."""
    if len(orders) != len(layers) - 1:
        raise ValueError(
            f"permute_units: expected {len(layers) - 1} permutations, one a layer but for the last; got {len(orders)}"
        )
    found: list[np.ndarray | None] = []
    for index, (layer, given) in enumerate(zip(layers, orders, strict=False)):
        order, units = None if given is None else np.asarray(given), np.arange(layer.out_size)
        if order is not None and not (order.dtype.kind in "iu" and np.array_equal(np.sort(order, axis=None), units)
                                      and order.shape == units.shape):  # fmt: skip
            raise ValueError(
                f"permute_units: layer {index} needs a permutation of 0..{layer.out_size - 1}; got {given!r}"
            )
        moves = order is not None and not np.array_equal(order, units)
        if moves and not _moves_freely(layer):
            raise ValueError(f"permute_units: layer {index} has a softmax beside other units, which must stay")
        found.append(order if moves else None)
    return found


def _moved(index: int, layer: Layer, units: np.ndarray | None, inputs: np.ndarray | None) -> Layer:
    """A layer with its units, and what it takes, in another order."""
    if units is None and inputs is None:
        return layer
    check_entries("permute_units", index, layer)
    first = None if inputs is None else partial(permuted, units=inputs, rows=False)
    last = None if units is None else partial(permuted, units=units, rows=True)
    linear = at_ends(layer.linear, first, last)
    if units is None:
        return Layer(linear, layer.bias, layer.activation, layer.label)
    bias = bias_values(layer)
    kinds = unit_activations(layer)
    activation = layer.activation if isinstance(layer.activation, Softmax) else join([(kinds[k], 1) for k in units])
    return Layer(linear, None if bias is None else to_jax(bias[units]), activation, label_of_units(layer, units))
