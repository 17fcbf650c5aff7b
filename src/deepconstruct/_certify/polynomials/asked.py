"""What a claim asks of polynomials: its target, its domain as a box, and how the proved error compares."""

import dataclasses
import itertools
import math
from collections.abc import Sequence
from fractions import Fraction

import jax.numpy as jnp
import numpy as np

from ..._arithmetic.rounding import unit_roundoff
from ..._arithmetic.softmax import softmax_error
from ...activations import Softmax
from ...construction import Bound, Claim, spread
from ...domains import AbstractDomain, Bits, Box, Points, Product, Signs, Space
from ...network import Network, flat_layers
from ...targets import AbstractTarget, GaussianClassifier, HamiltonianClassifier
from .monomials import Budget, Poly, Unknown, difference, size, up, value_range
from .targets import logits_of, target_polynomials
from .wires import Climb, Error, errors, errors_of

_BOXES = (Box, Bits, Signs, Points)
# Faces of a codomain may have been computed in double precision.
_ROOM = Fraction(1, 2**46)
# Steps in which inputs are moved, where one doesn't do.
_STEPS = 8


@dataclasses.dataclass(frozen=True, eq=False)
class Asked:
    """A claim about polynomials on a box.

    Attributes:
        outputs: what the target is, or its logits.
        off: by how much their constants may be off.
        classes: how many classes there are; 0 where the outputs are the target themselves.
        low, high: the box.
        bounds: the largest moduli in the box.
    """

    claim: Claim
    outputs: list[Poly]
    off: Fraction
    classes: int
    low: tuple[Fraction, ...]
    high: tuple[Fraction, ...]

    @property
    def bounds(self) -> tuple[Fraction, ...]:
        return tuple(max(-a, b) for a, b in zip(self.low, self.high, strict=True))

    def differences(self, meanings: Sequence[Poly]) -> list[Fraction]:
        """Bounds of what the outputs of a network are off over the reals."""
        pairs = zip(meanings, self.outputs, strict=True)
        return [size(difference(mine, wanted), self.bounds) + self.off for mine, wanted in pairs]

    def judged(self, errors: Sequence[Fraction], *, most: float = 1.0) -> np.ndarray:
        """Bounds of the errors of the network, from those of the outputs of its last linear map.

        No probability is off by more than `most`, if that is 1; convex functions need it infinite.
        """
        if not self.classes:
            return np.array([float(up(error)) for error in errors])
        # What is made by the softmax itself is a sum of a few numbers in double precision.
        made = softmax_error(0.0, self.classes, unit_roundoff(self.claim.dtype)) * (1 + 2.0**-48)
        return np.full(self.classes, min(float(up(max(errors) / 2 + Fraction(made))), most))


def why_not(claim: Claim, network: Network) -> str | None:
    """Why a claim about a network isn't one about polynomials on a box, as far as types tell."""
    softmax = type(flat_layers(network)[-1].activation) is Softmax
    if not _is_box(claim.domain):
        return f"it needs a domain that is a box or lies in one; got {claim.domain}"
    if not _fit(claim.domain, claim.dtype):
        return f"{claim.dtype} doesn't hold all of {claim.domain}: round them before you make the domain"
    if not (_is_box(claim.codomain) or type(claim.codomain) is Space):
        return f"it needs a codomain that is a box or a space; got {claim.codomain}"
    if claim.domain.is_complex or claim.codomain.is_complex:
        return f"it is about real numbers; {claim.domain} or {claim.codomain} isn't"
    if not jnp.issubdtype(np.dtype(claim.dtype), np.floating):
        return f"it is about real weights; got {claim.dtype}"
    if _is_classifier(claim.target) and not softmax:
        return f"{claim.target.name} needs a network with a softmax at its end"
    if softmax and not _is_classifier(claim.target):
        return f"behind a softmax it needs a classifier with polynomial logits; got {claim.target.name}"
    return None


def _is_classifier(target: AbstractTarget) -> bool:
    return type(target) is HamiltonianClassifier or type(target) is GaussianClassifier


def _is_box(domain: AbstractDomain) -> bool:
    if type(domain) is Product:
        return all(map(_is_box, domain.domains))
    return type(domain) in _BOXES


def _fit(domain: AbstractDomain, dtype: str) -> bool:
    """Whether points that are listed are floats of the dtype."""
    if type(domain) is Product:
        return all(_fit(part, dtype) for part in domain.domains)
    return type(domain) is not Points or domain.fits(dtype)


def asked(claim: Claim, budget: Budget) -> Asked:
    """The claim in rationals.

    Raises:
        Unknown: the target isn't known as polynomials, or has values outside of the codomain.
    """
    low, high = (tuple(Fraction(float(value)) for value in end) for end in claim.domain.box())
    inputs = len(low)
    found = logits_of(claim.target, inputs, budget)
    outputs, off = (target_polynomials(claim.target, inputs, budget), Fraction(0)) if found is None else found
    if len(outputs) != claim.codomain.size:
        raise Unknown(f"{claim.target.name} has {len(outputs)} outputs, {claim.codomain} has {claim.codomain.size}")
    made = Asked(claim, outputs, off, len(outputs) if found else 0, low, high)
    _check_codomain(made)
    return made


def _check_codomain(made: Asked) -> None:
    """Refuse a codomain that isn't shown to hold the target's values."""
    domain, one = made.claim.codomain, Fraction(1)
    if type(domain) is Space:
        return
    if not _is_continuous(domain):
        raise Unknown(f"values of {made.claim.target.name} may lie outside of {domain}")
    for poly, bottom, top in zip(made.outputs, *domain.box(), strict=True):
        ends = (0 * one, one) if made.classes else value_range(poly, made.low, made.high)
        room = _ROOM * (abs(Fraction(float(bottom))) + abs(Fraction(float(top))))
        if ends[0] < Fraction(float(bottom)) - room or ends[1] > Fraction(float(top)) + room:
            raise Unknown(f"values of {made.claim.target.name} may lie outside of {domain}")


def _is_continuous(domain: AbstractDomain) -> bool:
    return all(map(_is_continuous, domain.domains)) if type(domain) is Product else type(domain) is Box


def within(claim: Claim, found: np.ndarray, extra: float = 0.0, gain: float = 0.0) -> bool:
    """Whether errors are within the claimed absolute one, plus `extra`, plus `gain` times the claimed gain.

    The sums on the right are rounded down.
    """
    allowed = spread(claim.error.absolute, claim.codomain.size)
    if extra or gain:
        more = extra + gain * spread(claim.robustness.gain, claim.codomain.size)
        allowed = (allowed + more) * (1 - 2.0**-50)
    return bool(np.all(found <= allowed))


def bound_of(claim: Claim, found: np.ndarray) -> Bound:
    """The errors as a bound: one number, or one an output where that was claimed."""
    return Bound(absolute=tuple(found.tolist()) if isinstance(claim.error.absolute, tuple) else float(found.max()))


def stands_moved(wanted: Asked, climbs: Sequence[Climb], off: Sequence[Fraction], error: Error) -> bool:
    """Whether the claim about moved inputs is proved too; `off` is what outputs are off over the reals.

    With what gates err by at the far end of a step, the error is convex in how far inputs are moved within it, and
    what is claimed is linear: both ends are compared.
    """
    robustness = wanted.claim.robustness
    if robustness.radius == 0:
        return True
    if not math.isfinite(robustness.radius):
        return False
    try:
        return any(_stands(wanted, climbs, off, error, steps) for steps in (1, _STEPS))
    except Unknown:
        return False


def _stands(wanted: Asked, climbs: Sequence[Climb], off: Sequence[Fraction], error: Error, steps: int) -> bool:
    """`stands_moved`, step by step from the farthest one: each with the rounding, and gates, of its far end."""
    claim, radius = wanted.claim, Fraction(wanted.claim.robustness.radius)
    extra, ends = claim.robustness.rounding, [radius * step / steps for step in range(steps + 1)]
    for far, near in itertools.pairwise(ends[::-1]):
        found, own = errors(climbs, far, error)
        for distance, made in ((far, found), (near, errors_of(climbs, near, own))):
            total = wanted.judged([a + b for a, b in zip(off, made, strict=True)], most=math.inf)
            if not within(claim, total, extra, float(distance)):
                return False
    return True


def trusted(wanted: Asked) -> tuple[str, ...]:
    """What a proof in rationals rests on."""
    found = ("integers of any length", "double precision, for the rounding")
    return (*found, "logarithms of 50 digits", "the bound of a softmax's rounding") if wanted.classes else found
