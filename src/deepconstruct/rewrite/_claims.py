"""What becomes of a claim when the network is rewritten."""

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from .._arithmetic.exactness import is_exact_after_step, is_exact_on
from .._arithmetic.intervals import affine_range, bias_array, layer_range
from .._arithmetic.rounding import growth, unit_roundoff
from .._arithmetic.sensitivity import sensitivities
from .._compose.rounding import Joint, margin_of, moduli_of, moved_box, terms_between
from ..activations import AbstractActivation, Power, Square, Step, groups
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
    moved: float = 0.0,
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
        moved: what else the new weights may add to the output, where they aren't the old ones rounded.

    Raises:
        ValueError: a claim for which the new rounding can't be bounded.
    """
    if not isinstance(given, Construction):
        return own(network)
    claim = kept_claim(given, network, rounds=rounds, flushed=flushed, exact=exact, moved=moved)
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
    moved: float = 0.0,
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
    added = 0.0 if silent else _added(claim, layers, changed, lost, margin) + moved
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
    if jnp.issubdtype(claim.dtype, jnp.complexfloating):
        return math.inf
    low, high = moved_box(claim.domain, margin)
    total = 0.0
    with np.errstate(all="ignore"):
        shown = sensitivities(layers, low, high)
        behind = [*(slope * _sums(part, np.ones(part.in_size), biased=False)
                    for slope, part in zip(shown[1:], layers[1:], strict=True)), 1.0]  # fmt: skip
        for layer, is_changed, is_lost, *slopes in zip(layers, changed, lost, shown, behind, strict=True):
            if is_changed or is_lost:
                errors = _lost(layer, low, high, claim.dtype, rounds=is_changed)
                total += sum(error * slope for error, slope in zip(errors, slopes, strict=True) if error and slope)
            low, high = layer_range(layer, low, high)
    return total if math.isfinite(total) else math.inf


def _lost(layer: Layer, low: np.ndarray, high: np.ndarray, dtype: str, *, rounds: bool) -> tuple[float, float]:
    """By how much the sums of a layer may be off, by rounding and by flushed numbers, and powers of them by flushing.

    Infinite where sums may overflow. Weights that were multiplied have been rounded up to four times.
    """
    info, reach = jnp.finfo(dtype), np.maximum(np.abs(low), np.abs(high))
    terms, sums = layer.in_size + 6 + 6 * terms_between(layer.linear), _sums(layer, reach)
    if not sums <= float(info.max) / 2:
        return math.inf, math.inf
    rounded = growth(terms, unit_roundoff(dtype)) * sums if rounds else 0.0
    flushed = 2 * terms * float(info.tiny) * (1 + float(np.max(reach, initial=0.0)))
    most = max(1.0, float(np.max(np.abs(affine_range(layer, low, high)), initial=0.0)))
    powers = [_power(kind) for kind, _ in groups(layer.activation, layer.out_size)]
    if most ** max(powers) > float(info.max) / 2:
        return math.inf, math.inf
    return rounded + flushed, max(4 * n * float(info.tiny) * most**n if n > 1 else 0.0 for n in powers)


def _power(activation: AbstractActivation) -> int:
    return activation.n if isinstance(activation, Power) else 2 if isinstance(activation, Square) else 1


def _sums(layer: Layer, reach: np.ndarray, *, biased: bool = True) -> float:
    """The largest sum of moduli of a layer, factor by factor."""
    return float(np.max(moduli_of(layer.linear, reach) + biased * np.abs(bias_array(layer)), initial=0.0))
