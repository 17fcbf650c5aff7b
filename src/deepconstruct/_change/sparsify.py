"""Networks without their small weights."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .._checks import check_size, is_concrete
from ..construction import Construction, as_network
from ..network import Network, own


def sparsify(network: Network | Construction, keep: Any) -> Network:
    """Keep the `keep` largest weights of a network and set the others to zero.

    Weights of all layers compete with one another, by absolute value (the modulus, if complex).
    Biases stay and aren't counted. Counted are free weights: one that a map uses several times, as
    `Kronecker` does, is one weight, kept or lost at all its places; `densify` first to count places.
    Each copy of a repeated block has weights of its own, and both factors of `Composed` count.

    Exactly `keep` weights are kept, zeros among them if there are too few others. Of equal ones the
    first stay, in the order of the network's leaves; moduli are equal up to rounding only, so which
    complex weights of one modulus stay is better not relied on. NaN counts as largest, so that a
    diverged network stays one. Pure JAX: works under jit, and vmap over networks and `keep`.

    Args:
        network: a network, or a construction (whose claim is lost).
        keep: how many, from 0 to the number of free weights; may be traced, where a count out of
            this range keeps none or all.

    Returns:
        A `Network` of the same structure: lost weights are zeros, and may be trained again.

    Raises:
        ValueError: a count out of range.
        TypeError: a count that isn't an integer.

    *Source*: Nye & Saxe (2018), section 3 ("setting small magnitude weights to zero").

    Example:
        >>> import deepconstruct as dc, jax
        >>> noisy = dc.perturb(dc.densify(dc.fft(4)), 0.1, key=jax.random.key(0))
        >>> dc.cost(noisy).synapses, dc.cost(dc.sparsify(noisy, 16)).synapses
        (32, 16)
    """
    network = as_network("sparsify", network)
    return own(kept(network, ranks_of(network), _checked_count(keep, num_weights(network))))


def _checked_count(keep: Any, total: int) -> Any:
    if not is_concrete(keep):
        if keep.shape or not jnp.issubdtype(keep.dtype, jnp.integer):
            raise TypeError(f"sparsify: keep must be one integer; got {keep.dtype.name} of shape {keep.shape}")
        return keep
    count = check_size("sparsify", "keep", keep, minimum=0)
    if count > total:
        raise ValueError(f"sparsify: keep must be at most the number of free weights, {total}; got {count}")
    return count


def _weights(network: Network) -> Network:
    """The network with `None` for whatever isn't a weight."""

    def is_weight(path: tuple, _: Array) -> bool:
        return any(getattr(key, "name", None) == "linear" for key in path)

    return eqx.filter(network, jax.tree_util.tree_map_with_path(is_weight, network))


def num_weights(network: Network) -> int:
    """The number of free weights, biases not counted."""
    return sum(leaf.size for leaf in jax.tree.leaves(_weights(network)))


def ranks_of(network: Network) -> Network:
    """The place of every weight in the order from large to small, in the place of the weight."""
    leaves, treedef = jax.tree.flatten(_weights(network))
    if not leaves:
        return treedef.unflatten([])
    magnitudes = jnp.concatenate([jnp.abs(jax.lax.stop_gradient(leaf)).ravel() for leaf in leaves])
    order = jnp.argsort(-jnp.where(jnp.isnan(magnitudes), jnp.inf, magnitudes), stable=True)
    ranks = jnp.zeros_like(order).at[order].set(jnp.arange(len(order), dtype=order.dtype), unique_indices=True)
    pieces = jnp.split(ranks, np.cumsum([leaf.size for leaf in leaves])[:-1])
    return treedef.unflatten([piece.reshape(leaf.shape) for piece, leaf in zip(pieces, leaves, strict=True)])


def kept(network: Network, ranks: Network, keep: Any) -> Network:
    """The network with zeros for the weights whose rank is `keep` or more."""

    def cut(leaf: Array, rank: Array | None) -> Array:
        if rank is None:
            return leaf
        with jax.numpy_dtype_promotion("standard"):  # integers of any kind count weights
            return jnp.where(rank < keep, leaf, jnp.zeros((), leaf.dtype))

    return jax.tree.map(cut, network, ranks)
