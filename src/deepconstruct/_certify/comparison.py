"""Network and target side by side on a block of inputs: what enumeration and sampling share."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array

from ..construction import Claim
from ..network import Network, block_layers

_BLOCK = 2**17
_CELLS = 2**23
# How far the rounding of targets may take them off the faces of a box.
_ROOM = 2.0**-20


def block_size(network: Network) -> int:
    """How many inputs are run at once: fewer for wide networks, so that their units fit in memory."""
    width = max(network.in_size, *(layer.out_size for layer in block_layers(network.layers)))
    return min(_BLOCK, max(1, _CELLS // width))


def claimed_terms(claim: Claim) -> dict[str, Any]:
    """The claimed error, and whether it is relative: the terms in which `compare` measures."""
    relative = claim.error.relative > 0
    return {"claimed": claim.error.relative if relative else claim.error.absolute, "relative": relative}


def compare(network: Network, claim: Claim, x: Array) -> tuple[Array, Array]:
    """For every row of `x`: the error, in the terms of the claim, and by what it breaks the claim.

    A target outside its codomain breaks the claim too: compositions build on that.
    """
    wanted = claim.target(x)
    error = jnp.abs(network(x.T, axis=0).T - wanted)
    if claim.error.relative > 0:
        size = jnp.linalg.norm(wanted, axis=-1)
        over = jnp.linalg.norm(jnp.maximum(error - claim.error.absolute, 0), axis=-1)
        excess = over - claim.error.relative * size
        error = jnp.linalg.norm(error, axis=-1) / jnp.where(size > 0, size, 1)
    else:
        # No norm of squares here: they could underflow, and hide an error of 1e-30.
        error = jnp.max(error, axis=-1)
        excess = error - claim.error.absolute
    return error, jnp.where(claim.codomain.contains(wanted, room=_ROOM), excess, jnp.inf)
