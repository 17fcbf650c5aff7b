"""The interface of losses, and their sum."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact, PRNGKeyArray

from ..network import Network


class AbstractLoss(eqx.Module):
    """A number that says how far a network is from what it should compute."""

    @abc.abstractmethod
    def __call__(self, network: Network, key: PRNGKeyArray) -> Float[Array, ""]:
        """Evaluate; `key` draws whatever is random."""

    def __add__(self, other: "AbstractLoss") -> "Sum":
        if not isinstance(other, AbstractLoss):
            return NotImplemented
        return Sum((self, other))


class Sum(AbstractLoss):
    """The sum of several losses, each with the same key."""

    terms: tuple[AbstractLoss, ...]

    def __call__(self, network, key):
        total = self.terms[0](network, key)
        for term in self.terms[1:]:
            with jax.numpy_dtype_promotion("standard"):  # one term may be of higher precision
                total = total + term(network, key)
        return total


def squared_modulus(z: Inexact[Array, "*shape"]) -> Float[Array, "*shape"]:
    """`|z|^2`, with the right second derivative at 0 too, where JAX takes 0 for that of the modulus."""
    return z.real**2 + z.imag**2 if jnp.iscomplexobj(z) else z**2
