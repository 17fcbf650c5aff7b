"""Whether two networks compute the same function of real numbers, with the weights that are stored."""

import dataclasses
import time
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import jax
import numpy as np

from .._arithmetic.exactness import exact_digits
from .._arithmetic.integers import products
from .._arithmetic.running import Enclosure, enclose
from .._arithmetic.trust import is_known
from .._checks import check_available
from ..activations import Identity, Power, Square
from ..construction import Construction
from ..construction.encoding import digest
from ..domains import AbstractDomain
from ..network import Network
from ..rewrite import merge_affine
from ..rewrite._simplify import is_same_form, normal_form
from . import certify
from .points.pointwise import RATIONAL, SMOOTH, points_of, runner, why_not_real
from .polynomials.identity import polynomials_of
from .polynomials.monomials import Unknown

_MOST_INPUTS, _SAMPLES = 2**20, 256
# Normal forms of networks of so many weights take a few seconds.
_MOST_WEIGHTS = 2**15


@dataclasses.dataclass(frozen=True)
class Equivalence:
    """Whether two networks compute the same function on a domain.

    Attributes:
        verdict: `"equal"`: proved, for the functions of real numbers that the stored weights define;
            `"different"`: proved, by `witness`; `"undecided"`: neither was found.
        method: what decided; `""` if nothing did.
        domain: as text.
        witness: an input at which they differ, or `None`.
        values: what both give there (the middle of what encloses it), or `None`.
        digests: of both networks.
        reasons: why methods decided nothing, as pairs of name and reason.
        seconds: how long it took.
    """

    verdict: str
    method: str
    domain: str
    digests: tuple[str, str]
    witness: tuple[float, ...] | None = None
    values: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    reasons: tuple[tuple[str, str], ...] = ()
    seconds: float = 0.0

    def __str__(self) -> str:
        if self.verdict == "undecided":
            return "undecided: " + "; ".join(f"{name}: {reason}" for name, reason in self.reasons)
        text = f"{self.verdict} on {self.domain} ({self.method})"
        return text if self.witness is None else f"{text}: at {self.witness} they give {self.values}"


class _Undecided(Exception):
    """Why a way decides nothing."""


Way = Callable[[Network, Network, AbstractDomain], dict[str, Any]]


def equivalent(
    a: Network | Construction, b: Network | Construction, domain: AbstractDomain | None = None
) -> Equivalence:
    """Whether two networks compute the same function of real numbers on a domain, with the weights that are stored.

    What they round when they run isn't asked. In this order: equal weights; every point of a finite domain,
    exactly; polynomials multiplied out in rationals; normal forms, as `dc.rewrite.simplify` makes them on the
    domain's box, in rationals: equal ones are the same function there, of others nothing follows; the claims of two
    constructions, if both are proved to be exactly the same target; and points of the domain, which may show a
    difference.

    Args:
        a: a network or a construction.
        b: another one.
        domain: where; by default that of the claims, if they agree.

    Returns:
        An `Equivalence`: proved equal, proved different with an input, or undecided.

    Raises:
        ValueError: other sizes, or no domain where the claims give none or two.
        TypeError: neither networks nor constructions.

    Example:
        >>> import deepconstruct as dc
        >>> print(dc.equivalent(dc.parity(8), dc.parity(8, activation="step")))
        equal on Bits(n=8) (pointwise)
        >>> dc.equivalent(dc.multiplication_gate(activation="square"), dc.product_tree(2, activation="square")).verdict
        'equal'
    """
    began = time.perf_counter()
    nets = _network(a), _network(b)
    domain = _domain(a, b, domain)
    for net in nets:
        check_available("equivalent", net.dtype)
        if net.in_size != domain.size or net.out_size != nets[0].out_size:
            raise ValueError(
                f"equivalent: expected two networks from {domain.size} to {nets[0].out_size} numbers; "
                f"got one from {net.in_size} to {net.out_size}"
            )
    digests = digest(nets[0]), digest(nets[1])
    ways: dict[str, Way] = {
        "weights": _alike,
        "pointwise": _pointwise,
        "identity": _identity,
        "normal forms": _normal_forms,
        "claims": _claims(a, b),
        "points": _points,
    }
    reasons: list[tuple[str, str]] = []
    for name, way in ways.items():
        try:
            found = way(*nets, domain)
        except (_Undecided, Unknown, TypeError, ValueError) as reason:
            reasons.append((name, str(reason)))
            continue
        return Equivalence(
            method=name, domain=repr(domain), digests=digests, seconds=time.perf_counter() - began, **found
        )
    return Equivalence(
        "undecided", "", repr(domain), digests, reasons=tuple(reasons), seconds=time.perf_counter() - began
    )


def _network(given: Any) -> Network:
    if not isinstance(given, Network | Construction):
        raise TypeError(f"equivalent: expected networks or constructions; got {type(given).__name__}")
    return given if isinstance(given, Network) else given.network


def _domain(a: Any, b: Any, domain: AbstractDomain | None) -> AbstractDomain:
    claimed = {given.claim.domain for given in (a, b) if isinstance(given, Construction)}
    if domain is not None or len(claimed) != 1:
        if not isinstance(domain, AbstractDomain):
            raise ValueError(f"equivalent: expected a domain, as the claims give {len(claimed)}; got {domain!r}")
        return domain
    return claimed.pop()


def _alike(a: Network, b: Network, domain: AbstractDomain) -> dict[str, Any]:
    if not (is_known(a, (*RATIONAL, *SMOOTH)) and digest(a) == digest(b)):
        raise _Undecided("the weights or the structures differ")
    return {"verdict": "equal"}


def _pointwise(a: Network, b: Network, domain: AbstractDomain) -> dict[str, Any]:
    """All points of a finite domain: equal numbers, or intervals that don't meet."""
    count = domain.cardinality
    if count is None or count > _MOST_INPUTS:
        raise _Undecided(f"{domain} has {'infinitely many' if count is None else f'{count:,}'} points")
    _check_real(a, b, domain)
    runs = [runner(net, domain, exact_digits(net, domain)) for net in (a, b)]
    for x in points_of(domain, a, b):
        first, second = (run(x) for run in runs)
        found = _difference(x, first, second)
        if found is not None:
            return found
        if not all(np.array_equal(end, first.low) for end in (first.high, second.low, second.high)):
            raise _Undecided("values are known as intervals only, which meet")
    return {"verdict": "equal"}


def _check_real(a: Network, b: Network, domain: AbstractDomain) -> None:
    """Leave what isn't about real functions that are known."""
    if domain.is_complex:
        raise _Undecided(f"{domain} holds complex vectors")
    for net in (a, b):
        reason = why_not_real(net)
        if reason is not None:
            raise _Undecided(reason)


def _difference(x: np.ndarray, first: Enclosure, second: Enclosure) -> dict[str, Any] | None:
    """An input at which the values can't be the same."""
    with np.errstate(invalid="ignore"):
        apart = (first.low > second.high) | (second.low > first.high)
    rows = np.flatnonzero(apart.any(axis=1))
    if not len(rows):
        return None
    row = rows[0]
    values = tuple(tuple(((held.low[row] + held.high[row]) / 2).tolist()) for held in (first, second))
    return {"verdict": "different", "witness": tuple(x[row].tolist()), "values": values}


def _identity(a: Network, b: Network, domain: AbstractDomain) -> dict[str, Any]:
    """Polynomials with the same coefficients; with others they may agree on the domain all the same."""
    _check_real(a, b, domain)
    for net in (a, b):
        if not is_known(net, (Identity, Square, Power)):
            raise _Undecided("it takes networks of squares, powers and identities")
    low, high = domain.box()
    bounds = [Fraction(min(float(bound), 2.0**500)) for bound in np.maximum(-low, high)]
    first, second = (polynomials_of(net, bounds) for net in (a, b))
    if first != second:
        raise _Undecided("the polynomials have other coefficients")
    return {"verdict": "equal"}


def _normal_forms(a: Network, b: Network, domain: AbstractDomain) -> dict[str, Any]:
    """Normal forms that are equal: each is the same function of real numbers on the domain's box as its network."""
    _check_real(a, b, domain)
    for net in (a, b):
        if products(net) > _MOST_WEIGHTS:
            raise _Undecided(f"one of the networks has more than {_MOST_WEIGHTS:,} weights")
    for pair in ((a, b), tuple(merge_affine(net, linear=True) for net in (a, b))):
        first, second = (normal_form(net, domain) for net in pair)
        if first is not None and second is not None and is_same_form(first, second):
            return {"verdict": "equal"}
    raise _Undecided("the normal forms differ, or aren't known")


def _claims(first: Any, second: Any) -> Way:
    """Both are proved to compute the same target exactly on the domain."""

    def way(a: Network, b: Network, domain: AbstractDomain) -> dict[str, Any]:
        if not (isinstance(first, Construction) and isinstance(second, Construction)):
            raise _Undecided("two constructions are needed")
        if first.claim.target != second.claim.target:
            raise _Undecided("the claims are about different targets")
        for part in (first, second):
            if not (part.claim.error.is_exact and domain.issubset(part.claim.domain)):
                raise _Undecided(f"the claim of {part.name} isn't exact on {domain}")
            if certify(part).verdict != "proved":
                raise _Undecided(f"the claim of {part.name} isn't proved")
        return {"verdict": "equal"}

    return way


def _points(a: Network, b: Network, domain: AbstractDomain) -> dict[str, Any]:
    """Drawn points at which both differ."""
    _check_real(a, b, domain)
    dtype = min(a.dtype, b.dtype, key=lambda dtype: dtype.itemsize)
    draws = [draw(jax.random.key(0), (_SAMPLES,), dtype=dtype) for draw in (domain.sample, domain.probe)]
    x = np.concatenate(draws)
    x = x[domain.contains(x)].astype(np.float64)
    found = _difference(x, enclose(a, x, x), enclose(b, x, x)) if len(x) else None
    if found is None:
        raise _Undecided("no point that was drawn shows a difference")
    return found
