"""What follows for a composition from the claims of its parts, whatever their networks are."""

import math
from fractions import Fraction

import numpy as np

from .. import targets
from ..construction import Bound, Claim, Robustness
from ..construction.bound import mapped, spread
from ..domains import AbstractDomain, product as product_of_domains


def series_claim(inner: Claim, outer: Claim) -> Claim:
    """The claim of `outer` after `inner`, computed without merging layers.

    Raises:
        ValueError: domains that don't match, or errors that the outer network can't take.
    """
    _check_series(inner, outer)
    entering = entering_error(inner, outer)
    gain, added = outer.robustness.gain, outer.robustness.rounding
    rounding = _product(outer.robustness.largest_gain, inner.robustness.rounding)
    if inner.error.is_exact:  # else the outer error covers inputs off the domain already
        rounding = _up_to_double(Fraction(rounding) + Fraction(added)) if math.isfinite(rounding + added) else math.inf
    return Claim(
        target=targets.Composed(outer.target, inner.target),
        domain=inner.domain,
        codomain=outer.codomain,
        error=_series_error(inner, outer, entering),
        robustness=Robustness(
            _series_radius(inner, outer, entering),
            mapped(lambda value: _product(value, inner.robustness.largest_gain), gain),
            rounding,
        ),
        dtype=inner.dtype,
        source=_sources(inner, outer),
        status=_status(inner, outer),
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


def entering_error(inner: Claim, outer: Claim) -> float:
    """The largest error of the inner network, in the max norm, that the outer network meets.

    Raises:
        ValueError: one that the outer network can't take.
    """
    error, radius = inner.error.largest, outer.robustness.radius
    if inner.error.relative:
        if _carries_relative(outer):
            return error
        low, high = inner.codomain.box()
        size = math.hypot(*np.maximum(np.abs(low), np.abs(high)))
        if not math.isfinite(size):
            raise ValueError(
                f"series: {inner.target.name} has a relative error on an unbounded range, "
                f"which {outer.target.name} can't take"
            )
        error = up(error + inner.error.relative * size)
    if error > radius:
        limit = "only exact inputs" if radius == 0 else f"inputs off by at most {radius:.3g}"
        raise ValueError(f"series: {inner.target.name} errs by up to {error:.3g} but {outer.target.name} takes {limit}")
    return error


def _carries_relative(outer: Claim) -> bool:
    """Whether a relative error of what enters is one of what leaves."""
    return outer.target.is_linear and math.isinf(outer.robustness.radius)


def _series_error(inner: Claim, outer: Claim, entering: float) -> Bound:
    outputs = outer.codomain.size
    absolute = spread(outer.error.absolute, outputs)
    if entering:
        absolute = absolute + spread(outer.robustness.gain, outputs) * entering
    if not inner.error.is_exact:
        absolute = absolute + outer.robustness.rounding
    relative = outer.error.relative
    if inner.error.relative and _carries_relative(outer):
        low, high = outer.target.stretch()
        if low == 0 or not math.isfinite(high):
            raise ValueError(
                f"series: {outer.target.name} may shrink the output of {inner.target.name} more "
                "than its relative error; no relative bound follows"
            )
        carried = inner.error.relative * high / low
        relative = carried + relative * (1 + carried)
    return Bound(up(absolute), up(relative))


def _series_radius(inner: Claim, outer: Claim, entering: float) -> float:
    # Exactly, as a radius that is used up must not look as if it weren't.
    slack = math.inf
    if math.isfinite(outer.robustness.radius + inner.robustness.rounding):
        slack = Fraction(outer.robustness.radius) - Fraction(entering) - Fraction(inner.robustness.rounding)
    elif math.isinf(inner.robustness.rounding):
        return 0.0
    if slack <= 0:
        return 0.0
    radius, gain = inner.robustness.radius, inner.robustness.largest_gain
    return radius if gain == 0 else min(radius, float(slack) / gain * (1 - 2**-40))


def parallel_claim(claims: list[Claim]) -> Claim:
    """The claim of networks side by side."""
    sizes = tuple(claim.domain.size for claim in claims)
    target = targets.Parallel(tuple(claim.target for claim in claims), sizes)
    return _joint_claim(claims, target, product_of_domains([claim.domain for claim in claims]), "parallel")


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
    """Every output keeps its own absolute error and gain; relative errors are those of all outputs together."""
    dtypes = {claim.dtype for claim in claims}
    if len(dtypes) > 1:
        raise ValueError(f"{owner}: all parts must have one dtype; got {', '.join(sorted(dtypes))}")
    sizes = [claim.codomain.size for claim in claims]
    errors = [spread(claim.error.absolute, size) for claim, size in zip(claims, sizes, strict=True)]
    gains = [spread(claim.robustness.gain, size) for claim, size in zip(claims, sizes, strict=True)]
    return Claim(
        target=target,
        domain=domain,
        codomain=product_of_domains([claim.codomain for claim in claims]),
        error=Bound(np.concatenate(errors), max(claim.error.relative for claim in claims)),
        robustness=Robustness(
            min(claim.robustness.radius for claim in claims),
            np.concatenate(gains),
            max(claim.robustness.rounding for claim in claims),
        ),
        dtype=claims[0].dtype,
        source=_sources(*claims),
        status=_status(*claims),
    )


def _sources(*claims: Claim) -> str:
    return "; ".join(dict.fromkeys(claim.source for claim in claims if claim.source))


def _status(*claims: Claim) -> str:
    return "estimate" if any(claim.is_estimate for claim in claims) else "proved"


def _product(gain: float, error: float) -> float:
    """Of an error and a gain that may be infinite, rounded up: no error gives none."""
    if not (gain and error):
        return 0.0
    return _up_to_double(Fraction(gain) * Fraction(error)) if math.isfinite(gain * error) else math.inf


def _up_to_double(value: Fraction) -> float:
    """The least double that isn't below."""
    near = float(value)
    return near if Fraction(near) >= value else math.nextafter(near, math.inf)


def up(value):
    """Round a bound upwards by more than these few operations can have lost."""
    return value * (1 + 2**-48)
