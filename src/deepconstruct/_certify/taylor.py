"""Proof for one smooth hidden layer on a box, against products and polynomials.

On every cell of the box, for all floats `x` in it and every output,

    |fl(N)(x) - p(x)| <= |N(x) - p(x)| + |fl(N)(x) - N(x)|.

Over the reals, with the weights as they are stored, `N - p` is a power series about the center of the cell. Its
coefficients are made in balls, so that what cancels between units cancels in them; what is left is a polynomial, whose
largest modulus is bounded cell by cell, plus a remainder by Cauchy's estimate on discs without poles. The second part
is the rounding model's, unit by unit (`series_rounding`). For inputs moved by up to `delta`, which lie in the inflated
box, `|p(x') - p(x)| <= gain delta` with the chord of `sum_a |p_a| ((B + delta)^a - B^a)`, a convex function.
"""

import dataclasses
import itertools
import math
from collections.abc import Iterator
from fractions import Fraction

import jax.numpy as jnp
import numpy as np

from .. import targets
from .._arithmetic.trust import is_known
from ..construction import Bound, Claim, Construction, spread
from ..domains import AbstractDomain, Box, Product, Space
from ..linear import SignPatterns, SignProduct
from ..network import flat_layers
from .certificate import Certificate, Evidence, certificate, undecided
from .flint import NEEDS_FLINT, flint_text, has_flint
from .gates import GateBound, bounded
from .method import Method, Options
from .series_balls import POLYNOMIAL, SMOOTH, degree
from .series_readout import Shallow, why_not_read
from .series_rounding import Cell, Format
from .series_terms import Exponents, TooFar, Unprovable

_MOST_CELLS = 256
_MOST_INPUTS = 12


@dataclasses.dataclass(frozen=True)
class Series(Evidence):
    """Parts of bounds of `|network(x) - target(x)|`, one an output.

    Attributes:
        real: over the reals, with the weights as stored.
        rounding: of the running network.
        beside: the sum of both on the box that is inflated by the claimed radius, if it was looked at.
        boxes: into how many the domain was cut, each with its own series.
        order: the least order up to which all terms were kept one by one.
        cells: how many were looked at for the largest modulus of the polynomials.
    """

    real: tuple[float, ...]
    rounding: tuple[float, ...]
    beside: tuple[float, ...] | None
    boxes: int
    order: int
    cells: int


Polynomial = dict[Exponents, Fraction]


def polynomials(target: targets.AbstractTarget, size: int) -> list[Polynomial] | None:
    """A target of `size` numbers as polynomials, one an output, if it is one that this library knows."""
    if type(target) is targets.Product:
        return [{(1,) * size: Fraction(1)}] if target.n == size else None
    if type(target) is targets.Polynomial:
        return [_collected(terms) for terms in target.outputs] if target.variables == size else None
    if type(target) is targets.FanOut:
        parts = [polynomials(part, size) for part in target.targets]
        return None if None in parts else [each for part in parts for each in part or ()]
    if type(target) is targets.Parallel:
        return _side_by_side(target, size)
    return None


def _collected(terms: tuple) -> Polynomial:
    found: Polynomial = {}
    for exponents, coefficient in terms:
        exact = Fraction(coefficient if isinstance(coefficient, int) else float(coefficient))
        found[tuple(exponents)] = found.get(tuple(exponents), Fraction(0)) + exact
    return found


def _side_by_side(target: targets.Parallel, size: int) -> list[Polynomial] | None:
    if sum(target.sizes) != size:
        return None
    found: list[Polynomial] = []
    starts = itertools.accumulate(target.sizes, initial=0)
    for part, start, width in zip(target.targets, starts, target.sizes, strict=False):
        outputs = polynomials(part, width)
        if outputs is None:
            return None
        before, after = (0,) * start, (0,) * (size - start - width)
        found += [{(*before, *a, *after): value for a, value in output.items()} for output in outputs]
    return found


def _box(domain: AbstractDomain) -> tuple[np.ndarray, np.ndarray] | None:
    """The ends of a box, or of a product of boxes."""
    if type(domain) is Product:
        parts = [_box(part) for part in domain.domains]
        found = [part for part in parts if part is not None]
        if len(found) < len(parts):
            return None
        return np.concatenate([low for low, _ in found]), np.concatenate([high for _, high in found])
    return domain.box() if type(domain) is Box else None


def _applies(construction: Construction) -> str | None:
    claim, network = construction.claim, construction.network
    if not has_flint():
        return NEEDS_FLINT
    if _box(claim.domain) is None or claim.domain.size > _MOST_INPUTS:
        return f"the proof by Taylor series takes boxes of up to {_MOST_INPUTS} numbers; got {claim.domain}"
    if not is_known(network, (*SMOOTH, *POLYNOMIAL)) or not jnp.issubdtype(network.dtype, jnp.floating):
        return "it takes real networks of this library's maps and smooth activations, whose series it knows"
    if np.dtype(network.dtype).name != claim.dtype:
        return f"the network's weights are {network.dtype}, the claim is about {claim.dtype}"
    if network.in_size != claim.domain.size:
        return f"the network takes {network.in_size} numbers, {claim.domain} has {claim.domain.size}"
    reason = why_not_read(network)
    if reason is not None:
        return reason
    if degree(flat_layers(network)[1].activation) != 1:
        return "it takes a linear readout"
    found = polynomials(claim.target, network.in_size)
    if found is None or len(found) != network.out_size or network.out_size != claim.codomain.size:
        return f"it compares with products and polynomials; {claim.target.name} isn't known as one"
    if not _holds_values(claim.codomain, found, claim.domain):
        return f"values of {claim.target.name} may leave {claim.codomain}"
    return None


def _holds_values(codomain: AbstractDomain, found: list[Polynomial], domain: AbstractDomain) -> bool:
    """Whether the polynomials' values lie in the codomain, term by term; up to rounding, as bounds of boxes are."""
    ends = _ends(codomain)
    box = _box(domain)
    if ends is None or box is None:
        return False
    for low, high, polynomial in zip(*ends, found, strict=True):
        bottom, top = _range(polynomial, *box)
        room = (abs(low) + abs(high)) * 2.0**-46
        if math.isfinite(room) and (bottom < Fraction(low - room) or top > Fraction(high + room)):
            return False
    return True


def _ends(codomain: AbstractDomain) -> tuple[np.ndarray, np.ndarray] | None:
    if type(codomain) is Product:
        parts = [_ends(part) for part in codomain.domains]
        found = [part for part in parts if part is not None]
        return None if len(found) < len(parts) else tuple(np.concatenate(part) for part in zip(*found, strict=True))  # pyright: ignore[reportReturnType]
    return codomain.box() if type(codomain) is Box or type(codomain) is Space else None


def _range(polynomial: Polynomial, low: np.ndarray, high: np.ndarray) -> tuple[Fraction, Fraction]:
    """Where the values of a polynomial lie, by intervals."""
    bottom = top = Fraction(0)
    ends = [(Fraction(float(a)), Fraction(float(b))) for a, b in zip(low, high, strict=True)]
    for exponents, coefficient in polynomial.items():
        least = most = coefficient
        for (a, b), k in zip(ends, exponents, strict=True):
            if k:
                powers = [a**k, b**k] + [Fraction(0)] * (k % 2 == 0 and a < 0 < b)
                corners = [x * y for x in (least, most) for y in powers]
                least, most = min(corners), max(corners)
        bottom, top = bottom + least, top + most
    return bottom, top


def _run(construction: Construction, options: Options) -> Certificate:
    claim, network = construction.claim, construction.network
    target, box = polynomials(claim.target, network.in_size), _box(claim.domain)
    assert target is not None and box is not None
    limits = spread(claim.error.absolute, len(target))
    proof = _Proof(Shallow.of(network), target, Format.of(network.dtype))
    try:
        found = proof.on(_cell(*box, 0.0), limits)
    except Unprovable as reason:
        return undecided(construction, METHOD.name, str(reason))
    errors = [max(part.total for part in parts) for parts in found.outputs]
    if not all(error <= limit for error, limit in zip(errors, limits, strict=True)):
        return undecided(construction, METHOD.name, f"it gives {max(errors):.4g}, above the claim")
    beside = _beside(proof, claim, box)
    each = isinstance(claim.error.absolute, tuple)
    return certificate(
        construction,
        METHOD.name,
        "proved",
        ran=False,
        covers=("error",) if beside is None else ("error", "robustness"),
        found=Bound(errors if each else max(errors)),
        inputs=0,
        evidence=Series(
            tuple(max(part.real for part in parts) for parts in found.outputs),
            tuple(max(part.rounding for part in parts) for parts in found.outputs),
            beside,
            found.boxes,
            min(part.order for parts in found.outputs for part in parts),
            sum(part.cells for parts in found.outputs for part in parts),
        ),
        trusts=tuple(_trusts(construction)),
    )


def _trusts(construction: Construction) -> Iterator[str]:
    hidden, readout = flat_layers(construction.network)
    yield flint_text()
    yield "sums, products and square roots of NumPy in double precision"
    if type(hidden.linear) is SignPatterns or type(readout.linear) is SignProduct or _is_ordered(construction):
        yield "SignPatterns adds inputs one by one and the bias last, SignProduct pairs of units: no compiler reorders them"
    if any(degree(kind) is None for kind in Shallow.of(construction.network).activations):
        yield f"{hidden.activation.name()} is evaluated within {hidden.activation.ulps()} units in the last place"


def _is_ordered(construction: Construction) -> bool:
    hidden, _ = flat_layers(construction.network)
    return Shallow.of(construction.network).in_order and type(hidden.linear) is not SignPatterns


def _cell(low: np.ndarray, high: np.ndarray, more: float) -> Cell:
    """A box that is inflated by `more`, from outside."""
    center = low / 2 + high / 2
    half = np.maximum(high - center, center - low)
    exact = (low == -high) & (more == 0)
    half = np.where(exact, half, np.nextafter(half + more, np.inf) * (1 + 2.0**-50))
    return Cell(center, np.maximum(half, 2.0**-900))


@dataclasses.dataclass(frozen=True)
class _Found:
    """Bounds for every output, one a box."""

    outputs: list[list[GateBound]]
    boxes: int


@dataclasses.dataclass(frozen=True)
class _Proof:
    """A network, polynomials and a format."""

    network: Shallow
    target: list[Polynomial]
    form: Format

    def on(self, cell: Cell, limits: np.ndarray) -> _Found:
        """Bounds on a cell, cut where series don't reach, or where it may help to stay within the limits.

        Raises:
            Unprovable: with the reason, where there is no bound.
        """
        outputs: list[list[GateBound]] = [[] for _ in self.target]
        waiting, boxes = [cell], 0
        while waiting:
            cell = waiting.pop()
            room = boxes + len(waiting) < _MOST_CELLS
            try:
                found = self._bounds(cell, limits)
            except TooFar:
                if not room:
                    raise
                waiting += self._halves(cell)
                continue
            above = [part.total > limit for part, limit in zip(found, limits, strict=True)]
            # Rounding is less in smaller boxes, by far less than twice.
            near = all(part.total <= 1.25 * limit for part, limit in zip(found, limits, strict=True))
            if any(above) and near and room:
                waiting += self._halves(cell)
                continue
            boxes += 1
            for parts, part in zip(outputs, found, strict=True):
                parts.append(part)
            if any(above):
                break
        return _Found(outputs, boxes)

    def _bounds(self, cell: Cell, limits: np.ndarray) -> list[GateBound]:
        rounding = self.network.rounding(cell, self.form)
        return [
            bounded(
                self.network.units(k), polynomial, cell, float(rounding[k]), max(2.0**-8 * rounding[k], 2.0**-9 * limit)
            )
            for k, (polynomial, limit) in enumerate(zip(self.target, limits, strict=True))
        ]

    def _halves(self, cell: Cell) -> list[Cell]:
        """Cut along the input that moves pre-activations most."""
        moved = np.abs(self.network.weights).sum(axis=0) * cell.half
        step = np.zeros_like(cell.half)
        step[moved.argmax()] = cell.half[moved.argmax()] / 2
        # Centers are rounded, which the half widths make up for.
        half = cell.half - step + np.where(step > 0, (np.abs(cell.center) + cell.half) * 2.0**-51, 0.0)
        return [Cell(cell.center - step, half), Cell(cell.center + step, half)]


def _beside(proof: _Proof, claim: Claim, box: tuple[np.ndarray, np.ndarray]) -> tuple[float, ...] | None:
    """Bounds on the box inflated by the claimed radius, if they prove what is claimed of inputs beside the domain."""
    moved, outputs = claim.robustness, len(proof.target)
    if not 0 < moved.radius < math.inf:
        return None
    gains = spread(moved.gain, outputs)
    if not all(_chord(p, *box, moved.radius) <= gain for p, gain in zip(proof.target, gains, strict=True)):
        return None
    limits = spread(claim.error.absolute, outputs) + moved.rounding
    limits = limits * (1 - 2.0**-52)  # that sum is rounded
    try:
        found = proof.on(_cell(*box, moved.radius), limits)
    except Unprovable:
        return None
    errors = tuple(max(part.total for part in parts) for parts in found.outputs)
    return errors if all(error <= limit for error, limit in zip(errors, limits, strict=True)) else None


def _chord(polynomial: Polynomial, low: np.ndarray, high: np.ndarray, radius: float) -> Fraction:
    """What a polynomial changes by at most, over how much its input does, for changes of up to `radius`."""
    bounds = [Fraction(float(value)) for value in np.maximum(-low, high)]
    step = Fraction(radius)
    total = Fraction(0)
    for exponents, coefficient in polynomial.items():
        far, near = (
            math.prod((b + d) ** k for b, k in zip(bounds, exponents, strict=True)) for d in (step, Fraction(0))
        )
        total += abs(coefficient) * (far - near)
    return total / step


METHOD = Method(
    name="taylor",
    where="one smooth hidden layer on a box, against products and polynomials",
    does="the difference is expanded in balls, its range is bounded on cells, and so is the rounding of every unit",
    verdicts=("proved",),
    applies=_applies,
    run=_run,
)
