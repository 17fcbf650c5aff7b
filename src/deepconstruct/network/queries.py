"""What a network is made of, and what its layers give."""

import math
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Inexact

from .._checks import is_concrete
from .inputs import compiled
from .layer import Layer
from .network import Network
from .repeat import Repeat
from .stacks import stacked_axes

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
    network = network_of("layer_outputs", network)
    x, _ = network._prepared(x)
    return _outputs(network, x)


@compiled
def _outputs(network: Network, x: Array) -> list[Array]:
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


def layer_sequence(network: Network) -> tuple[Layer, ...]:
    """The layers as often as they run, for what is static: those of a block have their stacked leaves."""
    parts = [part.layers * part.times if isinstance(part, Repeat) else (part,) for part in network.layers]
    return tuple(layer for part in parts for layer in part)


def network_of(owner: str, value: Any) -> Network:
    """The network of a construction, or the network itself."""
    network = getattr(value, "network", value)
    if not isinstance(network, Network):
        raise TypeError(f"{owner}: expected a Network or Construction; got {type(value).__name__}")
    return network


def stack_size(network: Network) -> int | None:
    """How many networks a stack holds; `None` for a network that is no stack.

    Raises:
        ValueError: some weights are stacked and others aren't, or they are stacked differently often.

    Example:
        >>> import deepconstruct as dc
        >>> dc.network.stack_size(dc.stack([dc.parity(4), dc.parity(4)]))
        2
    """
    axes = set(stacked_axes(network_of("stack_size", network).layers) or [()])
    if axes == {()}:
        return None
    if len(axes) > 1:
        raise ValueError(f"stack_size: all weights must be stacked alike; got leading axes {sorted(axes)}")
    return axes.pop()[0]
