"""What follows for a composition from the claims of its parts."""

import dataclasses
import math

import numpy as np

from . import targets
from ._arithmetic.exactness import is_exact_after_step, is_exact_on
from ._arithmetic.intervals import bias_array, layer_range
from ._arithmetic.rounding import gamma, unit_roundoff
from .construction import Bound, Claim, Construction
from .domains import AbstractDomain, product as product_of_domains
from .linear.queries import concrete_entries
from .network import Layer, Network, flat_layers

# How far inputs of a merged network may be off at most: what its joint rounds grows with them.
_MARGIN = 1.0


def series_claim(inner: Claim, outer: Claim) -> Claim:
    """The claim of `outer` after `inner`, computed without merging layers.

    Raises:
        ValueError: domains that don't match, or errors that the outer network can't take.
    """
    _check_series(inner, outer)
    entering = _entering_error(inner, outer)
    error = _series_error(inner, outer, entering)
    gain = outer.gain * inner.gain
    rounding = outer.gain * inner.rounding
    if inner.error.is_exact:  # else the outer error covers inputs off the domain already
        rounding += outer.rounding
    return Claim(
        target=targets.Composed(outer.target, inner.target),
        domain=inner.domain,
        codomain=outer.codomain,
        error=error,
        radius=_series_radius(inner, outer, entering),
        gain=gain,
        rounding=rounding,
        dtype=inner.dtype,
        source=_sources(inner, outer),
        estimate=inner.estimate or outer.estimate,
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
        if outer.target.is_linear and math.isinf(outer.radius):
            return error  # the relative part is carried as such
        low, high = inner.codomain.box()
        size = float(np.sqrt(np.sum(np.maximum(low**2, high**2))))
        if not math.isfinite(size):
            raise ValueError(
                f"series: {inner.target.name} has a relative error on an unbounded range, "
                f"which {outer.target.name} can't take"
            )
        error += inner.error.relative * size
    if error > outer.radius:
        limit = "only exact inputs" if outer.radius == 0 else f"inputs off by at most {outer.radius:.3g}"
        raise ValueError(f"series: {inner.target.name} errs by up to {error:.3g} but {outer.target.name} takes {limit}")
    return error


def _series_error(inner: Claim, outer: Claim, entering: float) -> Bound:
    absolute = outer.error.absolute + outer.gain * entering
    if not inner.error.is_exact:
        absolute += outer.rounding
    relative = outer.error.relative
    if inner.error.relative and outer.target.is_linear and math.isinf(outer.radius):
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
    slack = outer.radius - entering - inner.rounding
    if slack <= 0:
        return 0.0
    return inner.radius if inner.gain == 0 else min(inner.radius, slack / inner.gain * (1 - 2**-40))


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
        radius=min(claim.radius for claim in claims),
        gain=max(claim.gain for claim in claims),
        rounding=max(claim.rounding for claim in claims),
        dtype=claims[0].dtype,
        source=_sources(*claims),
        estimate=any(claim.estimate for claim in claims),
    )


def with_merged_joint(claim: Claim, inner: Construction, outer: Construction, merged: Network) -> Claim | None:
    """The claim of a series whose joint was merged into one layer: it rounds differently.

    Returns `None` where that can't be bounded, so that the joint must stay.
    """
    exact = is_exact_on(merged, claim.domain)
    if exact and is_exact_after_step(merged) and inner.claim.error.is_exact and inner.claim.gain == 0:
        return claim
    margin = min(inner.claim.radius, _MARGIN)
    claim = dataclasses.replace(claim, radius=min(claim.radius, margin))
    added = _joint_rounding(inner, outer, margin)
    if exact and claim.error.is_exact and not math.isfinite(added):
        return dataclasses.replace(claim, radius=0.0)  # nothing is known about inputs off the grid
    if exact and claim.error.is_exact:
        return dataclasses.replace(claim, rounding=_up(claim.rounding + added))
    if not math.isfinite(added):
        return None
    return dataclasses.replace(claim, error=Bound(_up(claim.error.absolute + added), claim.error.relative))


def _joint_rounding(inner: Construction, outer: Construction, margin: float) -> float:
    """What the rounding of a merged joint can add to the outer network's output."""
    readout, *rest = flat_layers(outer.network)
    sums = _joint_moduli(flat_layers(inner.network), readout, inner.claim.domain, margin)
    terms = inner.network.layers[-1].in_size + readout.in_size + 4
    u = unit_roundoff(inner.claim.dtype)
    local = gamma(terms, u) * float(np.max(sums))
    return local * readout.activation.lipschitz() * _lipschitz(rest) if local else 0.0


def _joint_moduli(layers: tuple[Layer, ...], outer: Layer, domain: AbstractDomain, margin: float) -> np.ndarray:
    """Sums of moduli in the merged layer for inputs off by `margin`: `|W| (|R| |h| + |r|) + |b|`."""
    low, high = domain.box()
    low, high = low - margin, high + margin
    for layer in layers[:-1]:
        low, high = layer_range(layer, low, high)
    moduli = np.maximum(np.abs(low), np.abs(high))
    return _moduli_through(outer, _moduli_through(layers[-1], moduli))


def _moduli_through(layer: Layer, moduli: np.ndarray) -> np.ndarray:
    rows, cols, values = concrete_entries(layer.linear)
    return np.bincount(rows, np.abs(values) * moduli[cols], layer.out_size) + np.abs(bias_array(layer))


def _lipschitz(layers: list[Layer]) -> float:
    """A Lipschitz constant in the max norm: the product over the layers."""
    total = 1.0
    for layer in layers:
        rows, _, values = concrete_entries(layer.linear)
        norm = float(np.bincount(rows, np.abs(values), layer.out_size).max(initial=0.0))
        total *= norm * layer.activation.lipschitz() if norm else 0.0
    return total


def _sources(*claims: Claim) -> str:
    return "; ".join(dict.fromkeys(claim.source for claim in claims if claim.source))


def _up(value: float) -> float:
    """Round a bound upwards by more than these few operations can have lost."""
    return value * (1 + 2**-48)
