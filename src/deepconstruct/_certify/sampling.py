"""No proof, but a test: drawn inputs of the domain."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._io.progress import progress_bar
from ..construction import Construction
from .certificate import Certificate, Sampled, undecided
from .comparison import Comparison, block_size, conclude, range_exponent, range_text
from .method import Method, Options

# From this many blocks on, a bar shows how far the test is.
_LONG = 20


def _applies(construction: Construction) -> str | None:
    domain, dtype = construction.claim.domain, construction.network.dtype
    if domain.is_complex and not jnp.issubdtype(dtype, jnp.complexfloating):
        return f"{domain} holds complex vectors, which a network of {dtype.name} weights doesn't take"
    return None


def _run(construction: Construction, options: Options) -> Certificate:
    """Compare network and target on drawn inputs, in blocks; the seed is fixed, so this repeats."""
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
    trusts = [range_text(construction.network.dtype)] if _is_unbounded(construction) else []
    return conclude(construction, METHOD.name, "tested", comparison, count, Sampled(len(starts)), *trusts)


def _drawn(construction: Construction, seed: int, count: int) -> tuple[np.ndarray, int]:
    """Vectors at which claims are likely to fail, and how many of them lie in the domain: others are replaced."""
    domain, dtype = construction.claim.domain, construction.network.dtype
    x = domain.probe(jax.random.key(seed), (count,), dtype=dtype)
    inside = domain.contains(x)
    x = x.astype(np.complex128 if np.iscomplexobj(x) else np.float64)
    if _is_unbounded(construction):
        inside &= _in_range(x, dtype)
    kept = np.flatnonzero(inside)
    return (x if len(kept) in (0, count) else x[np.resize(kept, count)]), len(kept)


def _is_unbounded(construction: Construction) -> bool:
    return not np.all(np.isfinite(construction.claim.domain.box()))


def _in_range(x: np.ndarray, dtype: Any) -> np.ndarray:
    """Which vectors are such that neither underflow nor overflow spoils relative bounds."""
    parts = np.concatenate([np.abs(np.real(x)), np.abs(np.imag(x))], axis=-1)
    largest, most = parts.max(axis=-1), 2.0 ** range_exponent(dtype)
    normal = np.all((parts == 0) | (parts >= float(jnp.finfo(dtype).tiny)), axis=-1)
    # The largest number is at most the norm, and the norm at most the root of their count times it.
    return normal & ((largest == 0) | ((largest >= 1 / most) & (largest * parts.shape[-1] ** 0.5 <= most)))


METHOD = Method(
    name="sampling",
    where="everything",
    does="drawn inputs of the domain are run",
    verdicts=("tested",),
    applies=_applies,
    run=_run,
)
