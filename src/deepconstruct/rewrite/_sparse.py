"""Networks of the same function with the entries of their maps in lists."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from .._static import to_jax
from ..linear import AbstractLinear, Sparse
from ..network import Layer, Network, flat_layers
from ._claims import rewritten
from ._maps import bias_values, check_entries, check_worth, composed, one_network, steps, sums_anew


def to_sparse(network: Any) -> Any:
    """The same function with every map `Sparse`, without the zeros among its weights.

    Args:
        network: a `Network` or a `Construction`.

    Returns:
        The same kind: repeated blocks unrolled, shared weights and biases unshared. Factors of one layer
        (`dc.linear.Composed`) stay factors. A claim is kept, since zeros round nothing; but maps that sum in an order
        of their own (`AbstractLinear.summation`, `SignPatterns`) add the rounding of plain sums to it.

    Raises:
        ValueError: a map too large to be written out, or a claim for which that rounding can't be bounded.
        TypeError: neither a network nor a construction, or a stack of networks.

    Example:
        >>> import deepconstruct as dc
        >>> dense = dc.densify(dc.parity(8))
        >>> dc.cost(dense).parameters, dc.cost(dc.rewrite.to_sparse(dense)).parameters
        (120, 56)
    """
    source = one_network("to_sparse", network)
    old = flat_layers(source)
    new = [_sparse_layer(index, layer, source.dtype) for index, layer in enumerate(old)]
    rounds = [sums_anew(*pair) for pair in zip(old, new, strict=True)]
    found = rewritten("to_sparse", network, Network(tuple(new)), rounds=rounds)
    check_worth("to_sparse", network, found)
    return found


def _sparse_layer(index: int, layer: Layer, dtype: np.dtype) -> Layer:
    check_entries("to_sparse", index, layer)
    bias = bias_values(layer)
    linear = composed([_sparse_map(part, dtype) for part in steps(layer.linear)])
    return Layer(linear, None if bias is None else to_jax(bias), layer.activation, layer.label)


def _sparse_map(linear: AbstractLinear, dtype: np.dtype) -> Sparse:
    rows, cols, values = linear.entries()
    values = np.asarray(values)
    kept = values != 0
    if not jnp.issubdtype(values.dtype, jnp.inexact):
        values = values.astype(dtype)  # the ones of maps without weights take on that of the network
    return Sparse(rows[kept], cols[kept], to_jax(values[kept]), (linear.out_size, linear.in_size))
