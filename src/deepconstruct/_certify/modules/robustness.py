"""Inputs beside the domain: bounds for all that are off by up to the radius.

Without sigmoids errors grow by slopes: `error + slope delta + rounding` follows with one look at what is within the
radius. Elsewhere the error `E(delta)`, which never falls, is bounded at some `delta`: what is claimed at the lower end
of an interval must be at least what is found at its upper end.
"""

import dataclasses
from collections.abc import Callable

import numpy as np

from ...activations import Sigmoid
from ...construction import Claim, spread
from .records import Gate, NotModular, Wiring

# How often the intervals between a number and its double are halved, and down to which share of the radius they go.
_SPLITS = 6
_OCTAVES = 80
# So many gates are looked at, all intervals together.
_EVALUATED = 4000

Errors = Callable[..., tuple[np.ndarray, np.ndarray]]


def holds_beside(tree: Wiring, claim: Claim, errors: Errors) -> bool:
    """Whether radius, gain and rounding of a claim are proved.

    Args:
        tree: the network's gates.
        claim: the claim.
        errors: `errors(tree, offset=..., slope=..., reach=...)` gives the errors of the outputs for inputs that are off
            so far, and by how much they grow.
    """
    if claim.robustness.radius == 0:
        return True
    if not np.isfinite(claim.robustness.radius):
        return False
    smooth = _with_sigmoids(tree)
    try:
        return all(
            _holds(_part(tree, [index for index in range(len(smooth)) if smooth[index] == kind]), claim, errors, kind)
            for kind in sorted(set(smooth))
        )
    except NotModular:
        return False


def _with_sigmoids(tree: Wiring) -> list[bool]:
    """Which kinds of outputs have sigmoids below them."""
    found: list[bool] = []
    for kind in tree.kinds:
        own = isinstance(kind, Gate) and any(isinstance(part, Sigmoid) for part in kind.activations)
        found.append(own or (isinstance(kind, Gate) and any(found[child] for child in kind.children)))
    return [found[output.kind] for output in tree.outputs]


@dataclasses.dataclass(frozen=True)
class _Part:
    """Some of the outputs of a network, with the gates below them alone."""

    tree: Wiring
    chosen: np.ndarray


def _part(tree: Wiring, outputs: list[int]) -> _Part:
    needed = {tree.outputs[index].kind for index in outputs}
    for number in range(len(tree.kinds) - 1, -1, -1):
        kind = tree.kinds[number]
        if number in needed and isinstance(kind, Gate):
            needed.update(kind.children)
    new = {number: index for index, number in enumerate(sorted(needed))}
    kinds = []
    for number in sorted(needed):
        kind = tree.kinds[number]
        if isinstance(kind, Gate):
            kind = dataclasses.replace(kind, children=tuple(new[child] for child in kind.children))
        kinds.append(kind)
    found = [dataclasses.replace(tree.outputs[index], kind=new[tree.outputs[index].kind]) for index in outputs]
    chosen = np.isin(tree.index, outputs)
    return _Part(Wiring(tuple(kinds), (), tuple(found), np.searchsorted(outputs, tree.index[chosen])), chosen)


def _holds(part: _Part, claim: Claim, errors: Errors, smooth: bool) -> bool:
    radius, rounding = claim.robustness.radius, claim.robustness.rounding
    size = claim.codomain.size
    allowed = spread(claim.error.absolute, size)[part.chosen]
    # A sum in double precision, rounded down unless it is one of its terms.
    allowed = np.where((rounding == 0) | (allowed == 0), allowed + rounding, np.nextafter(allowed + rounding, 0))
    gain = spread(claim.robustness.gain, size)[part.chosen]
    if not smooth:
        error, slope = errors(part.tree, slope=1.0, reach=radius)
        if np.all(error <= allowed) and np.all(slope <= gain):
            return True
    return _Intervals(part.tree, errors, allowed, gain).hold(radius)


class _Intervals:
    """Intervals of `delta`, halved until the claim is above the bound on each of them."""

    def __init__(self, tree: Wiring, errors: Errors, allowed: np.ndarray, gain: np.ndarray):
        self.tree, self.errors, self.allowed, self.gain = tree, errors, allowed, gain
        self.left = max(_EVALUATED // len(tree.kinds), 8)

    def hold(self, radius: float) -> bool:
        high = radius
        for _ in range(_OCTAVES):
            found = self._at(high)
            if self._covers(found, 0.0):
                return True
            if not self._between(high / 2, high, found, _SPLITS):
                return False
            high /= 2
        return False

    def _between(self, low: float, high: float, found: np.ndarray, splits: int) -> bool:
        """Whether the claim holds between `low` and `high`, at which the errors `found` are."""
        if self._covers(found, low):
            return True
        if not splits:
            return False
        middle = float(np.sqrt(low * high))
        upper = self._between(middle, high, found, splits - 1)
        return upper and self._between(low, middle, self._at(middle), splits - 1)

    def _at(self, delta: float) -> np.ndarray:
        self.left -= 1
        if self.left < 0:
            raise NotModular("robustness takes too many steps")
        return self.errors(self.tree, offset=delta)[0]

    def _covers(self, found: np.ndarray, low: float) -> bool:
        grown = self.gain * low if low else np.zeros_like(self.gain)  # an infinite gain of nothing is nothing
        claimed = np.where(grown == 0, self.allowed, (self.allowed + grown) * (1 - 2.0**-51))
        return bool(np.all(found <= claimed))
