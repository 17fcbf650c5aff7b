"""No proof, but a test: drawn inputs of the domain."""

from functools import partial

import jax
import numpy as np
from jaxtyping import Array

from .._io.progress import progress_bar
from ..construction import Claim, Construction
from ..network import Network
from .certificate import Certificate, certificate
from .comparison import block_size, claimed_terms, compare

# From this many blocks on, a bar shows how far the test is.
_LONG = 20


def by_sampling(construction: Construction, samples: int) -> Certificate:
    """Compare network and target on random inputs, in blocks; the seed is fixed, so this repeats."""
    claim, block = construction.claim, min(samples, block_size(construction.network))
    starts = range(0, samples, block)
    error, worst, example = 0.0, -np.inf, None
    with progress_bar(total=samples, unit="input", shown=len(starts) >= _LONG) as bar:
        for index, start in enumerate(starts):
            x = claim.domain.probe(jax.random.key(index), (block,), dtype=construction.network.dtype)
            errors, excesses = _block(construction.network, claim, x)
            errors, excesses = np.asarray(errors), np.nan_to_num(np.asarray(excesses), nan=np.inf)
            at = int(np.argmax(excesses))
            error = max(error, float(np.max(errors)))
            if excesses[at] > worst:
                worst, example = float(excesses[at]), tuple(np.asarray(x[at]).tolist())
            bar.update(min(block, samples - start))
    refuted = worst > 0
    return certificate(
        construction,
        "sampling",
        "refuted" if refuted else "tested",
        inputs=len(starts) * block,
        error=error,
        **claimed_terms(claim),
        counterexample=example if refuted else None,
    )


@partial(jax.jit, static_argnums=1)
def _block(network: Network, claim: Claim, x: Array) -> tuple[Array, Array]:
    return compare(network, claim, x)
