"""No proof, but a test: drawn inputs of the domain."""

import jax
import jax.numpy as jnp
import numpy as np

from .._io.progress import progress_bar
from ..construction import Construction
from .certificate import Certificate, Sampled, undecided
from .comparison import Comparison, block_size, conclude
from .method import Method, Options

# From this many blocks on, a bar shows how far the test is.
_LONG = 20


def _applies(construction: Construction) -> str | None:
    domain, dtype = construction.claim.domain, construction.network.dtype
    if domain.is_complex and not jnp.issubdtype(dtype, jnp.complexfloating):
        return f"{domain} holds complex vectors, which a network of {dtype.name} weights doesn't take"
    return None


def _run(construction: Construction, options: Options) -> Certificate:
    """Compare network and target on random inputs, in blocks; the seed is fixed, so this repeats."""
    samples, comparison, count = options.samples, Comparison(construction), 0
    block = min(samples, block_size(construction.network))
    starts = range(0, samples, block)
    with progress_bar(total=samples, unit="input", shown=len(starts) >= _LONG) as bar:
        for index, start in enumerate(starts):
            try:
                x, kept = _drawn(construction, index, block)
            except ValueError as error:
                return undecided(construction, METHOD.name, str(error), inputs=count)
            if kept:
                comparison.add(x)
            count += kept
            bar.update(min(block, samples - start))
    return conclude(construction, METHOD.name, "tested", comparison, count, Sampled(len(starts)))


def _drawn(construction: Construction, seed: int, count: int) -> tuple[np.ndarray, int]:
    """Vectors at which claims are likely to fail, and how many of them lie in the domain: others are replaced."""
    domain, dtype = construction.claim.domain, construction.network.dtype
    x = domain.probe(jax.random.key(seed), (count,), dtype=dtype)
    kept = np.flatnonzero(domain.contains(x))
    x = x.astype(np.complex128 if np.iscomplexobj(x) else np.float64)
    return (x if len(kept) in (0, count) else x[np.resize(kept, count)]), len(kept)


METHOD = Method(
    name="sampling",
    where="everything",
    does="random inputs of the domain are run",
    verdicts=("tested",),
    applies=_applies,
    run=_run,
)
