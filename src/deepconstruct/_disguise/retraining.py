"""Retraining of disguised networks with their structure free."""

import jax
import optax
from jaxtyping import PRNGKeyArray

from .._change.perturb import perturb
from .._fit import fit
from ..construction import Claim
from ..losses import sampled
from ..network import Network
from ..rewrite import densify

_NOISE, _RATE, _STEPS, _BATCH = 0.001, 1e-4, 1000, 128


def retrained(network: Network, claim: Claim, key: PRNGKeyArray) -> Network:
    """A network with all entries free, moved a little and trained on the target of a claim for a short time."""
    noise, training = jax.random.split(key)
    moved = perturb(densify(network), _NOISE, key=noise)
    return fit(moved, sampled(claim, _BATCH), optax.adam(_RATE), steps=_STEPS, key=training).network
