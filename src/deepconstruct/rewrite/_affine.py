"""Linear layers that are folded into their neighbors."""

from typing import Any

from .._arithmetic.products import multiplies_exactly
from .._checks import check_flag
from .._compose.series import merge_layers
from ..construction import as_network
from ..network import Network, flat_layers
from ._claims import rewritten


def merge_affine(network: Any, *, linear: bool = False) -> Any:
    """The same function with hidden linear layers folded into the layers behind them.

    Args:
        network: a `Network` or a `Construction`.
        linear: whether two linear layers are folded into one, too: that makes a low-rank pair, or the stages of a
            transform, dense. By default they stay.

    Returns:
        The same kind; repeated blocks are unrolled if anything changes. Layers whose products aren't numbers of the
        dtype stay, and so do complex ones. What the folded layers may round otherwise is added to a claim.

    Raises:
        ValueError: a claim for which that rounding can't be bounded.
        TypeError: neither a network nor a construction.

    Exactness: the same function over the reals, everywhere.

    Cost: fewer neurons; there may be more synapses.

    Example:
        >>> import deepconstruct as dc
        >>> apart = dc.series(dc.parity(2).network, dc.parity(1).network, merge=False)
        >>> dc.cost(apart).layers >= dc.cost(dc.rewrite.merge_affine(apart)).layers
        True
    """
    check_flag("merge_affine", "linear", linear)
    layers = list(flat_layers(as_network("merge_affine", network)))
    rounds, index = [False] * len(layers), 0
    while index + 1 < len(layers):
        first, second = layers[index : index + 2]
        if first.is_linear and (linear or not second.is_linear):
            merged = merge_layers(first, second)
            if multiplies_exactly(first, second, merged):
                layers[index : index + 2], rounds[index : index + 2] = [merged], [True]
                continue
        index += 1
    source = network if isinstance(network, Network) else network.network
    found = Network(tuple(layers)) if any(rounds) else source
    return rewritten("merge_affine", network, found, rounds=rounds if any(rounds) else None)
