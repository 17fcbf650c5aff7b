"""What the joints of a composition round, and what that adds to its claim."""

import dataclasses
import math

import jax.numpy as jnp
import numpy as np

from .._arithmetic.exactness import is_exact_after_step, is_exact_on
from .._arithmetic.intervals import bias_array, layer_range
from .._arithmetic.products import multiplies_exactly
from .._arithmetic.rounding import gamma, unit_roundoff
from .._arithmetic.sensitivity import moduli_through, sensitivities
from ..construction import Bound, Claim
from ..construction.bound import mapped
from ..domains import AbstractDomain
from ..linear import AbstractLinear, Composed, DirectSum, Stack
from ..network import Layer, Network, flat_layers
from .algebra import up

# How far inputs of a merged network may be off at least: what its joint rounds grows with them.
_MARGIN = 1.0

# A merged bias may cost this many times the error that is there already, and no more.
_WORTH = 16.0

# A network with its claim: constructions are made once, when all is joined.
Claimed = tuple[Network, Claim]


@dataclasses.dataclass(frozen=True)
class Joint:
    """A merged joint, which rounds otherwise than two layers.

    Attributes:
        exact: whether nothing rounds on the domain all the same.
        silent: whether nothing does beside it either.
        margin: how far off their domain inputs of the inner network may be for what follows to hold.
        added: what its rounding can add to the output (infinite if that isn't known).
    """

    exact: bool
    silent: bool
    margin: float
    added: float

    def claim(self, claim: Claim) -> Claim | None:
        """The claim of the merged series; `None` where it can't be bounded, so that the joint must stay."""
        if self.silent:
            return claim
        claim = _with_robustness(claim, radius=min(claim.robustness.radius, self.margin))
        if self.exact and not math.isfinite(self.added):
            return _with_robustness(claim, radius=0.0)  # nothing is known about inputs off the grid
        if self.exact:
            return _with_robustness(claim, rounding=up(claim.robustness.rounding + self.added))
        return with_added_error(claim, self.added) if math.isfinite(self.added) else None


def merged_joint(inner: Claimed, outer: Network, merged: Network, *, exact: bool) -> Joint:
    """The joint of `outer` behind `inner` in the network that they make; `exact` as in `Joint`."""
    claim, margin = inner[1], margin_of(inner[1])
    if exact and claim.error.is_exact and claim.robustness.largest_gain == 0 and is_exact_after_step(merged):
        return Joint(exact=True, silent=True, margin=margin, added=0.0)
    return Joint(exact, False, margin, _joint_rounding(inner, outer, margin))


def _joint_rounding(inner: Claimed, outer: Network, margin: float) -> float:
    """What the rounding of a merged joint can add to the outer network's output."""
    network, claim = inner
    layers = flat_layers(network)
    low, high = moved_box(claim.domain, margin)
    for layer in layers[:-1]:
        low, high = layer_range(layer, low, high)
    reach = np.maximum(np.abs(low), np.abs(high))
    sums = moduli_through(flat_layers(outer)[0], moduli_through(layers[-1], reach))
    local = _rounded(layers[-1].in_size + outer.in_size + 4, sums, float(np.max(reach)), claim.dtype)
    if not local:
        return 0.0
    return local * sensitivities(flat_layers(outer), *layer_range(layers[-1], low, high))[0]


def _rounded(terms: int, sums: np.ndarray, reach: float, dtype: str) -> float:
    """What sums of so many terms lose of `sums`, of their moduli, by rounding, and by numbers that are flushed to zero.

    These are weights that were multiplied, times numbers up to `reach`, and products, which are fewer than twice the
    terms each.
    """
    lost = gamma(terms, unit_roundoff(dtype)) * float(np.max(sums))
    return lost + 2 * terms * float(jnp.finfo(dtype).tiny) * (1 + reach) if lost else 0.0


def factored_joint(inner: Claimed, outer: Network) -> Joint:
    """The joint that is one layer of two factors: only the joined bias rounds anew."""
    network, claim = inner
    readout, layers, margin = network.layers[-1], flat_layers(outer), margin_of(claim)
    assert isinstance(readout, Layer)
    if readout.bias is None:
        return Joint(exact=False, silent=True, margin=margin, added=0.0)
    moduli = moduli_through(layers[0], np.abs(bias_array(readout)))
    low, high = moved_box(claim.domain, margin)
    for part in flat_layers(network):
        low, high = layer_range(part, low, high)
    local = _rounded(readout.out_size + 3, moduli, 1.0, claim.dtype)
    added = local * sensitivities(layers, low, high)[0] if local else 0.0
    return Joint(exact=False, silent=False, margin=margin, added=added)


def is_worth(joint: Joint, claim: Claim) -> bool:
    """Whether a joint adds little to an error that is there already."""
    return joint.added <= _WORTH * claim.error.largest


def dense_sums(claim: Claim, network: Network, dense: Network, changed: list[bool]) -> Joint:
    """What it adds that the `changed` layers of a network became dense matrices, summed in any order.

    Factors are multiplied then: their moduli are, too, as what cancels in the product has been rounded before.
    """
    margin, added, exact = margin_of(claim), 0.0, is_exact_on(dense, claim.domain)
    low, high = moved_box(claim.domain, margin)
    layers, stored = flat_layers(dense), flat_layers(network)
    shown = sensitivities(layers, low, high)
    for before, layer, is_changed, sensitivity in zip(stored, layers, changed, shown, strict=True):
        if is_changed:
            reach = np.maximum(np.abs(low), np.abs(high))
            sums = moduli_of(before.linear, reach) + np.abs(bias_array(before))
            terms = layer.in_size + terms_between(before.linear) + 4
            added += _rounded(terms, sums, float(np.max(reach)), claim.dtype) * sensitivity
            exact = exact and _multiplies_exactly(before.linear, layer)
        low, high = layer_range(layer, low, high)
    return Joint(exact, False, margin, added)


def moduli_of(linear: AbstractLinear, moduli: np.ndarray) -> np.ndarray:
    """`|W| moduli`, factor by factor."""
    if isinstance(linear, Composed):
        return moduli_of(linear.outer, moduli_of(linear.inner, moduli))
    if isinstance(linear, Stack):
        return np.concatenate([moduli_of(part, moduli) for part in linear.parts])
    if isinstance(linear, DirectSum):
        cuts = np.cumsum([part.in_size for part in linear.parts])[:-1]
        parts = zip(linear.parts, np.split(moduli, cuts), strict=True)
        return np.concatenate([moduli_of(part, piece) for part, piece in parts])
    return moduli_through(Layer(linear), moduli)


def terms_between(linear: AbstractLinear) -> int:
    """How many numbers pass between the factors of a map, all together."""
    if isinstance(linear, Composed):
        return linear.inner.out_size + terms_between(linear.outer) + terms_between(linear.inner)
    return max(map(terms_between, linear.parts)) if isinstance(linear, Stack | DirectSum) else 0


def _multiplies_exactly(linear: AbstractLinear, dense: Layer) -> bool:
    """Whether a map has no factors, or just two whose product wasn't rounded."""
    if not terms_between(linear):
        return True
    if not isinstance(linear, Composed) or terms_between(linear.outer) or terms_between(linear.inner):
        return False
    return multiplies_exactly(Layer(linear.inner), Layer(linear.outer), Layer(dense.linear))


def with_added_error(claim: Claim, added: float) -> Claim:
    """A claim whose outputs may all be off by so much more."""
    absolute = mapped(lambda value: up(value + added), claim.error.absolute)
    return dataclasses.replace(claim, error=Bound(absolute, claim.error.relative))


def margin_of(claim: Claim) -> float:
    """How far off its domain the inputs are for which rounding is bounded: the radius, where that isn't vast."""
    ends = np.abs(claim.domain.box())
    return min(claim.robustness.radius, max(_MARGIN, float(ends[np.isfinite(ends)].max(initial=0.0))))


def moved_box(domain: AbstractDomain, margin: float) -> tuple[np.ndarray, np.ndarray]:
    """The box of a domain with a margin all around."""
    low, high = domain.box()
    return low - margin, high + margin


def _with_robustness(claim: Claim, **changes: float) -> Claim:
    return dataclasses.replace(claim, robustness=dataclasses.replace(claim.robustness, **changes))  # pyright: ignore
