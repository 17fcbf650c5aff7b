"""Certification: which method proves a claim, or at least tests it."""

from .._checks import check_available, check_choice, check_size
from ..construction import Construction
from .basis import LARGEST as _LARGEST_BASIS, by_basis, is_linear_claim
from .certificate import Certificate as Certificate
from .exhaustive import LARGEST as _LARGEST_DOMAIN, by_enumeration
from .sampling import by_sampling

__all__ = ["Certificate", "certify"]


def certify(construction: Construction, *, method: str = "auto", samples: int = 10_000) -> Certificate:
    """Check a construction's claim about points of its domain, by proof where one is known.

    Args:
        construction: what to check.
        method: `"exhaustive"` runs every input of a finite domain of up to 2^26 vectors; `"basis"`
            bounds a linear network on all of R^n or C^n by its matrix and a-priori rounding, up to
            n = 4096; `"sampling"` only tests. `"auto"` takes the first of these that applies.
        samples: how many random inputs for `"sampling"`.

    Returns:
        A `Certificate` with the verdict `"proved"`, `"tested"` or `"refuted"`. Exhaustive proofs
        are about the compiled program on this backend.

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
    check_choice("certify", "method", method, ("auto", "exhaustive", "basis", "sampling"))
    samples = check_size("certify", "samples", samples)
    check_available("certify", construction.claim.dtype)
    if method == "auto":
        method = _best_method(construction)
    if method == "exhaustive":
        return by_enumeration(construction)
    return by_basis(construction) if method == "basis" else by_sampling(construction, samples)


def _best_method(construction: Construction) -> str:
    domain = construction.claim.domain
    if domain.cardinality is not None and domain.cardinality <= _LARGEST_DOMAIN:
        return "exhaustive"
    if is_linear_claim(construction) and domain.size <= _LARGEST_BASIS:
        return "basis"
    return "sampling"
