"""What a network is made of, and what its layers give."""

import math
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Inexact

from .._checks import is_concrete
from .layer import Layer
from .network import Network
from .repeat import Repeat

Tree = TypeVar("Tree")


def own(tree: Tree) -> Tree:
    """The same network, or other arrays, with memory of its own for every leaf.

    What is made from a network so outlives it, and the other way round, where one is donated to a compiled step.
    """
    return jax.tree.map(_copied, tree)


def _copied(leaf: Array) -> Array:
    # A copy by the device's transfer compiles nothing.
    return jax.device_put(leaf, may_alias=False) if is_concrete(leaf) else jnp.copy(leaf)


def layer_outputs(network: Network, x: Any) -> list[Inexact[Array, "*batch width"]]:
    """The output of every layer, in order; repeated blocks are unrolled.

    Args:
        network: a network (or a construction's `.network`).
        x: shape `(*batch, in_size)`.

    Returns:
        One array `(*batch, width)` a layer; the last is the network's output.

    Example:
        >>> import deepconstruct as dc
        >>> [h.tolist() for h in dc.layer_outputs(dc.parity(2).network, [1, 1])]
        [[2.0, 1.0], [0.0]]
    """
    network = getattr(network, "network", network)
    if not isinstance(network, Network):
        raise TypeError(f"layer_outputs: expected a Network or Construction; got {type(network).__name__}")
    x, _ = network._prepared(x, -1)
    batch = x.shape[:-1]
    h, outputs = x.reshape(math.prod(batch), network.in_size, 1), []
    for layer in flat_layers(network):
        h = layer.apply(h)
        outputs.append(h.reshape(*batch, layer.out_size))
    return outputs


def flat_layers(network: Network) -> tuple[Layer, ...]:
    """The layers of a network with repeated blocks unrolled."""
    parts = [part.unrolled() if isinstance(part, Repeat) else (part,) for part in network.layers]
    return tuple(layer for part in parts for layer in part)
