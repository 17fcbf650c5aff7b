"""What follows for a composition from the claims of its parts."""

import dataclasses
import math

import numpy as np

from .. import targets
from .._arithmetic.exactness import is_exact_after_step, is_exact_on
from .._arithmetic.intervals import bias_array, layer_range
from .._arithmetic.rounding import gamma, unit_roundoff
from .._arithmetic.sensitivity import moduli_through, sensitivities
from ..construction import Bound, Claim, Construction, Robustness
from ..domains import AbstractDomain, product as product_of_domains
from ..network import Layer, Network, flat_layers

# How far inputs of a merged network may be off at most: what its joint rounds grows with them.
_MARGIN = 1.0

# A merged bias may cost this many times the error that is there already, and no more.
_WORTH = 16.0


def series_claim(inner: Claim, outer: Claim) -> Claim:
    """The claim of `outer` after `inner`, computed without merging layers.

    Raises:
        ValueError: domains that don't match, or errors that the outer network can't take.
    """
    _check_series(inner, outer)
    entering = _entering_error(inner, outer)
    error = _series_error(inner, outer, entering)
    gain = outer.robustness.gain * inner.robustness.gain
    rounding = outer.robustness.gain * inner.robustness.rounding
    if inner.error.is_exact:  # else the outer error covers inputs off the domain already
        rounding += outer.robustness.rounding
    return Claim(
        target=targets.Composed(outer.target, inner.target),
        domain=inner.domain,
        codomain=outer.codomain,
        error=error,
        robustness=Robustness(_series_radius(inner, outer, entering), gain, rounding),
        dtype=inner.dtype,
        source=_sources(inner, outer),
        status="estimate" if inner.is_estimate or outer.is_estimate else "proved",
    )


def _check_series(inner: Claim, outer: Claim) -> None:
    names = inner.target.name, outer.target.name
    if not inner.codomain.issubset(outer.domain):
        raise ValueError(
            f"series: {names[0]} gives {inner.codomain} (size {inner.codomain.size}) "
            f"but {names[1]} takes {outer.domain} (size {outer.domain.size})"
        )
    if inner.dtype != outer.dtype:
        raise ValueError(
            f"series: {names[0]} is {inner.dtype} but {names[1]} is {outer.dtype}; build both with one dtype"
        )


def _entering_error(inner: Claim, outer: Claim) -> float:
    """The largest error of the inner network, in the max norm, that the outer network meets."""
    error = inner.error.absolute
    if inner.error.relative:
        if outer.target.is_linear and math.isinf(outer.robustness.radius):
            return error  # the relative part is carried as such
        low, high = inner.codomain.box()
        size = float(np.sqrt(np.sum(np.maximum(low**2, high**2))))
        if not math.isfinite(size):
            raise ValueError(
                f"series: {inner.target.name} has a relative error on an unbounded range, "
                f"which {outer.target.name} can't take"
            )
        error += inner.error.relative * size
    if error > outer.robustness.radius:
        limit = (
            "only exact inputs"
            if outer.robustness.radius == 0
            else f"inputs off by at most {outer.robustness.radius:.3g}"
        )
        raise ValueError(f"series: {inner.target.name} errs by up to {error:.3g} but {outer.target.name} takes {limit}")
    return error


def _series_error(inner: Claim, outer: Claim, entering: float) -> Bound:
    absolute = outer.error.absolute + outer.robustness.gain * entering
    if not inner.error.is_exact:
        absolute += outer.robustness.rounding
    relative = outer.error.relative
    if inner.error.relative and outer.target.is_linear and math.isinf(outer.robustness.radius):
        low, high = outer.target.stretch()
        if low == 0 or not math.isfinite(high):
            raise ValueError(
                f"series: {outer.target.name} may shrink the output of {inner.target.name} more "
                "than its relative error; no relative bound follows"
            )
        carried = inner.error.relative * high / low
        relative = carried + relative * (1 + carried)
    return Bound(_up(absolute), _up(relative))


def _series_radius(inner: Claim, outer: Claim, entering: float) -> float:
    slack = outer.robustness.radius - entering - inner.robustness.rounding
    if slack <= 0:
        return 0.0
    return (
        inner.robustness.radius
        if inner.robustness.gain == 0
        else min(inner.robustness.radius, slack / inner.robustness.gain * (1 - 2**-40))
    )


def parallel_claim(claims: list[Claim]) -> Claim:
    """The claim of networks side by side."""
    sizes = tuple(claim.domain.size for claim in claims)
    return _joint_claim(
        claims,
        targets.Parallel(tuple(claim.target for claim in claims), sizes),
        product_of_domains([claim.domain for claim in claims]),
        "parallel",
    )


def fan_out_claim(claims: list[Claim]) -> Claim:
    """The claim of networks on one input.

    Raises:
        ValueError: different domains.
    """
    for claim in claims[1:]:
        if claim.domain != claims[0].domain:
            raise ValueError(
                f"fan_out: {claims[0].target.name} takes {claims[0].domain} "
                f"but {claim.target.name} takes {claim.domain}"
            )
    target = targets.FanOut(tuple(claim.target for claim in claims))
    return _joint_claim(claims, target, claims[0].domain, "fan_out")


def _joint_claim(claims: list[Claim], target: targets.AbstractTarget, domain: AbstractDomain, owner: str) -> Claim:
    dtypes = {claim.dtype for claim in claims}
    if len(dtypes) > 1:
        raise ValueError(f"{owner}: all parts must have one dtype; got {', '.join(sorted(dtypes))}")
    return Claim(
        target=target,
        domain=domain,
        codomain=product_of_domains([claim.codomain for claim in claims]),
        error=Bound(max(claim.error.absolute for claim in claims), max(claim.error.relative for claim in claims)),
        robustness=Robustness(
            min(claim.robustness.radius for claim in claims),
            max(claim.robustness.gain for claim in claims),
            max(claim.robustness.rounding for claim in claims),
        ),
        dtype=claims[0].dtype,
        source=_sources(*claims),
        status="estimate" if any(claim.is_estimate for claim in claims) else "proved",
    )


def with_merged_joint(claim: Claim, inner: Construction, outer: Construction, merged: Network) -> Claim | None:
    """The claim of a series whose joint was merged into one layer: it rounds differently.

    Returns `None` where that can't be bounded, so that the joint must stay.
    """
    exact = is_exact_on(merged, claim.domain)
    if exact and is_exact_after_step(merged) and inner.claim.error.is_exact and inner.claim.robustness.gain == 0:
        return claim
    margin = min(inner.claim.robustness.radius, _MARGIN)
    claim = _with(claim, radius=min(claim.robustness.radius, margin))
    added = _joint_rounding(inner, outer, margin)
    if exact and not math.isfinite(added):
        return _with(claim, radius=0.0)  # nothing is known about inputs off the grid
    if exact:
        return _with(claim, rounding=_up(claim.robustness.rounding + added))
    if not math.isfinite(added):
        return None
    return dataclasses.replace(claim, error=Bound(_up(claim.error.absolute + added), claim.error.relative))


def with_factored_joint(claim: Claim, inner: Construction, outer: Construction) -> Claim | None:
    """The claim of a series whose joint is one layer of two factors: only the joined bias rounds anew.

    Returns `None` where that can't be bounded well, so that the joint must stay.
    """
    readout, layer = inner.network.layers[-1], flat_layers(outer.network)[0]
    assert isinstance(readout, Layer)
    if readout.bias is None:
        return claim
    moduli = moduli_through(layer, np.abs(bias_array(readout)))
    low, high = _moved_box(claim.domain, min(inner.claim.robustness.radius, _MARGIN))
    for part in flat_layers(inner.network):
        low, high = layer_range(part, low, high)
    shown = sensitivities(flat_layers(outer.network), low, high)[0]
    local = gamma(readout.out_size + 3, unit_roundoff(claim.dtype)) * float(np.max(moduli))
    added = local * shown if local else 0.0
    if not added <= _WORTH * claim.error.absolute:
        return None
    error = Bound(_up(claim.error.absolute + added), claim.error.relative)
    return dataclasses.replace(claim, error=error)


def _joint_rounding(inner: Construction, outer: Construction, margin: float) -> float:
    """What the rounding of a merged joint can add to the outer network's output."""
    layers = flat_layers(inner.network)
    low, high = _moved_box(inner.claim.domain, margin)
    for layer in layers[:-1]:
        low, high = layer_range(layer, low, high)
    sums = moduli_through(layers[-1], np.maximum(np.abs(low), np.abs(high)))
    sums = moduli_through(flat_layers(outer.network)[0], sums)
    terms = layers[-1].in_size + outer.in_size + 4
    local = gamma(terms, unit_roundoff(inner.claim.dtype)) * float(np.max(sums))
    if not local:
        return 0.0
    return local * sensitivities(flat_layers(outer.network), *layer_range(layers[-1], low, high))[0]


def _moved_box(domain: AbstractDomain, margin: float) -> tuple[np.ndarray, np.ndarray]:
    low, high = domain.box()
    return low - margin, high + margin


def with_dense_rounding(claim: Claim, network: Network, changed: list[bool]) -> Claim:
    """The claim of a network whose `changed` layers became dense matrices, summed in any order.

    Raises:
        ValueError: a network in which the rounding can't be bounded.
    """
    if is_exact_on(network, claim.domain):
        return claim
    layers = flat_layers(network)
    low, high = _moved_box(claim.domain, min(claim.robustness.radius, _MARGIN))
    shown, added = sensitivities(layers, low, high), 0.0
    for layer, is_changed, sensitivity in zip(layers, changed, shown, strict=True):
        if is_changed:
            sums = moduli_through(layer, np.maximum(np.abs(low), np.abs(high)))
            added += gamma(layer.in_size + 4, unit_roundoff(claim.dtype)) * float(np.max(sums)) * sensitivity
        low, high = layer_range(layer, low, high)
    if not math.isfinite(added):
        raise ValueError(
            f"densify: the rounding of {claim.target.name} as dense matrices can't be bounded; densify its network"
        )
    return dataclasses.replace(claim, error=Bound(_up(claim.error.absolute + added), claim.error.relative))


def _with(claim: Claim, **changes: float) -> Claim:
    return dataclasses.replace(claim, robustness=dataclasses.replace(claim.robustness, **changes))  # pyright: ignore


def _sources(*claims: Claim) -> str:
    return "; ".join(dict.fromkeys(claim.source for claim in claims if claim.source))


def _up(value: float) -> float:
    """Round a bound upwards by more than these few operations can have lost."""
    return value * (1 + 2**-48)
