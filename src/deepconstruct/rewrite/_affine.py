"""Linear layers that are folded into the layers behind them."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .._arithmetic.products import multiplies_exactly
from .._arithmetic.trust import is_known
from .._bias import bias_vector
from .._checks import check_flag
from .._compose.rounding import factored_joint
from .._compose.series import merge_layers
from ..activations import Identity, groups
from ..construction import Claim, Construction, Rewritten, as_network
from ..linear import Sparse
from ..network import Layer, Network, flat_layers, own
from ._claims import kept_claim
from ._draft import is_worth, real_network

Layers = tuple[Layer, ...]


def merge_affine(network: Any, *, linear: bool = False) -> Any:
    """The same function with hidden linear layers folded into the layers behind them.

    Where all products of both weights are numbers of the dtype, the folded layer has them for its weights; else it
    keeps both factors (`dc.linear.Composed`), which round as the two layers do.

    Args:
        network: a `Network`, or a `Construction`, of real weights.
        linear: whether two linear layers are folded into one, too: that makes a low-rank pair, or the stages of a
            transform, dense. By default they stay.

    Returns:
        The same kind; repeated blocks are unrolled if anything changes. A layer stays where the folded bias wouldn't
        be a number of the dtype, or where a claim couldn't be kept; what a fold may round is added to the claim.

    Raises:
        ValueError: weights that aren't finite.
        TypeError: neither a network nor a construction, a stack of networks, or complex weights.

    Exactness: the same function of real numbers, everywhere. The running network may round otherwise.

    Cost: fewer neurons; there may be more synapses.

    Example:
        >>> import deepconstruct as dc
        >>> apart = dc.series(dc.parallel(dc.parity(2), dc.parity(2)), dc.parity(2), merge=False)
        >>> dc.cost(apart).layers, dc.cost(dc.rewrite.merge_affine(apart)).layers
        (4, 3)
    """
    check_flag("merge_affine", "linear", linear)
    layers = flat_layers(real_network("merge_affine", network))
    claim = network.claim if isinstance(network, Construction) else None
    index, is_changed = 0, False
    while index + 1 < len(layers):
        first, second = layers[index : index + 2]
        folds = _is_linear(first) and (linear or not _is_linear(second))
        folded = _folded(layers, claim, index) if folds else None
        if folded is None:
            index += 1
        else:
            (layers, claim), is_changed = folded, True
    found = own(Network(layers) if is_changed else as_network("merge_affine", network))
    if claim is None:
        return found
    return Construction(found, claim, Rewritten("merge_affine(linear=True)" if linear else "merge_affine", network))


def _is_linear(layer: Layer) -> bool:
    return all(type(kind) is Identity for kind, _ in groups(layer.activation, layer.out_size))


def _folded(layers: Layers, claim: Claim | None, index: int) -> tuple[Layers, Claim | None] | None:
    """A layer folded into the next one, and the claim then; `None` where that isn't exact or can't be bounded."""
    first, second = layers[index : index + 2]
    if not all(map(_is_plain, (first, second))):
        return None
    ways: tuple[tuple[bool, Callable], ...] = ((False, multiplies_exactly), (True, _adds_exactly))
    for factored, is_exact in ways:
        merged = merge_layers(first, second, factored=factored)
        if not is_exact(first, second, merged):
            continue
        found = (*layers[:index], merged, *layers[index + 2 :])
        if claim is None:
            return found, None
        kept = (_factored if factored else _multiplied)(layers, found, claim, index)
        if kept is not None and is_worth(claim, kept, is_smaller=True):
            return found, kept
    return None


def _is_plain(layer: Layer) -> bool:
    """Whether the map of a layer is of this library's own classes, and holds numbers."""
    if not (layer.in_size and layer.out_size):
        return False
    return is_known(Network((Layer(layer.linear, layer.bias),)), (Identity,))


def _adds_exactly(first: Layer, second: Layer, merged: Layer) -> bool:
    """Whether the folded bias is the exact one."""
    if first.bias is None:
        return True

    def bias_only(layer: Layer) -> Layer:
        none = np.zeros(0, int)
        linear = Sparse(none, none, np.zeros(0, np.float32), (layer.out_size, 1))
        return Layer(linear, np.asarray(bias_vector(layer.bias)))

    return multiplies_exactly(bias_only(first), second, bias_only(merged))


def _multiplied(layers: Layers, found: Layers, claim: Claim, index: int) -> Claim | None:
    """The claim where both weights were multiplied."""
    given = Construction(Network(layers), claim)
    return kept_claim(given, Network(found), rounds=[place == index for place in range(len(found))])


def _factored(layers: Layers, found: Layers, claim: Claim, index: int) -> Claim | None:
    """The claim where both factors are kept: the biases are added later."""
    joint = factored_joint((Network(layers[: index + 1]), claim), Network(layers[index + 1 :]))
    return joint.claim(claim)
