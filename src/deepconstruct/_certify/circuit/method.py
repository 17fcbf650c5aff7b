"""Proof for circuits of smooth gates: one hidden layer a level, whose wires are sums, squares and products.

The plan of the builder says what polynomial `G_i` of the wires below each wire is meant to be; where there is none,
that of degree 2 is taken which is next to its gate. That the gate is one is proved from the stored weights
(`circuit_gates`), for all floats that the wires below can hold, with their errors. Then errors go up (`wires`), and
what the outputs mean is compared with the target in rationals:

    |fl(N)(x) - p(x)| <= e_out + sum_a |c_a| B^a,   e_i = gate error + sum_a |g_a| ((B + e)^a - B^a),

where `c_a` are the coefficients of the difference. For a product that is `e_gate + B_1 e_2 + B_2 e_1 + e_1 e_2`.
A plan that isn't the network's own makes gates fail, or the outputs differ from the target: it proves nothing.
"""

import dataclasses
from collections.abc import Sequence
from fractions import Fraction

from ..._arithmetic.trust import is_known
from ..._flint import NEEDS_FLINT, flint_text, has_flint
from ...activations import Softmax
from ...construction import Built, Construction
from ...construction.plans import Circuit
from ..certificate import Certificate, Evidence, proved, undecided
from ..method import Method, Options
from ..polynomials.asked import asked, bound_of, stands_moved, trusted, why_not, within
from ..polynomials.monomials import Budget, Poly, Unknown, up
from ..polynomials.powers import is_power, polynomial
from ..polynomials.wires import Climb, Gate, Level, errors, levels_of, meanings, too_large
from ..series.balls import POLYNOMIAL, SMOOTH
from .gates import Prover
from .plans import Operation, meant, read


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
    prover, planned = Prover(claim.dtype, budget), _planned(construction, levels)

    def meaning(gate: Gate, depth: int, place: int, bounds: tuple[Fraction, ...]) -> Poly:
        if is_power(gate):
            return polynomial(gate, budget)
        if planned is None:
            return prover.guess(gate, bounds)
        if place >= len(planned[depth]):
            raise Unknown("its plan has fewer wires")
        return meant(gate, planned[depth][place], budget)

    climbs = meanings(levels, wanted.bounds, meaning, budget)
    off = wanted.differences(climbs[-1].meanings)
    made, _ = errors(climbs, Fraction(0), prover)
    found = wanted.judged([a + b for a, b in zip(off, made, strict=True)])
    if not within(claim, found):
        return undecided(construction, METHOD.name, f"it gives {found.max():.3g}, above the claim")
    evidence = _evidence(climbs, prover, max(off))
    moved = stands_moved(wanted, climbs, off, prover)
    return proved(
        construction,
        METHOD.name,
        moved=moved,
        found=bound_of(claim, found),
        evidence=evidence,
        trusts=(flint_text(), "activations within their units in the last place", *trusted(wanted)),
    )


def _planned(construction: Construction, levels: Sequence[Level]) -> list[Sequence[Operation]] | None:
    """For every level the operations of its wires, where the plan of a circuit is known."""
    plan = construction.origin.plan if type(construction.origin) is Built else None
    if type(plan) is not Circuit:
        return None
    operations = iter(read(plan))
    return [() if level.hidden is None else next(operations, ()) for level in levels]


def _evidence(climbs: Sequence[Climb], prover: Prover, off: Fraction) -> Gates:
    wires = sum(len(climb.gates) for climb in climbs)
    parts = ([getattr(found, name) for found in prover.known.values()] for name in ("real", "rounding"))
    real, rounded = (max(part, default=0.0) for part in parts)
    return Gates(wires, len(prover.known), real, rounded, float(up(off)))


METHOD = Method(
    name="circuit",
    where="circuits of smooth gates, for polynomials and classifiers with polynomial logits",
    does="each distinct gate is proved from its weights, errors go up the circuit, meanings are compared in rationals",
    verdicts=("proved",),
    applies=_applies,
    run=_run,
)
