"""Certification: which method proves a claim, or at least tests it.

A method is a file that ends with a `Method`; it is offered by standing in `METHODS`.
"""

import dataclasses
import time

from .._checks import check_available, check_choice, check_size
from ..construction import Claim, Construction
from ..network import Network
from . import boxes, circuit, composition, modules, sampling
from .certificate import Attempts, Certificate as Certificate, open_case
from .linear import basis
from .method import Method, Options
from .points import exhaustive
from .polynomials import identity
from .series import taylor

# So many inputs are tried before a search.
_PROBES = 1000

__all__ = ["METHODS", "Certificate", "certify"]

# In the order in which `method="auto"` tries them.
METHODS: tuple[Method, ...] = (
    modules.METHOD,
    exhaustive.METHOD,
    basis.METHOD,
    identity.METHOD,
    taylor.METHOD,
    circuit.METHOD,
    boxes.METHOD,
    composition.METHOD,
    sampling.METHOD,
)


def certify(
    construction: Construction | Network,
    claim: Claim | None = None,
    *,
    method: str = "auto",
    samples: int = 10_000,
) -> Certificate:
    """Check a claim about points of its domain, by proof where one is found.

    Args:
        construction: what to check; or a network of your own, of which a claim is then given.
        claim: about a network. A construction has its own.
        method: `"auto"` takes the first of these that applies and decides; {methods}.
        samples: how many random inputs for `"sampling"`.

    Returns:
        A `Certificate`, with the verdict `"proved"`, `"enumerated"`, `"tested"`, `"undecided"` or
        `"refuted"`.

    Raises:
        ValueError: a method that doesn't apply, a claim that doesn't fit the network, or 64 bits without x64.
        TypeError: neither a construction nor a network with a claim.

    Example:
        >>> import deepconstruct as dc
        >>> print(dc.certify(dc.parity(10)))
        proved (modules): error 0
        >>> largest = dc.Network.from_matrices([[[1, -1], [0, 1], [0, -1]], [[1, 1, -1]]], [None, None], "relu")
        >>> bits = dc.domains.Bits(2)
        >>> either = dc.Claim(dc.targets.BooleanFunction([0, 1, 1, 1]), bits, dc.domains.Bits(1))
        >>> dc.certify(largest, either).verdict
        'proved'
    """
    construction = _stated(construction, claim)
    check_choice("certify", "method", method, ("auto", *(known.name for known in METHODS)))
    options = Options(check_size("certify", "samples", samples), METHODS)
    check_available("certify", construction.claim.dtype)
    began = time.perf_counter()
    found = _decided(construction, method, options)
    return dataclasses.replace(found, seconds=time.perf_counter() - began)


def _stated(construction: Construction | Network, claim: Claim | None) -> Construction:
    if isinstance(construction, Construction) and claim is None:
        return construction
    if isinstance(construction, Network) and isinstance(claim, Claim):
        return Construction(construction, claim)
    if isinstance(construction, Network):
        raise TypeError(
            "certify: expected a Construction; got Network. A bare network has no claim: "
            f"give one with dc.certify(network, claim){'' if claim is None else f'; got {claim!r}'}"
        )
    if isinstance(construction, Construction):
        raise TypeError("certify: a Construction has a claim of its own; give construction.network with another")
    raise TypeError(f"certify: expected a Construction, or a Network and a Claim; got {type(construction).__name__}")


def _decided(construction: Construction, name: str, options: Options) -> Certificate:
    """What the method says; or the first that proves or refutes, else what was enumerated or tested."""
    if name != "auto":
        (method,) = (method for method in METHODS if method.name == name)
        reason = method.applies(construction)
        if reason is not None:
            raise ValueError(f"certify: {reason}")
        return method.run(construction, options)
    reasons: list[tuple[str, str]] = []
    enumerated: Certificate | None = None
    for method in METHODS:
        if enumerated is not None and "proved" not in method.verdicts:
            break  # all inputs were run: samples say nothing more
        reason = method.applies(construction) or method.leaves(construction)
        if reason is not None:
            reasons.append((method.name, reason))
            continue
        # A false claim is sooner refuted by a few inputs than by a search that can't succeed.
        found = (_probed(construction) if method.searches else None) or method.run(construction, options)
        if found.verdict == "enumerated":
            enumerated = found
        elif found.verdict != "undecided":
            return found
        else:
            assert isinstance(found.evidence, Attempts)
            reasons += found.evidence.reasons
    return enumerated or open_case(construction, "", tuple(reasons))


def _probed(construction: Construction) -> Certificate | None:
    """A refutation by one of a few inputs, if there is one."""
    if sampling.METHOD.applies(construction) is not None:
        return None
    found = sampling.METHOD.run(construction, Options(samples=_PROBES))
    return found if found.verdict == "refuted" else None


certify.__doc__ = (certify.__doc__ or "").replace(
    "{methods}", "; ".join(f'`"{method.name}"`, for {method.where}: {method.does}' for method in METHODS)
)
