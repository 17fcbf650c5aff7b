"""What a network costs, in the units of the theorems."""

import dataclasses

import jax

from ..activations import Identity, groups
from ..construction import Construction, as_network
from ..linear.queries import nonzeros
from ..network import Layer, Network, flat_layers


@dataclasses.dataclass(frozen=True)
class Cost:
    """The size of a network.

    The readout is the last layer if its activation is the identity or softmax; every other layer is hidden.

    Attributes:
        layers: affine maps.
        depth: hidden layers.
        width: the widest hidden layer (0 without one).
        neurons: units of all hidden layers.
        linear_neurons: those among them with identity activation.
        synapses: non-zero weights, biases not counted, shared weights as often as they are used.
        parameters: trainable numbers, biases included, shared ones once.
    """

    layers: int
    depth: int
    width: int
    neurons: int
    linear_neurons: int
    synapses: int
    parameters: int


def cost(network: Network | Construction) -> Cost:
    """Count layers, neurons, synapses and parameters.

    Args:
        network: a network or construction with concrete weights.

    Returns:
        The counts, as a frozen record.

    Raises:
        TypeError: inside jit, vmap or grad, where nobody can say which weights are zero.

    Example:
        >>> import deepconstruct as dc
        >>> dc.cost(dc.parity(32))
        Cost(layers=6, depth=5, width=32, neurons=62, linear_neurons=0, synapses=186, parameters=248)
    """
    network = as_network("cost", network, read=True)
    layers = flat_layers(network)
    hidden = layers[:-1] if layers[-1].is_readout else layers
    return Cost(
        layers=len(layers),
        depth=len(hidden),
        width=max((layer.out_size for layer in hidden), default=0),
        neurons=sum(layer.out_size for layer in hidden),
        linear_neurons=sum(_linear_units(layer) for layer in hidden),
        synapses=sum(nonzeros(layer.linear) for layer in layers),
        parameters=sum(leaf.size for leaf in jax.tree.leaves(network)),
    )


def _linear_units(layer: Layer) -> int:
    return sum(
        width for activation, width in groups(layer.activation, layer.out_size) if isinstance(activation, Identity)
    )
