"""Networks while their units are dropped, merged, scaled and sorted: every weight stays an exact number."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._arithmetic.trust import is_known
from .._checks import check_finite
from ..activations import Custom, Softmax
from ..activations.names import OWN
from ..construction import Claim, Construction
from ..network import Layer, Network, flat_layers
from ._claims import kept_claim, rewritten
from ._core import Rows, fits, keeps_an_order, layer_of, rows_of
from ._maps import one_network

# Each unit by itself: an activation of somebody's own class may look at all of them.
UNITWISE = (Custom, *(kind for kind in OWN if kind is not Softmax))
# A claim may grow to so many times its error for fewer units.
_WORTH = 16


def real_network(rule: str, given: Any) -> Network:
    """The network of what a rewrite was called with.

    Raises:
        TypeError: neither a network nor a construction, a stack of networks, or complex weights.
        ValueError: weights that aren't finite.
    """
    network = one_network(rule, given)
    if jnp.issubdtype(network.dtype, jnp.complexfloating):
        raise TypeError(f"{rule}: weights must be real; got {network.dtype.name}. dc.realify makes them so")
    check_finite(rule, "weights", network)
    return network


class Draft:
    """The layers of a network as rows, and what happened to them.

    Layers that aren't known by their rows stay as they are: those of classes that aren't the library's own, of
    activations that mix units, of several dtypes, of weights that may be flushed to zero, and without units.

    Args:
        network: with repeated blocks, which are unrolled.
        dtype: what all weights must stay numbers of.
        careful: leaves out all steps after which the running network may do what the given one can't; so layers that
            sum in an order of their own stay, too.
    """

    def __init__(self, network: Network, dtype: Any, *, careful: bool = False):
        self.network, self.dtype, self.careful = network, dtype, careful
        self.given = flat_layers(network)
        self.rows = [self._read(layer) for layer in self.given]
        self.rounds, self.flushed = [False] * len(self.given), [False] * len(self.given)
        self.is_changed = False

    def _read(self, layer: Layer) -> Rows | None:
        leaves = jax.tree.leaves(layer)
        alike = all(leaf.dtype == self.network.dtype for leaf in leaves)
        if not (layer.out_size and layer.in_size and alike and is_known(Network((layer,)), UNITWISE)):
            return None
        if self.careful and keeps_an_order(layer.linear):
            return None
        rows = rows_of(layer)
        if rows is None or not all(np.all(fits(numbers, self.dtype)) for numbers in (rows.values, rows.bias)):
            return None
        return dataclasses.replace(rows, bias=rows.bias + 0.0)  # no -0

    def hidden(self) -> list[int]:
        """The layers whose units may be changed: those that are known, before one that is known."""
        return [i for i in range(len(self.rows) - 1) if self.rows[i] is not None and self.rows[i + 1] is not None]

    def pair(self, index: int) -> tuple[Rows, Rows]:
        """A hidden layer and the one behind it."""
        units, behind = self.rows[index], self.rows[index + 1]
        assert units is not None
        assert behind is not None
        return units, behind

    def put(self, index: int, units: Rows, behind: Rows) -> None:
        self.rows[index], self.rows[index + 1], self.is_changed = units, behind, True

    def finished(self, *, plain: bool) -> tuple[Network, dict[str, list[bool]]]:
        """The network, and what `kept_claim` must know of it; `plain` doesn't keep the classes of maps."""
        if not (self.is_changed or plain):
            return self.network, {}
        layers = [
            like if rows is None else layer_of(rows, self.dtype, like=None if plain else like)
            for rows, like in zip(self.rows, self.given, strict=True)
        ]
        reordered = [
            keeps_an_order(old.linear) and new.linear is not old.linear
            for old, new in zip(self.given, layers, strict=True)
        ]
        rounds = [a or b for a, b in zip(self.rounds, reordered, strict=True)]
        return Network(tuple(layers)), {"rounds": rounds, "flushed": self.flushed}


def result(
    rule: str,
    given: Network | Construction,
    network: Network,
    change: Callable[[Draft], None],
    *,
    plain: bool = False,
    exact: bool = True,
) -> Any:
    """What a rewrite gives back: the network after `change(draft)`, or a construction of it.

    For a construction, steps after which a layer rounds otherwise are taken only if the claim's radius stays, and
    its error does too, or grows little where there are fewer units then.
    """

    def changed(*, careful: bool) -> tuple[Network, dict[str, Any]]:
        draft = Draft(network, network.dtype, careful=careful)
        change(draft)
        return draft.finished(plain=plain)

    found, told = changed(careful=False)
    if isinstance(given, Construction):
        kept, claim = changed(careful=True)[0], kept_claim(given, found, **told, exact=exact)
        if claim is None or not is_worth(given.claim, claim, is_smaller=_units(found) < _units(kept)):
            found, told, exact = kept, {}, True
    return rewritten(rule, given, found, **told, exact=exact)


def is_worth(before: Claim, after: Claim, *, is_smaller: bool) -> bool:
    """Whether a claim is as good as before, or little worse for a smaller network."""
    if after.robustness.radius != before.robustness.radius:
        return False
    return after.error == before.error or (is_smaller and after.error.largest <= _WORTH * before.error.largest)


def _units(network: Network) -> int:
    return sum(layer.out_size for layer in flat_layers(network))
