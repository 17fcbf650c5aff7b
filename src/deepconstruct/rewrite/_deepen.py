"""Layers put in that hand on what they take."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from .._checks import check_choice
from ..activations import AbstractActivation, Exp, Power, ReLU, Sigmoid, Softmax, Square, Step
from ..linear import Composed, Identity, Sparse, Stack
from ..network import Layer, Network, Repeat, flat_layers
from ._claims import rewritten
from ._maps import hidden_index, label_of_units, one_network, unit_activations


def deepen(network: Any, at: int, *, how: str = "linear") -> Any:
    """The same function with one more layer, which hands on what it takes.

    Args:
        network: a `Network` or a `Construction`.
        at: the hidden layer behind which the new one comes, repeated blocks unrolled, from 0 on.
        how: `"linear"`, units of the identity; or `"relu"`: one ReLU for a unit that is never negative (ReLU, step,
            square and even powers, sigmoid, exponential, softmax), and for others the pair `relu(x)` and `relu(-x)`,
            whose difference is `x`.

    Returns:
        The same kind. The new units have the labels of those that they stand for. The layer behind pairs first
        subtracts them, as the inner factor of its map (`dc.linear.Composed`). Blocks that are cut, or of which a
        layer changes, are unrolled.

    Raises:
        ValueError: not a hidden layer, one without units, or another way.
        TypeError: neither a network nor a construction, a stack of networks, or complex weights for `"relu"`.

    Exactness: bit for bit, but for the sign of zeros: numbers are multiplied by 1 and -1, and zeros are added. Where
        units overflow, pairs may give NaN, and where they are below the normal numbers, 0. A claim is kept as it is.

    Cost: as many neurons and synapses as the layer has units; in pairs twice as many neurons, and four times as many
        synapses.

    Example:
        >>> import deepconstruct as dc
        >>> tree = dc.parity(4)
        >>> deep = dc.rewrite.deepen(tree, 0, how="relu")
        >>> dc.cost(tree).depth, dc.cost(deep).depth, deep.claim == tree.claim
        (2, 3, True)
    """
    source = one_network("deepen", network)
    layers = flat_layers(source)
    at = hidden_index("deepen", layers, at)
    if not layers[at].out_size:
        raise ValueError(f"deepen: layer {at} has no units to be handed on")
    if check_choice("deepen", "how", how, ("linear", "relu")) == "relu":
        if jnp.issubdtype(source.dtype, jnp.complexfloating):
            raise TypeError(
                'deepen: ReLUs need real weights; got complex ones. dc.realify makes them so, or how="linear"'
            )
        added, behind = _relus(layers[at], layers[at + 1], source.dtype)
    else:
        size = layers[at].out_size
        added, behind = Layer(Identity(size), None, "identity", layers[at].label), None
    return rewritten("deepen", network, _inserted(source, at, added, behind))


def _relus(layer: Layer, behind: Layer, dtype: np.dtype) -> tuple[Layer, Layer | None]:
    """The layer of ReLUs behind a layer, and what stands behind both; `None` for what stood there before."""
    size = layer.out_size
    pairs = np.flatnonzero([not _is_never_negative(kind) for kind in unit_activations(layer)])
    if not len(pairs):
        return Layer(Identity(size), None, "relu", layer.label), None
    count, units = len(pairs), np.arange(size)
    negative = Sparse(np.arange(count), pairs, np.full(count, -1).astype(dtype), (count, size))
    values = np.repeat([1, -1], [size, count]).astype(dtype)
    difference = Sparse(np.append(units, pairs), np.arange(size + count), values, (size, size + count))
    added = Layer(Stack((Identity(size), negative)), None, "relu", label_of_units(layer, np.append(units, pairs)))
    return added, Layer(Composed(behind.linear, difference), behind.bias, behind.activation, behind.label)


def _is_never_negative(kind: AbstractActivation) -> bool:
    return type(kind) in (ReLU, Step, Square, Sigmoid, Exp, Softmax) or (type(kind) is Power and kind.n % 2 == 0)


def _inserted(network: Network, at: int, added: Layer, behind: Layer | None) -> Network:
    """A network with a layer behind layer `at` and maybe another one behind both; blocks stay where they can."""
    parts, start = [], 0
    for part in network.layers:
        inner: list[Layer] = list(flat_layers(Network((part,))))
        stop = start + len(inner)
        is_cut = start <= at and at + 1 < stop
        is_changed = behind is not None and start <= at + 1 < stop
        pieces: list[Layer | Repeat] = [*inner] if is_cut or is_changed else [part]
        if behind is not None and is_changed:
            pieces[at + 1 - start] = behind
        if start <= at < stop:
            pieces.insert(at + 1 - start if is_cut else len(pieces), added)
        parts += pieces
        start = stop
    return Network(tuple(parts))
