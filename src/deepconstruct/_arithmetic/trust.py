"""Which classes proofs know: only exact types, as a subclass may compute something else."""

from collections.abc import Iterable
from typing import Any

import jax
import numpy as np

from .._bias import JoinedBias, TiledBias
from ..activations import AbstractActivation, Concatenate
from ..linear import (
    AbstractLinear,
    BlockDiagonal,
    Butterfly,
    Composed,
    Dense,
    DirectSum,
    Identity,
    Kronecker,
    Permutation,
    SignPatterns,
    SignProduct,
    Sparse,
    Stack,
)
from ..network import Layer, Network, block_layers

_MAPS = frozenset({BlockDiagonal, Butterfly, Dense, Identity, Kronecker, Permutation, SignPatterns, SignProduct})


def is_known(network: Network, activations: Iterable[type]) -> bool:
    """Whether all of a network is of this library's own classes, with no other activations than these.

    All its weights have one dtype then, too.
    """
    layers = block_layers(network.layers)
    return (
        type(network) is Network
        and all(type(layer) is Layer and _is_known_layer(layer, frozenset(activations)) for layer in layers)
        and all(np.dtype(leaf.dtype) == network.dtype for leaf in jax.tree.leaves(network))
    )


def _is_known_layer(layer: Layer, activations: frozenset[type]) -> bool:
    return (
        _is_known_map(layer.linear)
        and _is_known_bias(layer.bias)
        and all(type(part) in activations for part in _parts(layer.activation))
    )


def _is_known_map(linear: AbstractLinear) -> bool:
    if type(linear) is Composed:
        return _is_known_map(linear.outer) and _is_known_map(linear.inner)
    if type(linear) is DirectSum or type(linear) is Stack:
        return all(map(_is_known_map, linear.parts))
    if type(linear) is Sparse:
        return _is_sorted(linear)
    return type(linear) in _MAPS


def _is_sorted(linear: Sparse) -> bool:
    """Whether no position comes twice: kernels rely on it."""
    flat = linear.rows.array.astype(np.int64) * linear.in_size + linear.cols.array
    return bool(np.all(np.diff(flat) > 0))


def _is_known_bias(bias: Any) -> bool:
    if type(bias) is JoinedBias:
        return all(map(_is_known_bias, bias.parts))
    return bias is None or type(bias) is TiledBias or isinstance(bias, jax.Array | np.ndarray)


def _parts(activation: AbstractActivation) -> list[AbstractActivation]:
    """The plain activations of a layer; a subclass of `Concatenate` is one that nobody knows."""
    if type(activation) is not Concatenate:
        return [activation]
    return [part for inner in activation.activations for part in _parts(inner)]
