"""Networks of the same function in another form: dense, or in another dtype; and their patterns."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._checks import check_dtype
from .._compose.algebra import with_dense_rounding
from ..construction import Construction, as_network
from ..linear import AbstractLinear, Composed, SignPatterns, SignProduct
from ..network import Network, flat_layers

# Maps whose claims count on the order in which they sum.
_ORDERED = (SignPatterns, SignProduct, Composed)


def densify(network: Any) -> Any:
    """The same function with every entry of every weight matrix trainable.

    Args:
        network: a `Network` or a `Construction`.

    Returns:
        The same kind, all maps `Dense`, shared weights and biases unshared. A claim is kept, since
        adding zeros rounds nothing; but maps that sum in an order of their own, which rounds less
        (`SignPatterns`, `SignProduct`, `Composed`), add the rounding of plain sums to it.

    Raises:
        ValueError: a claim for which that rounding can't be bounded.

    Example:
        >>> import deepconstruct as dc
        >>> dc.cost(dc.parity(8)).parameters, dc.cost(dc.densify(dc.parity(8))).parameters
        (56, 120)
    """
    if isinstance(network, Construction):
        dense = densify(network.network)
        changed = [_keeps_an_order(layer.linear) for layer in flat_layers(network.network)]
        claim = with_dense_rounding(network.claim, dense, changed) if any(changed) else network.claim
        return Construction(dense, claim)
    network = as_network("densify", network)
    dtype = network.dtype
    return Network(tuple(part.dense(dtype) for part in network.layers))


def _keeps_an_order(linear: AbstractLinear) -> bool:
    """Whether a map, or one of those that it is joined from, sums in an order of its own."""
    parts = jax.tree.leaves(linear, is_leaf=lambda part: isinstance(part, _ORDERED))
    return any(isinstance(part, _ORDERED) for part in parts)


def sparsity_pattern(network: Any) -> tuple[np.ndarray, ...]:
    """Where each layer's structure has weights: boolean arrays `(out_size, in_size)`, in order.

    The positions are those of the structure, whatever the values there; repeated blocks are
    unrolled. They are static, so this works inside jit.

    Example:
        >>> import deepconstruct as dc
        >>> [int(mask.sum()) for mask in dc.sparsity_pattern(dc.parity(4))]
        [8, 8, 2]
    """
    network = as_network("sparsity_pattern", network)
    masks = []
    for layer in flat_layers(network):
        rows, cols, _ = layer.linear.entries()
        mask = np.zeros((layer.out_size, layer.in_size), bool)
        mask[rows, cols] = True
        masks.append(mask)
    return tuple(masks)


def astype(network: Network, dtype: Any) -> Network:
    """The network with its weights cast to another dtype of the same kind (real or complex).

    Args:
        network: a `Network`; a construction's claim is about its dtype, so build that one with
            `dtype=` instead.
        dtype: a floating dtype.

    Raises:
        TypeError: a construction.
        ValueError: a dtype of the other kind, or a 64-bit one without x64.

    Example:
        >>> import deepconstruct as dc
        >>> dc.astype(dc.parity(4).network, "float16").dtype.name
        'float16'
    """
    if isinstance(network, Construction):
        raise TypeError(
            f"astype: the claim of {network.name} is about {network.claim.dtype}; "
            "build the construction with dtype=..., or cast its .network"
        )
    network = as_network("astype", network)
    kind = "complex" if jnp.issubdtype(network.dtype, jnp.complexfloating) else "real"
    resolved = check_dtype("astype", dtype, kind=kind)
    return jax.tree.map(lambda leaf: leaf.astype(resolved), network)
