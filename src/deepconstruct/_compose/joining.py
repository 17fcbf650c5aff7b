"""How networks are put together, layer by layer; claims come elsewhere."""

from itertools import zip_longest

import jax
import jax.numpy as jnp

from .._bias import bias_vector, join_biases
from ..activations import join
from ..linear import Composed, DirectSum, Identity as IdentityMap, Stack, product
from ..linear.queries import realified
from ..network import Layer, Network, Repeat, flat_layers

Parts = tuple[Layer | Repeat, ...]


def join_series(first: Parts, second: Parts, *, merge: bool, factored: bool = False) -> Parts:
    """`second` after `first`; a linear readout is merged into a following nonlinear layer.

    With `factored` the merged weights are kept as two factors, which round as two layers do.
    """
    if not merge or not can_merge(first, second):
        return first + second
    readout, layer = first[-1], second[0]
    assert isinstance(readout, Layer)
    assert isinstance(layer, Layer)
    return (*first[:-1], merge_layers(readout, layer, factored=factored), *second[1:])


def can_merge(first: Parts, second: Parts) -> bool:
    """Whether a linear readout meets a nonlinear layer.

    Two linear layers are never merged: that would make an FFT, or a low-rank pair, dense.
    """
    readout, layer = first[-1], second[0]
    if not isinstance(readout, Layer) or not isinstance(layer, Layer):
        return False
    return readout.is_linear and not layer.is_linear


def merge_layers(readout: Layer, layer: Layer, *, factored: bool = False) -> Layer:
    """One layer for `layer` after the linear layer `readout`."""
    bias, shift = layer.bias, bias_vector(readout.bias)
    if shift is not None:
        moved = layer.linear(shift)
        own = bias_vector(layer.bias)
        bias = moved if own is None else own + moved
    join = Composed if factored and not isinstance(readout.linear, IdentityMap) else product
    return Layer(join(layer.linear, readout.linear), bias, layer.activation, layer.label)


def join_parallel(networks: list[Network]) -> Parts:
    """Networks side by side; shallower ones are padded behind their readout by identity layers."""
    # Repeated blocks stay only where all networks have them at one place, alike in times and length.
    shapes = {tuple(_repetition(part) for part in network.layers) for network in networks}
    chains = [network.layers if len(shapes) == 1 else flat_layers(network) for network in networks]
    rows = zip_longest(*chains)
    return tuple(_side_by_side(row, [network.out_size for network in networks]) for row in rows)


def _repetition(part: Layer | Repeat) -> tuple[int, int] | None:
    return (part.times, len(part.layers)) if isinstance(part, Repeat) else None


def _side_by_side(row: tuple[Layer | Repeat | None, ...], out_sizes: list[int]) -> Layer | Repeat:
    if isinstance(row[0], Repeat):
        columns = tuple(zip(*(part.layers for part in row), strict=True))  # pyright: ignore
        join = jax.vmap(lambda blocks: tuple(_join_layers(list(b)) for b in blocks), axis_size=row[0].times)
        return Repeat(join(columns), row[0].times)
    padded = [Layer(IdentityMap(size)) if part is None else part for part, size in zip(row, out_sizes, strict=True)]
    return _join_layers(padded)  # pyright: ignore[reportArgumentType]


def _join_layers(layers: list[Layer]) -> Layer:
    linear = DirectSum(tuple(layer.linear for layer in layers))
    return _with_joined_rest(linear, layers)


def _with_joined_rest(linear: DirectSum | Stack, layers: list[Layer]) -> Layer:
    sizes = [layer.out_size for layer in layers]
    bias = join_biases([layer.bias for layer in layers], sizes)
    activation = join([(layer.activation, layer.out_size) for layer in layers])
    labels = {layer.label for layer in layers}
    return Layer(linear, bias, activation, labels.pop() if len(labels) == 1 else None)


def join_fan_out(networks: list[Network]) -> Parts:
    """Networks on the same input: the first layers are stacked, the rest run in parallel."""
    chains = [flat_layers(network) for network in networks]
    firsts = [chain[0] for chain in chains]
    stacked = _with_joined_rest(Stack(tuple(layer.linear for layer in firsts)), firsts)
    sizes = [network.out_size for network in networks]
    # Behind its first layer a chain of length one is its own output, so padding fits everywhere.
    rest = zip_longest(*(chain[1:] for chain in chains))
    return (stacked, *(_side_by_side(row, sizes) for row in rest))


def join_repeat(layers: Parts, times: int, *, merge: bool) -> Parts:
    """`layers` run `times` times, rotated so that no linear joint stays inside the block."""
    if times == 1:
        return layers
    flat = flat_layers(Network(layers))
    if not merge or not can_merge(flat, flat):
        return (Repeat.copies(flat, times),)
    joint = merge_layers(flat[-1], flat[0])
    block = (joint, *flat[1:-1])
    return (*flat[:-1], Repeat.copies(block, times - 1), flat[-1])


def realify_layers(network: Network) -> Parts:
    """The layers of the real network on stacked real and imaginary parts."""
    return tuple(_realify_layer(layer) for layer in flat_layers(network))


def _realify_layer(layer: Layer) -> Layer:
    bias = bias_vector(layer.bias)
    if bias is not None:
        bias = jnp.concatenate([bias.real, bias.imag])
    return Layer(realified(layer.linear), bias, layer.activation, layer.label)
