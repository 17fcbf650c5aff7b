"""No proof, but a test: random inputs of the domain."""

import jax
import numpy as np

from ..construction import Construction
from .certificate import Certificate, certificate
from .exhaustive import compare


def by_sampling(construction: Construction, samples: int) -> Certificate:
    """Compare network and target on random inputs; the seed is fixed, so this repeats."""
    claim = construction.claim
    x = claim.domain.sample(jax.random.key(0), (samples,), dtype=construction.network.dtype)
    errors, excesses = jax.jit(compare, static_argnums=1)(construction.network, claim, x)
    errors, excesses = np.asarray(errors), np.asarray(excesses)
    worst = int(np.argmax(np.where(np.isnan(excesses), np.inf, excesses)))
    refuted = not excesses[worst] <= 0
    return certificate(
        construction,
        "sampling",
        "refuted" if refuted else "tested",
        inputs=samples,
        error=float(np.max(errors)),
        claimed=claim.error.absolute,
        relative=False,
        counterexample=tuple(np.asarray(x[worst]).tolist()) if refuted else None,
    )
