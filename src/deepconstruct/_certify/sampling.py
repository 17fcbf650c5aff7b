"""No proof, but a test: random inputs of the domain."""

import jax
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from .._io.progress import progress_bar
from ..construction import Construction
from ..domains import AbstractDomain, Bits, Box, Fractal, Points, Signs, Space
from . import wide
from .certificate import Certificate, Sampled, undecided
from .comparison import Comparison, block_size, conclude
from .method import Method, Options

# From this many blocks on, a bar shows how far the test is.
_LONG = 20
_VALUES = frozenset({Bits, Signs, Box, Space, Points, Fractal})


def _applies(construction: Construction) -> str | None:
    domain, dtype = construction.claim.domain, construction.network.dtype
    if isinstance(domain, Space) and domain.field == "complex" and dtype.kind != "c":
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
    """Vectors of the domain that the dtype holds, and how many there are: others are replaced by these."""
    domain, dtype = construction.claim.domain, construction.network.dtype
    # Domains that are frozen values can be compiled once, and as a whole; others may change.
    draw = _compiled if type(domain) in _VALUES else _draw
    x = np.asarray(draw(jax.random.key(seed), domain, count, dtype))
    x = x.astype(np.complex128 if np.iscomplexobj(x) else np.float64)
    kept = np.flatnonzero(wide.are_drawn(domain, x))
    return (x if len(kept) in (0, count) else x[np.resize(kept, count)]), len(kept)


def _draw(key: PRNGKeyArray, domain: AbstractDomain, count: int, dtype: np.dtype) -> Array:
    return domain.sample(key, (count,), dtype=dtype)


_compiled = jax.jit(_draw, static_argnums=(1, 2, 3))


METHOD = Method(
    name="sampling",
    where="everything",
    does="random inputs of the domain are run",
    verdicts=("tested",),
    applies=_applies,
    run=_run,
)
