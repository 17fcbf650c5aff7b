"""The L1 penalty on weights."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._checks import check_scalar, check_weights, is_concrete
from .._static import to_jax
from ..linear import AbstractLinear
from ..network import Repeat
from .base import AbstractLoss


class L1(AbstractLoss):
    """See `l1`."""

    beta: Float[Array, ""]
    squared: bool = eqx.field(static=True)

    def __call__(self, network, key):
        check_weights("l1", network)
        norms = []
        for part in network.layers:
            if isinstance(part, Repeat):
                norms += [jax.vmap(_norm, axis_size=part.times)(layer.linear) for layer in part.layers]
            else:
                norms.append(_norm(part.linear)[None])
        norms = jnp.concatenate(norms)
        with jax.numpy_dtype_promotion("standard"):  # the strength may be of higher precision
            return self.beta * jnp.sum(norms**2 if self.squared else norms)


def l1(beta: Any, *, squared: bool = False) -> L1:
    """A penalty on the moduli of all weights (biases not), to make networks sparse.

    Args:
        beta: the strength, at least 0; an array leaf, so that it can be swept.
        squared: `False` is the plain `beta * sum_j |W_j|_1`, entry by entry; `True` squares each
            layer's norm, as Nye & Saxe's text prints it. `beta` doesn't transfer between the two.

    Returns:
        A loss; its slope at a zero weight is 0.

    Raises:
        ValueError: a negative or infinite beta.

    Source: Nye & Saxe (2018), section 3.

    Example:
        >>> import deepconstruct as dc, jax
        >>> float(dc.losses.l1(0.5)(dc.parity(2).network, jax.random.key(0)))
        3.5
    """
    if is_concrete(beta):
        check_scalar("l1", "beta", beta)
    return L1(to_jax(beta, jnp.result_type(float)), squared)


def _norm(linear: AbstractLinear) -> Array:
    _, _, values = linear.entries()
    zero = values == 0
    # The modulus has slope 1 at 0 in JAX; zero weights should stay put.
    return jnp.sum(jnp.where(zero, 0, jnp.abs(jnp.where(zero, 1, values))))
