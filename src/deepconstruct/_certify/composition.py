"""Proof for series, sums, fan-outs and repetitions of parts that are proved themselves.

The parts are those that the origin names; they are certified from their own weights, and joined anew. The result must
be the network that is asked about, bit by bit, and the claim that follows from the parts' claims must not say less
than what is asked. For `g` behind `f`, with `e` the error of `f` and `r, G, d` radius, gain and rounding of `g`,

    |fl(g)(fl(f)(x)) - g(f(x))| <= error_g + G e + (d if e > 0),     if f(x) is in the domain of g and e <= r,

so that where `e > 0` the proof of `g` must be about moved inputs too. Parts beside each other keep their errors.
It trusts the algebra of compositions: the rules for claims, and for what merged joints round.
"""

import dataclasses
import math
from collections.abc import Iterator, Sequence

import numpy as np

from .._arithmetic.products import multiplies_exactly
from .._arithmetic.trust import is_known
from .._compose import fan_out, parallel, repeat
from .._compose.repeat import merged_copies
from .._compose.series import joined_in_turn
from ..activations.names import OWN
from ..construction import Claim, Construction, spread
from ..construction.encoding import CLASSES, digest
from ..construction.origin import FanOut, Parallel, Repeated, Series
from ..domains import AbstractDomain, Product
from ..network import Layer, Network, Repeat, flat_layers, repetition
from . import sampling
from .certificate import Certificate, Evidence, proved, undecided
from .joints import count_layers, may_pair, pairs, stays_inside
from .linear.matrices import is_known_target
from .method import Method, Options

_DEEPEST = 16
_MOST_PARTS = 256
# So many inputs of a part are tried before a search for its proof.
_PROBES = 1000
_LIBRARY = frozenset(CLASSES.values())
_ALGEBRA = "the algebra of compositions: what follows for errors, gains and radii, and what merged joints round"

_Made = Series | Parallel | FanOut | Repeated
_RULES: dict[type, str] = {Series: "series", Parallel: "parallel", FanOut: "fan_out", Repeated: "repeat"}


@dataclasses.dataclass(frozen=True)
class Composed(Evidence):
    """How a claim follows from those of parts.

    Attributes:
        rule: `"series"`, `"parallel"`, `"fan_out"` or `"repeat"`.
        parts: name, verdict, method and digest of the network of every part.
    """

    rule: str
    parts: tuple[tuple[str, str, str, str], ...]


class _Open(Exception):
    """Why a composition isn't proved."""


@dataclasses.dataclass(eq=False)
class _Parts:
    """Proofs of parts so far, by the digests of network and claim; and how deep the present part lies."""

    options: Options
    proved: dict[tuple[str, str], Certificate]
    seen: int = 0
    depth: int = 0


def _applies(construction: Construction) -> str | None:
    if type(construction.origin) not in _RULES:
        return f"it is about compositions that this library made; the origin is {construction.origin}"
    if not is_known(construction.network, OWN):
        return "it needs a network of this library's own maps and activations"
    return None


def _run(construction: Construction, options: Options) -> Certificate:
    try:
        return _proved(construction, _Parts(options, {}))
    except _Open as reason:
        return undecided(construction, METHOD.name, str(reason))


def _proved(construction: Construction, state: _Parts) -> Certificate:
    origin, claim = construction.origin, construction.claim
    assert isinstance(origin, _Made)
    made = _rebuilt(construction, origin)
    _check_claim(claim, made.claim)
    parts = _parts_of(origin)
    found = [_certified(part, state) for part in parts]
    for joint in made.joints:
        _check_joint(joint, parts[joint.inner].claim, parts[joint.outer].claim, found[joint.outer])
    _check_stages(construction.network, origin, made, found)
    moved = claim.robustness.radius == 0 or all("robustness" in part.covers for part in found)
    records = dict.fromkeys((part.name, part.verdict, part.method, part.digest) for part in found)
    trusts = dict.fromkeys(_of_parts(text) for part in found for text in part.trusts)
    return proved(
        construction,
        METHOD.name,
        moved=moved,
        found=made.claim.error,
        evidence=Composed(_RULES[type(origin)], tuple(records)),
        trusts=(*trusts, *([] if _ALGEBRA in trusts else [_ALGEBRA])),
    )


def _of_parts(text: str) -> str:
    return f"of every part: {text}" if text.startswith("normal inputs") else text


# Rebuilding ----------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, eq=False)
class _Joint:
    """Where a part meets those before it.

    Attributes:
        inner, outer: the last part before, and the part behind.
        before: what all before claim together.
        starts: where the layers of the part behind begin.
        is_right: whether a merged joint has the weights of both layers, or what they were rounded by is claimed.
    """

    inner: int
    outer: int
    before: Claim
    starts: int
    is_right: bool


@dataclasses.dataclass(frozen=True, eq=False)
class _Rebuilt:
    """The parts joined anew, what they claim together, and where they meet one after another."""

    network: Network
    claim: Claim
    joints: Sequence[_Joint]


def _parts_of(origin: _Made) -> Sequence[Construction]:
    """The parts, each once where it is repeated."""
    return (origin.part,) if isinstance(origin, Repeated) else origin.parts


def _rebuilt(construction: Construction, origin: _Made) -> _Rebuilt:
    """The parts joined anew: bit by bit the network that is there."""
    _check_sizes(origin, construction.network)
    try:
        made = _joined(origin)
    except (TypeError, ValueError, ArithmeticError) as reason:
        raise _Open(f"its parts don't fit together: {reason}") from None
    if digest(made.network) != digest(construction.network):
        raise _Open(f"{origin} gives other weights, or other layers, than those that are there")
    return made


def _joined(origin: _Made) -> _Rebuilt:
    if isinstance(origin, Series):
        return _in_series(origin)
    if isinstance(origin, Repeated):
        return _repeated(origin)
    made = (parallel if isinstance(origin, Parallel) else fan_out)(*origin.parts)
    return _Rebuilt(made.network, made.claim, ())


def _in_series(origin: Series) -> _Rebuilt:
    turns, joints = list(joined_in_turn(origin.parts, origin.merge)), []
    for index in range(1, len(turns)):
        (before, claim, _), (after, _, joint), part = turns[index - 1], turns[index], origin.parts[index].network
        starts = count_layers(after) - count_layers(part)
        right = joint is None or not joint.exact
        if not right:
            readout, behind, merged = before.layers[-1], part.layers[0], after.layers[len(before.layers) - 1]
            right = multiplies_exactly(readout, behind, merged)
        joints.append(_Joint(index - 1, index, claim, starts, right))
    return _Rebuilt(*turns[-1][:2], joints)


def _repeated(origin: Repeated) -> _Rebuilt:
    part, times = origin.part, origin.times
    made = repeat(part, times, merge=origin.merge)
    merged = merged_copies(part, times) if origin.merge else None
    layers = flat_layers(part.network)
    step, right = len(layers), True
    if merged is not None:
        step, right = step - 1, not merged[2].exact
        right = right or multiplies_exactly(layers[-1], layers[0], _first_joint(merged[0]))
    joints = [_Joint(0, 0, made.claim, step * index, right) for index in range(1, times)]
    return _Rebuilt(made.network, made.claim, joints)


def _first_joint(network: Network) -> Layer:
    """The first layer of the repeated block, which begins with the joint; all copies are alike."""
    (block,) = (part for part in network.layers if isinstance(part, Repeat))
    return repetition(block.layers, 0)[0]


def _check_sizes(origin: _Made, network: Network) -> None:
    """Refuse parts that make another number of layers, before anything is made of them."""
    parts, layers = _parts_of(origin), count_layers(network)
    if len(parts) > _MOST_PARTS:
        raise _Open(f"it takes up to {_MOST_PARTS} parts; got {len(parts)}")
    for part in parts:
        if type(part) is not Construction or not is_known(part.network, OWN):
            raise _Open("some part isn't made of this library's own maps and activations")
        if not (_is_library(part.claim.domain) and _is_library(part.claim.codomain)):
            raise _Open(f"{part.claim.domain} or {part.claim.codomain} isn't one of this library's own domains")
    counts = [count_layers(part.network) for part in parts]
    if isinstance(origin, Repeated):
        counts *= min(origin.times, layers + 2)
    most = sum(counts) if isinstance(origin, Series | Repeated) else max(counts)
    joints = len(counts) - 1 if isinstance(origin, Series | Repeated) else 0
    if not most - joints <= layers <= most:
        raise _Open(f"{origin} has another number of layers than the {layers} that are there")


# The claim -----------------------------------------------------------------------------------------


def _check_claim(claim: Claim, follows: Claim) -> None:
    """Refuse a claim that isn't about the same function, or says more than what follows."""
    same = dataclasses.replace(
        follows, error=claim.error, robustness=claim.robustness, source=claim.source, status=claim.status
    )
    if digest(same) != digest(claim):
        raise _Open("its parts compute another target, or on another domain")
    outputs, asked, known = claim.codomain.size, claim.robustness, follows.robustness
    error = np.all(spread(claim.error.absolute, outputs) >= spread(follows.error.absolute, outputs))
    if not error or claim.error.relative < follows.error.relative:
        raise _Open(f"from its parts follows an error of {follows.error}, above the claim")
    gain = np.all(spread(asked.gain, outputs) >= spread(known.gain, outputs))
    if asked.radius and not (asked.radius <= known.radius and gain and asked.rounding >= known.rounding):
        raise _Open(f"of moved inputs follows from its parts: {known}; the claim says more")


# The parts -----------------------------------------------------------------------------------------


def _certified(part: Construction, state: _Parts) -> Certificate:
    """The proof of a part, each found once."""
    key = digest(part.network), digest(part.claim)
    if key in state.proved:
        return state.proved[key]
    if state.seen >= _MOST_PARTS or state.depth >= _DEEPEST:
        raise _Open(f"there are more than {_MOST_PARTS} parts of parts, or some are nested more than {_DEEPEST} deep")
    state.seen, state.depth = state.seen + 1, state.depth + 1
    best, reasons = None, []
    for found in _attempts(part, state):
        if found.verdict == "proved" and (best is None or "robustness" in found.covers):
            best = found
        if found.verdict == "refuted" or (best is not None and "robustness" in best.covers):
            break
        reasons.append(str(found))
    if best is None:
        raise _Open(f"{part.name}, a part, isn't proved: {'; '.join(reasons) or 'no method applies'}")
    state.depth -= 1
    state.proved[key] = best
    return best


def _attempts(part: Construction, state: _Parts) -> Iterator[Certificate]:
    """What each method says of a part; inputs are tried before searches, which end with the first proof."""
    tried, proved = sampling.METHOD.applies(part) is not None, False
    for method in state.options.methods:
        if method.name == sampling.METHOD.name or method.applies(part) is not None or (proved and method.searches):
            continue
        if method.searches and not tried:
            tried, probed = True, sampling.METHOD.run(part, Options(_PROBES))
            if probed.verdict == "refuted":
                yield probed
        found = _nested(part, state, proved) if method.name == METHOD.name else method.run(part, state.options)
        proved = proved or found.verdict == "proved"
        yield found


def _nested(part: Construction, state: _Parts, proved: bool) -> Certificate:
    """A composition as a part; that it isn't proved so matters if nothing else proves it."""
    depth = state.depth
    try:
        return _proved(part, state)
    except _Open as reason:
        if not proved:
            raise
        state.depth = depth
        return undecided(part, METHOD.name, str(reason))


# Joints --------------------------------------------------------------------------------------------


def _check_joint(joint: _Joint, inner: Claim, outer: Claim, found: Certificate) -> None:
    """Refuse a joint at which the proofs of the parts don't meet."""
    relative = joint.before.error.relative
    if not stays_inside(inner, inner.codomain if relative else outer.domain):
        raise _Open(f"values of {inner.target.name} aren't shown to lie in {outer.domain} to the last digit")
    if not joint.before.error.is_exact and not _takes_moved(joint.before, outer, found):
        raise _Open(f"{joint.before.target.name} errs, and {outer.target.name} isn't proved for moved inputs")
    if not joint.is_right:
        raise _Open("weights of a merged joint were rounded when it was made")


def _takes_moved(inner: Claim, outer: Claim, found: Certificate) -> bool:
    """Whether the proof of a part is about what enters it."""
    carries = bool(inner.error.relative) and outer.target.is_linear and math.isinf(outer.robustness.radius)
    if carries and not (outer.domain.is_space and is_known_target(outer.target)):
        return False  # how much relative errors grow isn't known
    # Vectors that are off relative to themselves lie in the space that the proof is about.
    return "robustness" in found.covers or (carries and not inner.error.largest)


def _is_library(domain: AbstractDomain) -> bool:
    if type(domain) is Product:
        return all(map(_is_library, domain.domains))
    return type(domain) in _LIBRARY


def _check_stages(network: Network, origin: _Made, made: _Rebuilt, found: Sequence[Certificate]) -> None:
    """Refuse layers that are run in pairs otherwise than in the parts, whose proofs are about how they are run.

    The basis proof is about both ways of each pair.
    """
    parts = _parts_of(origin)
    if not any(may_pair(part.network) for part in parts):
        return
    own, whole = [pairs(part.network) for part in parts], pairs(network)
    starts = [(0, 0), *((joint.outer, joint.starts) for joint in made.joints)]
    known = {start + index for part, start in starts for index in own[part]}
    in_turn = isinstance(origin, Series | Repeated)
    either = all(not pair or part.method == "basis" for pair, part in zip(own, found, strict=True))
    if not (whole == known and in_turn) and not (whole <= known and either):
        raise _Open("layers are run in other pairs than in its parts")


METHOD = Method(
    name="composition",
    where="series, parallel, fan_out and repeat of constructions that are proved",
    does="the parts are certified and joined anew, which must give the same weights, and the claim is derived again",
    verdicts=("proved",),
    applies=_applies,
    run=_run,
)
