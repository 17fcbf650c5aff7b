"""Hidden units split into copies that share their weights."""

import math
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from .._checks import check_allocation, check_key, check_size
from .._static import to_jax
from ..activations import join
from ..linear import AbstractLinear, Dense, Sparse
from ..network import Layer, flat_layers
from ._claims import rewritten
from ._core import fits
from ._draft import UNITWISE, real_network
from ._maps import at_ends, bias_values, check_entries, check_worth, label_of_units, unit_activations, with_layers


def widen(
    network: Any,
    widths: Sequence[int | None] | None = None,
    *,
    factor: int | None = None,
    key: PRNGKeyArray | None = None,
) -> Any:
    """The same function in wider hidden layers: units are split into copies.

    Copies have the weights and the bias of their unit, and what reads them has shares of its weights: 1/2 and 1/2,
    or 1/2, 1/4 and 1/4, and so on, powers of two that sum up to 1. All units of a layer get equally many copies, or
    some one more.

    Args:
        network: a `Network`, or a `Construction`, of real weights.
        widths: one a layer, repeated blocks unrolled, but for the last layer, whose units are the outputs: an
            integer of at least its width, or `None` for a layer that stays as it is.
        factor: how many times wider all hidden layers become, instead.
        key: a PRNG key, from which is drawn which units get one more copy; the first ones by default.

    Returns:
        The same kind. Copies stand side by side in the place of their unit and have its label. Blocks of which a
        layer changes are unrolled, shared weights and biases unshared; dense maps stay dense, others become `Sparse`.

    Raises:
        ValueError: neither or both of widths and factor, another number of widths, one below the width that is
            there, a layer without units, units of a softmax or of a class of your own, a share that isn't a normal
            number of the dtype, a map too large to be written out, weights that aren't finite, or a claim for which
            the new rounding can't be bounded.
        TypeError: neither a network nor a construction, a stack of networks, complex weights, or widths that aren't
            integers.

    Exactness: the same function of real numbers, everywhere. Copies may be summed up in different orders, and sums
        have more terms: what that may round is added to a claim, but where nothing rounds on its domain. Claims of
        networks of steps are then about the domain alone, without a radius.

    Cost: synapses grow by the copies of both ends.

    Example:
        >>> import deepconstruct as dc
        >>> wide = dc.rewrite.widen(dc.parity(2), [5])
        >>> dc.cost(wide).neurons, wide([[0, 1], [1, 1]]).tolist()
        (5, [[1.0], [0.0]])
        >>> wide.network.layers[1].linear.entries()[2].tolist()
        [0.5, 0.25, 0.25, -1.0, -1.0]
    """
    source = real_network("widen", network)
    layers = flat_layers(source)
    copies = [*_copies(layers, _widths(layers, widths, factor), key), None]
    new = [
        _widened(index, layer, units, inputs, source.dtype)
        for index, (layer, units, inputs) in enumerate(zip(layers, copies, [None, *copies[:-1]], strict=True))
    ]
    rounds = [before is not after for before, after in zip(layers, new, strict=True)]
    found = rewritten("widen", network, with_layers(source, layers, new), rounds=rounds)
    check_worth("widen", network, found)
    return found


def _widths(layers: Sequence[Layer], widths: Sequence[int | None] | None, factor: int | None) -> list[int]:
    """The width that every hidden layer shall have."""
    hidden = layers[:-1]
    if (widths is None) == (factor is None):
        raise ValueError("widen: give either widths or factor=")
    if factor is not None:
        return [layer.out_size * check_size("widen", "factor", factor) for layer in hidden]
    if not isinstance(widths, Iterable):
        raise TypeError(f"widen: widths must be a list of integers, one a hidden layer; got {widths!r}")
    given = list(widths)
    if len(given) != len(hidden):
        raise ValueError(f"widen: expected {len(hidden)} widths, one a layer but for the last; got {len(given)}")
    return [
        layer.out_size if width is None else check_size("widen", f"width {index}", width, minimum=layer.out_size)
        for index, (layer, width) in enumerate(zip(hidden, given, strict=True))
    ]


def _copies(layers: Sequence[Layer], widths: Sequence[int], key: PRNGKeyArray | None) -> list[np.ndarray | None]:
    """How many copies every unit is split into; `None` for a layer that stays."""
    if key is not None:
        check_key("widen", key)
    keys = [None] * len(widths) if key is None else list(jax.random.split(key, len(layers)))[:-1]
    found: list[np.ndarray | None] = []
    for index, (layer, width, part) in enumerate(zip(layers, widths, keys, strict=False)):
        size = layer.out_size
        if width == size:
            found.append(None)
            continue
        _check_splits(index, layer)
        read = sum(map(math.prod, layers[index + 1].linear.leaf_shapes))
        check_allocation("widen", f"layer {index}", max(width, read * -(-width // size)))
        order = np.arange(size) if part is None else np.asarray(jax.random.permutation(part, size))
        counts = np.full(size, width // size)
        counts[order[: width % size]] += 1
        found.append(counts)
    return found


def _check_splits(index: int, layer: Layer) -> None:
    if not layer.out_size:
        raise ValueError(f"widen: layer {index} has no units that could be split")
    others = [kind.name() for kind in unit_activations(layer) if type(kind) not in UNITWISE]
    if others:
        raise ValueError(
            f"widen: units of {others[0]} in layer {index} may depend on each other, so they can't be split"
        )


def _shares(counts: np.ndarray) -> np.ndarray:
    """Powers of two that sum up to 1 for the copies of each unit, the larger ones first."""
    parts = []
    for count in counts.tolist():
        halvings = count.bit_length() - 1
        halved = 2 * (count - 2**halvings)
        parts.append([0.5**halvings] * (count - halved) + [0.5 ** (halvings + 1)] * halved)
    return np.concatenate(parts)


def _widened(index: int, layer: Layer, units: np.ndarray | None, inputs: np.ndarray | None, dtype: np.dtype) -> Layer:
    """A layer with its units, and those that it reads, in so many copies."""
    if units is None and inputs is None:
        return layer
    check_entries("widen", index, layer)
    first = None if inputs is None else partial(_with_columns, index=index, counts=inputs, dtype=dtype)
    last = None if units is None else partial(_with_rows, counts=units, dtype=dtype)
    linear = at_ends(layer.linear, first, last)
    if units is None:
        return Layer(linear, layer.bias, layer.activation, layer.label)
    bias, kinds, source = bias_values(layer), unit_activations(layer), np.repeat(np.arange(len(units)), units)
    activation = join([(kinds[unit], 1) for unit in source])
    return Layer(linear, None if bias is None else to_jax(bias[source]), activation, label_of_units(layer, source))


def _with_rows(linear: AbstractLinear, counts: np.ndarray, dtype: np.dtype) -> AbstractLinear:
    """A map with every row so many times."""
    rows, cols, values = _entries(linear, dtype)
    picked, places = _spread(rows, counts)
    return _map_like(linear, places, cols[picked], values[picked], (int(counts.sum()), linear.in_size))


def _with_columns(linear: AbstractLinear, index: int, counts: np.ndarray, dtype: np.dtype) -> AbstractLinear:
    """A map with shares of every column."""
    rows, cols, values = _entries(linear, dtype)
    picked, places = _spread(cols, counts)
    shares, old = _shares(counts)[places], values[picked].astype(np.float64)
    wide = old * shares
    if not np.all((shares == 1) | (old == 0) | (fits(wide, values.dtype) & (wide != 0))):
        raise ValueError(
            f"widen: shares of the weights of layer {index} leave the normal numbers of {values.dtype.name}"
        )
    return _map_like(linear, rows[picked], places, wide.astype(values.dtype), (linear.out_size, int(counts.sum())))


def _entries(linear: AbstractLinear, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The entries of a map; the ones of maps without weights take on the dtype of the network."""
    rows, cols, values = (np.asarray(part) for part in linear.entries())
    return rows, cols, values if jnp.issubdtype(values.dtype, jnp.inexact) else values.astype(dtype)


def _spread(ends: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which entries are picked, each as often as its end has copies, and the places of these copies."""
    times = counts[ends]
    picked = np.repeat(np.arange(len(ends)), times)
    ordinal = np.arange(len(picked)) - np.repeat(np.cumsum(times) - times, times)
    return picked, (np.cumsum(counts) - counts)[ends[picked]] + ordinal


def _map_like(
    linear: AbstractLinear, rows: np.ndarray, cols: np.ndarray, values: np.ndarray, shape: tuple[int, int]
) -> AbstractLinear:
    """The map of these entries: dense if that one is."""
    if not isinstance(linear, Dense):
        return Sparse(rows, cols, values, shape)
    matrix = np.zeros(shape, values.dtype)
    matrix[rows, cols] = values
    return Dense(to_jax(matrix))
