"""That a ReLU network on a box of few inputs computes a piecewise affine function of them.

    |fl(N)(x') - target(x)| <= |fl(N)(x') - N(x')| + |N(x') - target(x')| + |target(x') - target(x)|

The second part is bounded in rationals, region by region (`boxes_pieces`); the first on the box as a whole by affine
forms (`boxes_forms`); and the third by `|x' - x|` times the target's slope, which the claim must grant as its gain.
"""

import dataclasses
import math
from fractions import Fraction

import numpy as np

from ...activations import Step
from ...construction import Claim, spread
from ...domains import Box, Space
from ..certificate import Evidence
from .forms import Runner, on_boxes
from .pieces import Piece, Regions, pieces_of
from .polytopes import Polytopes, negative
from .search import Undecided

_LARGEST = 4


@dataclasses.dataclass(frozen=True)
class AffinePieces(Evidence):
    """So many regions were looked at.

    Attributes:
        regions: how many.
        difference: of the network over the reals to the target, at most; one number an output.
        rounding: of the running network, at most; one number an output.
    """

    regions: int
    difference: tuple[float, ...]
    rounding: tuple[float, ...]


def unfit(claim: Claim) -> str | None:
    """Why a claim isn't one that is proved here."""
    domain, target = claim.domain, claim.target
    pieces = pieces_of(target)
    if type(domain) is not Box or pieces is None:
        return f"on boxes, regions are about piecewise affine functions; got {target.name} on {domain}"
    if len(pieces) != claim.codomain.size or any(len(several[0].value) != domain.size + 1 for several in pieces):
        return f"{target.name} has other sizes than {domain} and {claim.codomain}"
    if domain.size > _LARGEST:
        return f"regions are cut in up to {_LARGEST} dimensions; {domain} has {domain.size}"
    if not domain.low < domain.high:
        return f"{domain} is a single point"
    if type(claim.codomain) not in (Box, Space):
        return f"regions are about spaces and boxes of values; got {claim.codomain}"
    return None


def _holds(claim: Claim, pieces: list[list[Piece]]) -> bool:
    """Whether the codomain is shown to hold the target's values."""
    domain, codomain = claim.domain, claim.codomain
    assert isinstance(domain, Box)
    if not isinstance(codomain, Box):
        return True
    low, high = Fraction(codomain.low), Fraction(codomain.high)
    polytopes = Polytopes(Fraction(domain.low), Fraction(domain.high), domain.size)
    return all(
        polytopes.most(piece.value, piece.constraints, high) <= high
        and polytopes.most(negative(piece.value), piece.constraints, -low) <= -low
        for several in pieces
        for piece in several
        if not polytopes.is_flat(piece.constraints)
    )


def proved(claim: Claim, runner: Runner) -> tuple[float | tuple[float, ...], Evidence, float]:
    """The error, what was found, and for which radius.

    Raises:
        Undecided: no proof.
    """
    pieces = pieces_of(claim.target)
    assert pieces is not None
    if any(kind is Step for stage in runner.stages for kind, _ in stage.kinds):
        raise Undecided("between steps a network isn't continuous")
    if not _holds(claim, pieces):
        raise Undecided(f"{claim.codomain} isn't shown to hold all values of {claim.target.name}")
    slope = max(sum(map(abs, piece.value[:-1])) for several in pieces for piece in several)
    robust = claim.robustness
    if 0 < robust.radius < math.inf and min(spread(robust.gain, len(pieces))) >= slope:
        try:
            return *_within(claim, runner, pieces, robust.radius), robust.radius
        except Undecided:
            pass
    return *_within(claim, runner, pieces, 0.0), 0.0


def _within(
    claim: Claim, runner: Runner, pieces: list[list[Piece]], radius: float
) -> tuple[float | tuple[float, ...], Evidence]:
    domain = claim.domain
    assert isinstance(domain, Box)
    low, high = Fraction(domain.low) - Fraction(radius), Fraction(domain.high) + Fraction(radius)
    side = np.ones((1, domain.size))
    forms, _ = runner.run(on_boxes(domain.low * side, domain.high * side, radius), 0, len(runner.stages))
    rounding, allowed = forms.error[0], spread(claim.error.absolute, len(pieces))
    left = (allowed - rounding) * (1 - 2.0**-50)
    if not np.all(left >= 0):
        raise Undecided(f"rounding may add up to {np.max(rounding):.3g}")
    regions = Regions(runner.stages, low, high)
    found = regions.differences(pieces, float(left.min()))
    if any(value > Fraction(float(allowed.max())) for value in found):
        raise Undecided("over the reals it may be off by more than is claimed")
    difference = [_up(value) for value in found]
    exact = (rounding == 0) | (np.array(difference) == 0)
    error = (np.array(difference) + rounding) * np.where(exact, 1.0, 1 + 2.0**-50)
    if not np.all(error <= allowed):
        raise Undecided(f"over the reals it may be off by {max(difference):.3g}")
    evidence = AffinePieces(regions.count, tuple(difference), tuple(rounding.tolist()))
    return (tuple(error.tolist()) if isinstance(claim.error.absolute, tuple) else float(error.max())), evidence


def _up(value: Fraction) -> float:
    """A double that isn't smaller."""
    found = float(value)
    return found if Fraction(found) >= value else math.nextafter(found, math.inf)
