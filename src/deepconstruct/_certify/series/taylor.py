"""Proof for one smooth hidden layer on a box, against products and polynomials.

On every cell of the box, for all floats `x` in it and every output,

    |fl(N)(x) - p(x)| <= |N(x) - p(x)| + |fl(N)(x) - N(x)|.

Over the reals, with the weights as they are stored, `N - p` is a power series about the center of the cell. Its
coefficients are made in balls, so that what cancels between units cancels in them; what is left is a polynomial, whose
largest modulus is bounded cell by cell, plus a remainder by Cauchy's estimate on discs without poles. The second part
is the rounding model's, unit by unit (`series_rounding`). For inputs moved by up to `delta`, which lie in the inflated
box, `|p(x') - p(x)| <= sum_a |p_a| ((B + delta)^a - B^a)`, a convex function of `delta`: its chord is the gain.
"""

import dataclasses
import math
from collections.abc import Iterator
from fractions import Fraction

import jax.numpy as jnp
import numpy as np

from ..._arithmetic.trust import is_known
from ..._flint import NEEDS_FLINT, flint_text, has_flint
from ...activations import Custom
from ...construction import Construction, spread
from ...linear import SignProduct
from ...network import flat_layers
from ..certificate import Certificate, Evidence, proved, undecided
from ..method import Method, Options
from ..polynomials import identity
from ..polynomials.asked import Asked, asked, bound_of, why_not, within
from ..polynomials.monomials import Budget, Poly, Unknown, moved
from .balls import POLYNOMIAL, SMOOTH, degree
from .gates import GateBound, bounded
from .readout import Shallow, holds, why_not_read
from .rounding import Cell, Format
from .terms import Exponents, TooFar

# So many boxes at most where series don't reach further, and where the bound is near the claim.
_MOST_BOXES, _MOST_NEAR = 256, 32
_MOST_INPUTS = 12
# Smaller boxes, in which units round a little less, are tried where the bound exceeds the claim by up to this.
_NEAR = 1.02


@dataclasses.dataclass(frozen=True)
class Series(Evidence):
    """Parts of bounds of `|network(x) - target(x)|`, one an output.

    Attributes:
        real: over the reals, with the weights as stored.
        rounding: of the running network.
        beside: both together on the box that is inflated by the claimed radius, if that was looked at.
        boxes: into how many the domain was cut, each with its own series.
        order: all terms of lower degree were kept one by one.
        cells: how many were looked at for the largest modulus of the polynomials.
    """

    real: tuple[float, ...]
    rounding: tuple[float, ...]
    beside: tuple[float, ...] | None
    boxes: int
    order: int
    cells: int


def _applies(construction: Construction) -> str | None:
    claim, network = construction.claim, construction.network
    if not has_flint():
        return NEEDS_FLINT
    if not is_known(network, (*SMOOTH, *POLYNOMIAL)) or not jnp.issubdtype(network.dtype, jnp.floating):
        return f"Taylor series need real networks of this library's maps and smooth activations{_unknown(construction)}"
    if network.in_size > _MOST_INPUTS:
        return f"it takes up to {_MOST_INPUTS} inputs; got {network.in_size}"
    return why_not_read(network) or why_not(claim, network)


def _leaves(construction: Construction) -> str | None:
    if is_known(construction.network, POLYNOMIAL) and identity.METHOD.applies(construction) is None:
        return "networks of squares and powers are polynomials themselves, which identity multiplies out"
    return None


def _unknown(construction: Construction) -> str:
    """Which functions of a user's own there are."""
    names = (layer.activation.name() for layer in flat_layers(construction.network) if type(layer.activation) is Custom)
    return "".join(f"; no enclosure of the derivatives of {name} is known" for name in names)


def _run(construction: Construction, options: Options) -> Certificate:
    try:
        return _proved(construction)
    except Unknown as reason:
        return undecided(construction, METHOD.name, str(reason))


def _proved(construction: Construction) -> Certificate:
    claim, network = construction.claim, construction.network
    wanted = asked(claim, Budget())
    limits = spread(claim.error.absolute, claim.codomain.size)
    shallow = Shallow.of(network)
    proof = Proof(shallow, [_exponents(poly, network.in_size) for poly in wanted.outputs], Format.of(network.dtype))
    found = proof.on(_cell(claim.domain.box(), 0.0), limits)
    errors = found.largest("total")
    if not within(claim, np.array(errors)):
        return undecided(construction, METHOD.name, f"it gives {max(errors):.4g}, above the claim")
    stands, beside = _beside(proof, wanted)
    return proved(
        construction,
        METHOD.name,
        moved=stands,
        found=bound_of(claim, np.array(errors)),
        evidence=Series(
            real=found.largest("real"),
            rounding=found.largest("rounding"),
            beside=beside,
            boxes=found.boxes,
            order=min(part.order for parts in found.outputs for part in parts),
            cells=sum(part.cells for parts in found.outputs for part in parts),
        ),
        trusts=_trusts(construction, shallow),
    )


def _exponents(poly: Poly, size: int) -> dict[Exponents, Fraction]:
    """A polynomial by the exponents of all variables."""
    found = {}
    for key, value in poly.items():
        exponents = [0] * size
        for index, exponent in key:
            exponents[index] = exponent
        found[tuple(exponents)] = value
    return found


def _trusts(construction: Construction, shallow: Shallow) -> Iterator[str]:
    _, readout = flat_layers(construction.network)
    yield flint_text()
    yield "double precision as IEEE 754 says"
    if shallow.in_order:
        yield "SignPatterns adds inputs one by one, and the bias to finished sums"
    if holds(readout.linear, SignProduct):
        yield "SignProduct adds pairs of units, then pairs of these"
    for kind in dict.fromkeys(kind for kind in shallow.activations if degree(kind) is None):
        yield f"{kind.name()} within {kind.ulps()} units in the last place"


def _cell(box: tuple[np.ndarray, np.ndarray], more: float) -> Cell:
    """A box that is inflated by `more`, from outside."""
    low, high = box
    center = low / 2 + high / 2
    half = np.maximum(high - center, center - low)
    half = np.where((low == -high) & (more == 0), half, np.nextafter(half + more, np.inf) * (1 + 2.0**-50))
    return Cell(center, np.maximum(half, 2.0**-900))


@dataclasses.dataclass(frozen=True)
class Proved:
    """Bounds for every output, one a box."""

    outputs: list[list[GateBound]]
    boxes: int

    def largest(self, part: str) -> tuple[float, ...]:
        """The largest of a part of the bounds, one an output."""
        return tuple(max(getattr(bound, part) for bound in bounds) for bounds in self.outputs)


@dataclasses.dataclass(frozen=True)
class Proof:
    """A network, polynomials and a format."""

    network: Shallow
    target: list[dict[Exponents, Fraction]]
    form: Format

    def on(self, cell: Cell, limits: np.ndarray) -> Proved:
        """Bounds on a cell, cut where series don't reach, or where it may help to stay within the limits.

        Raises:
            Unknown: with the reason, where there is no bound.
        """
        outputs: list[list[GateBound]] = [[] for _ in self.target]
        waiting, boxes = [cell], 0
        while waiting:
            cell = waiting.pop()
            count = boxes + len(waiting)
            try:
                found = self._bounds(cell, limits)
            except TooFar:
                if count >= _MOST_BOXES:
                    raise
                waiting += self._halves(cell)
                continue
            excess = [part.total / limit if limit else math.inf for part, limit in zip(found, limits, strict=True)]
            if self.network.power is None and 1 < max(excess) <= _NEAR and count < _MOST_NEAR:
                waiting += self._halves(cell)
                continue
            boxes += 1
            for parts, part in zip(outputs, found, strict=True):
                parts.append(part)
            if max(excess) > 1:
                break  # the claim isn't proved, whatever the other boxes say
        return Proved(outputs, boxes)

    def _bounds(self, cell: Cell, limits: np.ndarray) -> list[GateBound]:
        rounding = self.network.rounding(cell, self.form).tolist()
        # What is left out is small beside what is claimed.
        rows = zip(self.target, rounding, limits.tolist(), strict=True)
        return [
            bounded(self.network.units(k), poly, cell, rounds, max(2.0**-8 * rounds, 2.0**-14 * limit))
            for k, (poly, rounds, limit) in enumerate(rows)
        ]

    def _halves(self, cell: Cell) -> list[Cell]:
        """Cut along the input that moves pre-activations most."""
        widest = (np.abs(self.network.weights).sum(axis=0) * cell.half).argmax()
        step = np.zeros_like(cell.half)
        step[widest] = cell.half[widest] / 2
        # Centers are rounded, which the half widths make up for.
        half = cell.half - step + np.where(step > 0, (np.abs(cell.center) + cell.half) * 2.0**-51, 0.0)
        return [Cell(cell.center - step, half), Cell(cell.center + step, half)]


def _beside(proof: Proof, wanted: Asked) -> tuple[bool, tuple[float, ...] | None]:
    """Whether what is claimed of inputs beside the domain is proved, and bounds on the inflated box."""
    claim, radius = wanted.claim, wanted.claim.robustness.radius
    if radius == 0:
        return True, None
    if not math.isfinite(radius):
        return False, None
    gains = spread(claim.robustness.gain, len(proof.target))
    off = [Fraction(radius)] * len(wanted.bounds)
    chords = [moved(poly, wanted.bounds, off) / Fraction(radius) for poly in wanted.outputs]
    if not all(chord <= gain for chord, gain in zip(chords, gains.tolist(), strict=True)):
        return False, None
    # That sum is rounded.
    limits = (spread(claim.error.absolute, len(proof.target)) + claim.robustness.rounding) * (1 - 2.0**-50)
    try:
        errors = proof.on(_cell(claim.domain.box(), radius), limits).largest("total")
    except Unknown:
        return False, None
    return within(claim, np.array(errors), claim.robustness.rounding), errors


METHOD = Method(
    name="taylor",
    where="one smooth hidden layer on a box, and polynomial targets",
    does="their difference is expanded in balls and its range bounded on cells, rounding is bounded unit by unit",
    verdicts=("proved",),
    applies=_applies,
    leaves=_leaves,
    run=_run,
)
