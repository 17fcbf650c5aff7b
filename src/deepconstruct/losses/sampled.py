"""Mean squared error on a fresh random batch."""

import equinox as eqx
import jax.numpy as jnp

from .._checks import check_size, check_weights
from ..construction import Claim
from .base import AbstractLoss, squared_modulus


class Sampled(AbstractLoss):
    """See `sampled`."""

    claim: Claim = eqx.field(static=True)
    batch_size: int = eqx.field(static=True)

    def __call__(self, network, key):
        check_weights("sampled", network)
        x = self.claim.domain.sample(key, (self.batch_size,), dtype=network.dtype)
        wanted = self.claim.target(x)
        # Features first is the fast layout for narrow layers on a CPU.
        got = network(x.T, axis=0).T
        return jnp.mean(squared_modulus(got - wanted))


def sampled(claim: Claim, batch_size: int) -> Sampled:
    """Mean squared error against a claim's target on inputs drawn anew at every step.

    Args:
        claim: says what to compute and on which domain; a construction's `.claim`.
        batch_size: inputs a step, at least 1.

    Returns:
        A loss: the mean over batch and outputs of `|network(x) - target(x)|^2`.

    Raises:
        TypeError: `claim` isn't a `Claim`.
        ValueError: a batch size below 1.

    Example:
        >>> import deepconstruct as dc, jax
        >>> xor = dc.parity(4)
        >>> float(dc.losses.sampled(xor.claim, 100)(xor.network, jax.random.key(0)))
        0.0
    """
    if not isinstance(claim, Claim):
        raise TypeError(f"sampled: expected a Claim, such as dc.parity(8).claim; got {type(claim).__name__}")
    return Sampled(claim, check_size("sampled", "batch_size", batch_size))
