"""Proof by running every input of a finite domain, in blocks."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..construction import Claim, Construction
from ..network import Network
from .certificate import Certificate, certificate
from .comparison import block_size, claimed_terms, compare

LARGEST = 2**26


def by_enumeration(construction: Construction) -> Certificate:
    """Run all inputs through the network and compare with the target."""
    claim = construction.claim
    count = claim.domain.cardinality
    if count is None or count > LARGEST:
        raise ValueError(
            f"certify: exhaustive enumeration needs a finite domain of at most 2^26 inputs; {claim.domain} has "
            f"{'infinitely many' if count is None else f'{count:.3g}'}"
        )
    block = min(count, block_size(construction.network))
    excess, error, worst = _scan(construction.network, claim, count, block)
    refuted = not float(excess) <= 0  # a NaN refutes
    example = None
    if refuted:
        row = claim.domain.enumerate(jnp.asarray([int(worst)], "uint32"))[0]
        example = tuple(np.asarray(row).tolist())
    return certificate(
        construction,
        "exhaustive",
        "refuted" if refuted else "proved",
        inputs=count,
        error=float(error),
        **claimed_terms(claim),
        counterexample=example,
    )


@partial(jax.jit, static_argnums=(1, 2, 3))
def _scan(network: Network, claim: Claim, count: int, block: int) -> tuple[Array, Array, Array]:
    """The largest excess over the claim with its input, and the largest error."""

    def step(carry: tuple[Array, Array, Array], start: Array) -> tuple[tuple[Array, Array, Array], None]:
        excess, error, worst = carry
        # The last block overlaps the one before it instead of running past the end.
        indices = jnp.minimum(start, np.uint32(count - block)) + jnp.arange(block, dtype="uint32")
        x = claim.domain.enumerate(indices)
        errors, excesses = compare(network, claim, x)
        at = jnp.argmax(jnp.where(jnp.isnan(excesses), jnp.inf, excesses))
        found = excesses[at]
        better = ~(found <= excess)
        carry = (
            jnp.where(better, found, excess),
            jnp.maximum(error, jnp.max(errors)),
            jnp.where(better, indices[at], worst),
        )
        return carry, None

    starts = jnp.arange(-(-count // block), dtype="uint32") * np.uint32(block)
    # Inputs come in JAX's default precision, so that is what a narrower network is compared in.
    real = jnp.finfo(jnp.promote_types(network.dtype, jnp.result_type(float))).dtype
    begin = (jnp.asarray(-jnp.inf, real), jnp.zeros((), real), jnp.zeros((), "uint32"))
    return jax.lax.scan(step, begin, starts)[0]
