"""Certification: which method proves a claim, or at least tests it.

A method is a file that ends with a `Method`; it is offered by standing in `METHODS`.
"""

import dataclasses
import time

from .._checks import check_available, check_choice, check_size
from ..construction import Construction
from . import basis, boxes, exhaustive, sampling
from .certificate import Attempts, Certificate as Certificate, open_case
from .method import Method, Options

__all__ = ["METHODS", "Certificate", "certify"]

# In the order in which `method="auto"` tries them.
METHODS: tuple[Method, ...] = (exhaustive.METHOD, basis.METHOD, boxes.METHOD, sampling.METHOD)


def certify(construction: Construction, *, method: str = "auto", samples: int = 10_000) -> Certificate:
    """Check a construction's claim about points of its domain, by proof where one is known.

    Args:
        construction: what to check.
        method: `"auto"` takes the first of these that applies and decides; {methods}.
        samples: how many random inputs for `"sampling"`.

    Returns:
        A `Certificate`, with the verdict `"proved"`, `"enumerated"`, `"tested"`, `"undecided"` or
        `"refuted"`.

    Raises:
        ValueError: a method that doesn't apply, or a 64-bit construction without x64.
        TypeError: not a construction.

    Example:
        >>> import deepconstruct as dc
        >>> print(dc.certify(dc.parity(10)))
        proved (exhaustive, 1,024 inputs): error 0
    """
    if not isinstance(construction, Construction):
        raise TypeError(
            f"certify: expected a Construction; got {type(construction).__name__}. "
            "A bare network has no claim: attach one with dc.claim(network, claim)"
        )
    check_choice("certify", "method", method, ("auto", *(known.name for known in METHODS)))
    options = Options(samples=check_size("certify", "samples", samples))
    check_available("certify", construction.claim.dtype)
    began = time.perf_counter()
    found = _decided(construction, method, options)
    return dataclasses.replace(found, seconds=time.perf_counter() - began)


def _decided(construction: Construction, name: str, options: Options) -> Certificate:
    """What the method says, or the first that decides."""
    reasons: list[tuple[str, str]] = []
    for method in METHODS:
        if name not in ("auto", method.name):
            continue
        reason = method.applies(construction)
        if reason is None:
            found = method.run(construction, options)
            if found.verdict != "undecided" or name != "auto":
                return found
            assert isinstance(found.evidence, Attempts)
            reasons += found.evidence.reasons
        elif name != "auto":
            raise ValueError(f"certify: {reason}")
        else:
            reasons.append((method.name, reason))
    return open_case(construction, "", tuple(reasons))


certify.__doc__ = (certify.__doc__ or "").replace(
    "{methods}", "; ".join(f'`"{method.name}"`, for {method.where}: {method.does}' for method in METHODS)
)
