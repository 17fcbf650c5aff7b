"""What becomes of a claim when the network is rewritten."""

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from .._arithmetic.exactness import is_exact_after_step, is_exact_on
from .._arithmetic.intervals import layer_range
from .._arithmetic.rounding import gamma, unit_roundoff
from .._arithmetic.sensitivity import moduli_through, sensitivities
from .._compose.rounding import Joint, margin_of, moved_box
from ..activations import Step
from ..construction import Claim, Construction, Rewritten
from ..network import Layer, Network, flat_layers, own


def rewritten(
    rule: str,
    given: Network | Construction,
    network: Network,
    *,
    rounds: Sequence[bool] | None = None,
    flushed: Sequence[bool] | None = None,
    exact: bool = True,
) -> Any:
    """What a rewrite gives back: the new network, or a construction of it with the claim of the given one.

    Args:
        rule: the name of the rewrite.
        given: what it was called with.
        network: its network, rewritten.
        rounds: which of the new layers (repeated blocks unrolled) may round otherwise than the given network does:
            whose runs aren't runs of it in some order. By default none does: units that were dropped gave zeros,
            or they were permuted, or scaled by powers of two.
        flushed: which of the new layers hold sums of other sizes than before: smaller ones may be flushed to zero.
        exact: whether the new weights compute the same function over the reals; where they were rounded, each
            once and in a layer that `rounds`, that is added to the claim.

    Raises:
        ValueError: a claim for which the new rounding can't be bounded.
    """
    if not isinstance(given, Construction):
        return own(network)
    claim = kept_claim(given, network, rounds=rounds, flushed=flushed, exact=exact)
    if claim is None:
        raise ValueError(
            f"{rule}: what {given.name} rounds then can't be bounded, so its claim can't be kept; rewrite its .network"
        )
    return Construction(own(network), claim, Rewritten(rule, given))


def kept_claim(
    given: Construction,
    network: Network,
    *,
    rounds: Sequence[bool] | None = None,
    flushed: Sequence[bool] | None = None,
    exact: bool = True,
) -> Claim | None:
    """The claim of a rewritten network, as in `rewritten`; `None` where it can't be kept."""
    claim, layers = given.claim, flat_layers(network)
    changed = [False] * len(layers) if rounds is None else list(rounds)
    lost = [False] * len(layers) if flushed is None else list(flushed)
    if not any(changed) and not any(lost):
        return claim
    margin = margin_of(claim)
    holds = exact and is_exact_on(network, claim.domain)
    silent = holds and claim.error.is_exact and _only_after_step(given.network, network, changed, lost)
    added = 0.0 if silent else _added(claim, layers, changed, lost, margin)
    return Joint(holds, silent, margin, added).claim(claim)


def _only_after_step(given: Network, network: Network, changed: list[bool], lost: list[bool]) -> bool:
    """Whether all that changed stands behind step units, and nothing rounds there before or after."""
    layers = flat_layers(network)
    steps = [index for index, layer in enumerate(layers) if type(layer.activation) is Step]
    if not steps or any(changed[: steps[0] + 1]) or any(lost[: steps[0] + 1]):
        return False
    return is_exact_after_step(given) and is_exact_after_step(network)


def _added(claim: Claim, layers: tuple[Layer, ...], changed: list[bool], lost: list[bool], margin: float) -> float:
    """What the sums of changed layers can add to the output by rounding, and others by numbers that are flushed."""
    low, high = moved_box(claim.domain, margin)
    total, u, tiny = 0.0, unit_roundoff(claim.dtype), float(jnp.finfo(claim.dtype).tiny)
    with np.errstate(all="ignore"):
        shown = sensitivities(layers, low, high)
        for layer, is_changed, is_lost, sensitivity in zip(layers, changed, lost, shown, strict=True):
            if is_changed or is_lost:
                reach = np.maximum(np.abs(low), np.abs(high))
                terms, sums = layer.in_size + 4, float(np.max(moduli_through(layer, reach), initial=0.0))
                local = gamma(terms, u) * sums if is_changed else 0.0
                local += 2 * terms * tiny * (1 + float(np.max(reach, initial=0.0)))
                if not sums <= float(jnp.finfo(claim.dtype).max):
                    return math.inf  # they may overflow where others didn't
                total += local * sensitivity if local and sensitivity else 0.0
            low, high = layer_range(layer, low, high)
    return total if math.isfinite(total) else math.inf
