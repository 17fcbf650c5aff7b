"""Every input of a finite domain: by exact values and bounds of rounding, or run in blocks."""

import numpy as np

from ..._arithmetic.exactness import exact_digits
from ...construction import Construction
from ..certificate import Certificate, Enumerated
from ..comparison import Comparison, block_size, conclude
from ..method import Method, Options
from .pointwise import prove

_LARGEST = 2**26


def _applies(construction: Construction) -> str | None:
    claim = construction.claim
    count = claim.domain.cardinality
    if count is None or count > _LARGEST:
        has = "infinitely many inputs" if count is None else f"{count:.3g} inputs"
        return f"exhaustive enumeration needs a finite domain of at most 2^26 inputs; {claim.domain} has {has}"
    if not claim.domain.fits(construction.network.dtype):
        return f"{claim.dtype} doesn't hold all of {claim.domain}: round them before you make the domain"
    return None


def _run(construction: Construction, options: Options) -> Certificate:
    """Prove the claim at every point without running the network, or run it at all of them."""
    found = prove(construction, METHOD.name)
    return found if found.verdict == "proved" else enumerated(construction)


def enumerated(construction: Construction) -> Certificate:
    """Run all inputs through the network and compare with the target.

    What was run is what any order of operations gives where no operation rounds: only then it is a proof.
    """
    domain, comparison = construction.claim.domain, Comparison(construction)
    count = domain.cardinality
    assert count is not None
    block = min(count, block_size(construction.network))
    for start in range(0, count, block):
        # The last block overlaps the one before it: all have one shape, and are compiled once.
        first = min(start, count - block)
        comparison.add(np.asarray(domain.enumerate(np.arange(first, first + block, dtype=np.int64))))
    digits = exact_digits(construction.network, domain)
    verdict = "enumerated" if digits is None else "proved"
    return conclude(construction, METHOD.name, verdict, comparison, count, Enumerated(digits))


METHOD = Method(
    name="exhaustive",
    where="finite domains of up to 2^26 inputs",
    does="at every input the exact value and what rounds are added up; else every input is run",
    verdicts=("proved", "enumerated"),
    applies=_applies,
    run=_run,
)
