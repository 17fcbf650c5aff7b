"""Proof for networks of squares and powers: they are polynomials, and so are their targets.

The network is multiplied out in rationals, wire by wire, from the stored weights. On the box of the domain

    |fl(N)(x) - p(x)| <= sum_a |c_a| B^a + rounding,

where `c_a` are the coefficients of the difference between the network's polynomial and the target's, `B` are
the largest moduli of the inputs, and the rounding goes up through the wires (`wires`, `powers`). Behind a
softmax the same is shown for the logits of a classifier.

It trusts Python's integers, and that double precision adds and multiplies as IEEE 754 says.
"""

import dataclasses
from collections.abc import Sequence
from fractions import Fraction

from ..._arithmetic.trust import is_known
from ...activations import AbstractActivation, Identity, Power, Softmax, Square, groups
from ...construction import Claim, Construction
from ...network import Layer, Network, flat_layers
from ..certificate import Certificate, Evidence, proved, undecided
from ..method import Method, Options
from .asked import asked, bound_of, stands_moved, trusted, why_not, within
from .monomials import Budget, Poly, Unknown, up
from .powers import polynomial, rounding
from .wires import Climb, Error, Gate, errors, levels_of, meanings, too_large

_ACTIVATIONS = (Identity, Square, Power, Softmax)
_MOST_DEGREE = 64


@dataclasses.dataclass(frozen=True)
class Expanded(Evidence):
    """A network was multiplied out in rationals.

    Attributes:
        terms: how many monomials its outputs have.
        difference: a bound of what they are off the target's over the reals (of logits, for a classifier).
        rounding: a bound of what running adds.
    """

    terms: int
    difference: float
    rounding: float


def _applies(construction: Construction) -> str | None:
    claim, network = construction.claim, construction.network
    if not is_known(network, _ACTIVATIONS):
        return "polynomials need this library's own maps, with squares, powers and identities as activations"
    powers = [part.n for layer in flat_layers(network) for part in _parts(layer) if isinstance(part, Power)]
    if max(powers, default=1) > _MOST_DEGREE:
        return f"it takes powers up to {_MOST_DEGREE}; got {max(powers)}"
    return why_not(claim, network) or too_large(network)


def _parts(layer: Layer) -> list[AbstractActivation]:
    return [part for part, _ in groups(layer.activation, layer.out_size)]


def _run(construction: Construction, options: Options) -> Certificate:
    try:
        return _proved(construction)
    except Unknown as reason:
        return undecided(construction, METHOD.name, str(reason))


def _proved(construction: Construction) -> Certificate:
    claim, budget = construction.claim, Budget()
    wanted = asked(claim, budget)
    climbs = _climbs(construction.network, wanted.bounds, budget)
    off = wanted.differences(climbs[-1].meanings)
    rounds = _rounding(claim)
    rounded, _ = errors(climbs, Fraction(0), rounds)
    found = wanted.judged([a + b for a, b in zip(off, rounded, strict=True)])
    if not within(claim, found):
        return undecided(construction, METHOD.name, f"it gives {found.max():.3g}, above the claim")
    moved = stands_moved(wanted, climbs, off, rounds)
    return proved(
        construction,
        METHOD.name,
        moved=moved,
        found=bound_of(claim, found),
        evidence=Expanded(
            terms=sum(map(len, climbs[-1].meanings)),
            difference=float(up(max(off))),
            rounding=float(up(max(rounded))),
        ),
        trusts=trusted(wanted),
    )


def _climbs(network: Network, bounds: Sequence[Fraction], budget: Budget) -> list[Climb]:
    known: dict[tuple, Poly] = {}

    def meaning(gate: Gate, depth: int, place: int, bounds: tuple[Fraction, ...]) -> Poly:
        if gate.key not in known:
            known[gate.key] = polynomial(gate, budget)
        return known[gate.key]

    return meanings(levels_of(network), bounds, meaning, budget)


def polynomials_of(network: Network, bounds: Sequence[Fraction]) -> list[Poly]:
    """The outputs of a network of squares, powers and identities as polynomials; `bounds` are of its inputs.

    Raises:
        Unknown: it takes too much work.
    """
    return _climbs(network, bounds, Budget())[-1].meanings


def _rounding(claim: Claim) -> Error:
    """What gates round, once for all that are alike."""
    known: dict[tuple, Fraction] = {}

    def found(gate: Gate, poly: Poly, reach: tuple[Fraction, ...]) -> Fraction:
        key = (*gate.key, reach)
        if key not in known:
            known[key] = rounding(gate, reach, claim.dtype)
        return known[key]

    return found


METHOD = Method(
    name="identity",
    where="networks of squares, powers and identities, for polynomials and classifiers with polynomial logits",
    does="the stored weights are multiplied out in rationals and compared with the target, rounding is bounded",
    verdicts=("proved",),
    applies=_applies,
    run=_run,
)
