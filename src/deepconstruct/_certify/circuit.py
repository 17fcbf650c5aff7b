"""Proof for circuits of smooth gates: one hidden layer a level, whose wires are sums, squares and products.

The plan of the builder says what polynomial `G_i` of the wires below each wire is meant to be; that its gate is one
is proved from the stored weights (`gates`), for all floats that the wires below can hold, with their errors. Then
errors go up (`wires`), and what the outputs mean is compared with the target in rationals:

    |fl(N)(x) - p(x)| <= e_out + sum_a |c_a| B^a,   e_i = gate error + sum_a |g_a| ((B + e)^a - B^a),

where `c_a` are the coefficients of the difference. For a product that is `e_gate + B_1 e_2 + B_2 e_1 + e_1 e_2`.
A plan that isn't the network's own makes gates fail, or the outputs differ from the target: it proves nothing.
"""

import dataclasses
import itertools
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from .._arithmetic.trust import is_known
from ..activations import Softmax
from ..construction import Built, Construction
from ..construction.plans import Circuit
from .asked import asked, bound_of, stands_moved, trusted, why_not, within
from .certificate import Certificate, Evidence, certificate, undecided
from .flint import NEEDS_FLINT, flint_text, has_flint
from .gates import GateBound, fractions
from .method import Method, Options
from .monomials import Budget, Key, Poly, Unknown, add, multiply, powers_of_sums, size, up
from .powers import is_power, polynomial, rounding, short
from .series_balls import POLYNOMIAL, SMOOTH
from .series_range import largest_modulus
from .series_rounding import Cell, Format, activated, pre_activations, summed
from .series_terms import Units, expand
from .wires import Climb, Gate, errors, levels_of, meanings, too_large

# Gates of more wires are proved only if their units see multiples of one sum.
_MOST_WIRES = 3
# Reaches are rounded up to so many digits, so that gates at several levels are proved at one go.
_DIGITS = 20
_SHARE = 2.0**-8
_LEAST = float(np.finfo(np.float64).tiny)


@dataclasses.dataclass(frozen=True)
class Gates(Evidence):
    """Gates of a circuit were proved one by one.

    Attributes:
        wires: how many there are.
        gates: how many gates had to be proved: those that are alike, in like places, are once.
        real: the largest error of a gate over the reals.
        rounding: likewise what running one adds.
        difference: a bound of what the circuit's outputs are off the target (of logits, for a classifier).
    """

    wires: int
    gates: int
    real: float
    rounding: float
    difference: float


def _applies(construction: Construction) -> str | None:
    network = construction.network
    if not has_flint():
        return NEEDS_FLINT
    if not is_known(network, (*SMOOTH, *POLYNOMIAL, Softmax)):
        return "circuits need this library's own maps and smooth activations"
    plan = construction.origin.plan if type(construction.origin) is Built else None
    if type(plan) is not Circuit:
        return "circuits are followed along the plan of their builder, which isn't known here"
    return why_not(construction.claim, network) or too_large(network)


def _run(construction: Construction, options: Options) -> Certificate:
    try:
        return _proved(construction)
    except Unknown as reason:
        return undecided(construction, METHOD.name, str(reason))


def _proved(construction: Construction) -> Certificate:
    claim, budget = construction.claim, Budget()
    wanted = asked(claim, budget)
    levels = levels_of(construction.network)
    assert isinstance(construction.origin, Built)
    operations = iter(read(construction.origin.plan))
    smooth = [next(operations, []) if level.hidden is not None else [] for level in levels]

    def meaning(gate: Gate, depth: int, place: int) -> Poly:
        if is_power(gate):
            return polynomial(gate, budget)
        if place >= len(smooth[depth]):
            raise Unknown("its plan has fewer wires")
        return meant(gate, smooth[depth][place], budget)

    climbs = meanings(levels, wanted.bounds, meaning, budget)
    prover = Prover(claim.dtype, budget)
    off = wanted.differences(climbs[-1].meanings)
    made, _ = errors(climbs, Fraction(0), prover)
    found = wanted.judged([a + b for a, b in zip(off, made, strict=True)])
    if not within(claim, found):
        return undecided(construction, METHOD.name, f"it gives {found.max():.3g}, above the claim")
    evidence = prover.evidence(climbs, max(off))
    moved = stands_moved(wanted, climbs, off, prover)
    return certificate(
        construction,
        METHOD.name,
        "proved",
        ran=False,
        covers=("error", "robustness") if moved else ("error",),
        found=bound_of(claim, found),
        inputs=0,
        evidence=evidence,
        trusts=(flint_text(), "activations within their units in the last place", *trusted(wanted)),
    )


# Plans ---------------------------------------------------------------------------------------------

# What a sum of wires is: coefficients by wire, and a constant.
_Line = tuple[dict[int, Fraction], Fraction]


def read(plan: Any) -> list[list[tuple[_Line, ...]]]:
    """The operations of a plan, by level.

    Raises:
        Unknown: something in it isn't what it should be.
    """
    try:
        return [[tuple(_line(part) for part in operation) for operation in level] for level in plan.levels]
    except (AttributeError, OverflowError, TypeError, ValueError):
        raise Unknown("its plan can't be read") from None


def _line(part: Any) -> _Line:
    terms: dict[int, Fraction] = {}
    for wire, coefficient in part.terms:
        terms[int(wire)] = terms.get(int(wire), Fraction(0)) + Fraction(float(coefficient))
    return {wire: value for wire, value in terms.items() if value}, Fraction(float(part.constant))


def meant(gate: Gate, operation: tuple[_Line, ...], budget: Budget) -> Poly:
    """What a gate is meant to be, of variables numbered as its wires.

    Where its units all see multiples of one sum `r w`, that of the stored weights is taken: a copy is
    `k r w + c`, a square `(k r w + c)^2`. So it doesn't matter how the weights of a sum were rounded.

    Raises:
        Unknown: the plan is about other wires.
    """
    places = {wire: place for place, wire in enumerate(gate.wires)}
    if not 1 <= len(operation) <= 2 or any(wire not in places for terms, _ in operation for wire in terms):
        raise Unknown("its plan is about other wires than its weights")
    lines = [({places[wire]: value for wire, value in terms.items()}, shift) for terms, shift in operation]
    direction = along(gate)
    if direction is not None and len(lines[0][0]) > 1 and all(line == lines[0] for line in lines):
        lines = [(_scaled(direction[0], lines[0][0]), lines[0][1])] * len(lines)
    product: Poly = {(): Fraction(1)}
    for terms, shift in lines:
        factor: dict[Key, Fraction] = {((place, 1),): value for place, value in terms.items()}
        add(factor, {(): Fraction(1)}, shift)
        product = factor if product == {(): 1} else multiply(product, factor, budget)
    return product


def _scaled(row: np.ndarray, terms: dict[int, Fraction]) -> dict[int, Fraction]:
    """The multiple of a row that is next to some coefficients: the sums of their moduli agree."""
    exact = {place: Fraction(value) for place, value in enumerate(row.tolist()) if value}
    total = sum((abs(value) for value in exact.values()), Fraction(0))
    first = next((place for place in terms if place in exact), None)
    if first is None:
        raise Unknown("its plan is about other wires than its weights")
    size = sum((abs(value) for value in terms.values()), Fraction(0))
    # Few digits, so that arithmetic stays fast; the difference shows in the outputs.
    share = Fraction(float(size / total)) * (1 if (exact[first] > 0) == (terms[first] > 0) else -1)
    return {place: share * value for place, value in exact.items()}


def along(gate: Gate) -> tuple[np.ndarray, np.ndarray] | None:
    """A row `r`, and numbers `s` such that the rows of a gate's weights are exactly `s_k r`; `None` if there are none.

    Only 0 and powers of two count: with these, products in double precision are exact.
    """
    sizes = np.abs(gate.weights).sum(axis=1)
    if not sizes.any():
        return None
    row = gate.weights[int(np.argmax(sizes > 0))]
    place = int(np.argmax(np.abs(row)))
    shares = gate.weights[:, place] / row[place]
    is_power = (shares == 0) | (np.frexp(np.abs(shares))[0] == 0.5)
    found = shares[:, None] * row
    # Products below the normal numbers may be rounded.
    normal = (np.abs(gate.weights) >= _LEAST) | ((gate.weights == 0) & ((shares[:, None] == 0) | (row == 0)))
    return (row, shares) if is_power.all() and normal.all() and np.array_equal(found, gate.weights) else None


# Gates ---------------------------------------------------------------------------------------------


class Prover:
    """Bounds of what gates err by, once for all that are alike."""

    def __init__(self, dtype: Any, budget: Budget):
        self.budget, self.dtype, self.form = budget, dtype, Format.of(dtype)
        self.known: dict[tuple, GateBound] = {}

    def __call__(self, gate: Gate, poly: Poly, reach: tuple[Fraction, ...]) -> Fraction:
        if is_power(gate):
            return rounding(gate, reach, self.dtype)
        sizes = np.maximum(short(np.array([float(value) for value in reach]), _DIGITS), self.form.tiny)
        key = (*gate.key, tuple(sorted(poly.items())), sizes.tobytes())
        if key not in self.known:
            self.known[key] = self._prove(gate, poly, sizes)
        found = self.known[key]
        total = Fraction(found.real) + Fraction(found.rounding)
        if total > size(poly, [Fraction(value) for value in sizes.tolist()]):
            raise Unknown("the error of a gate is as large as what it makes")
        return total

    def evidence(self, climbs: Sequence[Climb], off: Fraction) -> Gates:
        """What was proved so far."""
        wires = sum(len(climb.gates) for climb in climbs)
        parts = ([getattr(found, name) for found in self.known.values()] for name in ("real", "rounding"))
        real, rounded = (max(part, default=0.0) for part in parts)
        return Gates(wires, len(self.known), real, rounded, float(up(off)))

    def _prove(self, gate: Gate, poly: Poly, sizes: np.ndarray) -> GateBound:
        rounded = self._rounding(gate, sizes)
        direction = along(gate) if len(sizes) > 1 else None
        line = None if direction is None else on_line(poly, direction[0], self.budget)
        weights, target = gate.weights, line
        if direction is not None and line is not None:
            # All units see multiples of one number, whose bound is the sum of these.
            pairs = zip(direction[0].tolist(), sizes.tolist(), strict=True)
            weights = direction[1][:, None]
            sizes = np.array([float(up(sum((abs(Fraction(r)) * Fraction(b) for r, b in pairs), Fraction(0))))])
        elif len(sizes) > _MOST_WIRES:
            raise Unknown(f"gates of {len(sizes)} wires are too many at once")
        else:
            target = {_dense(key, len(sizes)): value for key, value in poly.items()}
        biases, readout = fractions(gate.biases), fractions(gate.readout)
        units = Units(gate.activations, weights, biases, readout, Fraction(gate.constant))
        return _real(units, target or {}, sizes, rounded)

    def _rounding(self, gate: Gate, sizes: np.ndarray) -> float:
        cell = Cell(np.zeros(len(sizes)), sizes)
        sums = pre_activations(gate.weights, gate.biases, cell, self.form, False)
        found = summed(gate.readout, gate.constant, activated(gate.activations, sums, self.form), self.form)[2]
        if not np.isfinite(found):
            raise Unknown("numbers may come up that are beyond the range of the dtype, or sums too long for it")
        return found


def _real(units: Units, target: dict[tuple[int, ...], Fraction], sizes: np.ndarray, rounded: float) -> GateBound:
    """A gate's error over the reals beside its rounding; large ones are bounded roughly, but quickly."""
    terms = expand(units, target, sizes, _SHARE * rounded)
    corners = np.array(list(itertools.product((1.0, 0.5), (1.0, -1.0), repeat=len(sizes))))
    places = corners[:, ::2] * corners[:, 1::2]
    powers = np.prod(places[:, None, :] ** terms.exponents, axis=2)
    reached = float(np.abs(powers @ terms.coefficients).max(initial=0.0))
    peak = largest_modulus(terms.exponents, terms.coefficients, max(_SHARE * rounded, reached / 64))
    real = (peak.bound + terms.rest) * (1 + 2.0**-52)
    return GateBound(real, rounded, tuple(terms.slopes.tolist()), terms.order, peak.cells)


def on_line(poly: Poly, row: np.ndarray, budget: Budget) -> dict[tuple[int, ...], Fraction] | None:
    """A polynomial of degree 2 as one of `t = r w`, by exponents; `None` if it isn't one."""
    terms = tuple((place, Fraction(value)) for place, value in enumerate(row.tolist()) if value)
    place, first = terms[0]
    slope, square = (poly.get(((place, n),), Fraction(0)) / first**n for n in (1, 2))
    again = dict(powers_of_sums([(terms, Fraction(0), 1, slope), (terms, Fraction(0), 2, square)], budget))
    add(again, {(): Fraction(1)}, poly.get((), Fraction(0)))
    found = {(0,): poly.get((), Fraction(0)), (1,): slope, (2,): square}
    return {key: value for key, value in found.items() if value} if again == poly else None


def _dense(key: Key, count: int) -> tuple[int, ...]:
    powers = dict(key)
    return tuple(powers.get(place, 0) for place in range(count))


METHOD = Method(
    name="circuit",
    where="circuits of smooth gates along the plan of their builder, for polynomials and classifiers",
    does="each distinct gate is proved from its weights, errors go up the circuit, meanings are compared in rationals",
    verdicts=("proved",),
    applies=_applies,
    run=_run,
)
