"""That a network of steps and ReLUs recognizes a fractal: at all points of its domain, and beside them.

The domain is the set of points in the cube that keep `inner` from the faces of the cells that they are in, and
leave by `outer` from all cells of a level (where `outer` is 0, by more than doubles can tell from 0); there

    |fl(N)(x') - target(x)| <= error    for all x' within the radius of x,

is shown level by level (`boxes_levels`); or, where the network isn't made of levels, by boxes of the domain on which
the affine forms of the whole network (`boxes_forms`) are within the claim of the one value that the target can have
there (`boxes_cells`). Boxes are cut until that is so.
"""

import dataclasses

import numpy as np

from ...construction import Claim, largest
from ...domains import Fractal
from ...targets import Fractal as Indicator
from ..certificate import Evidence
from .cells import Cells
from .forms import Runner, on_boxes
from .levels import Levels
from .search import Judged, Undecided, search

_LARGEST = 4
# At most so many boxes, and so many times all weights that they are sent through.
_BOXES, _WORK = 300_000, 2e8
# Deeper networks are looked at level by level only.
_SHALLOW = 8


@dataclasses.dataclass(frozen=True)
class Boxes(Evidence):
    """So many boxes were decided: of single `"levels"`, or for the `"whole"` network at once."""

    of: str
    count: int


def unfit(claim: Claim) -> str | None:
    """Why a claim isn't one that is proved here."""
    domain, target = claim.domain, claim.target
    if type(domain) is not Fractal or type(target) is not Indicator:
        return f"boxes know fractals on their domains; {target.name} is on {domain}"
    same = (target.system.linear, target.system.offsets) == (domain.system.linear, domain.system.offsets)
    if not same or target.level != domain.level:
        return f"the domain is of another fractal than the target: {domain} against {target.name}"
    if not (-domain.inner <= target.tolerance < domain.outer or -domain.inner <= target.tolerance < 0):
        return f"between the margins {-domain.inner:g} and {domain.outer:g}, {target.name} has {target.tolerance:g}"
    if domain.size > _LARGEST:
        return f"boxes are cut in up to {_LARGEST} dimensions; {domain} has {domain.size}"
    if not np.all(claim.codomain.contains(np.array([[0.0], [1.0]]))):
        return f"{claim.codomain} doesn't hold 0 and 1"
    return None


def proved(claim: Claim, runner: Runner) -> tuple[float, Evidence, float]:
    """The error, what was found, and for which radius.

    Raises:
        Undecided: no proof.
    """
    domain, allowed, radius = claim.domain, largest(claim.error.absolute), claim.robustness.radius
    assert isinstance(domain, Fractal)
    # In this order, each once: doubles are enough for extended precision where the network has fewer digits.
    ways = [(_by_levels, runner, radius), (_by_levels, runner.wide, radius), (_by_levels, runner, 0.0)]
    if domain.level <= _SHALLOW:
        ways += [(_at_once, runner, radius), (_at_once, runner, 0.0)]
    reason = ""
    for prove, sent, off in dict.fromkeys(ways):
        try:
            return *prove(domain, sent, allowed, off), off
        except Undecided as undecided:
            reason = str(undecided)
    raise Undecided(reason)


def _by_levels(domain: Fractal, runner: Runner, allowed: float, radius: float) -> tuple[float, Evidence]:
    levels = Levels(domain, runner, allowed)
    levels.prove(radius)
    return levels.worst, Boxes("levels", levels.count)


def _at_once(domain: Fractal, runner: Runner, allowed: float, radius: float) -> tuple[float, Evidence]:
    found = _Whole(domain, runner, allowed, radius)
    limit = int(min(_BOXES, _WORK / sum(stage.weights.size for stage in runner.stages)))
    # Cells of the last level have half sides of at least the smallest singular value to that power.
    edge = float(np.linalg.svd(domain.system.linear.array, compute_uv=False).min()) ** domain.level
    side = np.ones((1, domain.size))
    count = search(-side, side, found.judge, limit, (domain.inner + domain.outer) * edge / 64)
    return found.worst, Boxes("whole", count)


class _Whole:
    """The whole network on boxes of the domain."""

    def __init__(self, domain: Fractal, runner: Runner, allowed: float, radius: float):
        self.runner, self.allowed, self.radius, self.worst = runner, allowed, radius, 0.0
        self.cells = Cells(domain, domain.level)

    def judge(self, low: np.ndarray, high: np.ndarray) -> Judged:
        found = self.cells.possible(low, high)
        kept = np.flatnonzero(found.zero | found.one)
        forms, ways = self.runner.run(on_boxes(low[kept], high[kept], self.radius), 0, len(self.runner.stages))
        ends = forms.float_ends()
        wanted = found.one[kept].astype(float)
        off = np.maximum(*(np.abs(end[:, 0] - wanted) for end in ends)) * (1 + 2.0**-50)
        fine = (found.zero != found.one)[kept] & (off <= self.allowed)
        self.worst = max(self.worst, float(off[fine].max(initial=0.0)))
        done, shares = np.ones(len(low), bool), np.zeros_like(low)
        done[kept], shares[kept] = fine, ways.shares
        return Judged(done, found.axis, found.place, shares)
