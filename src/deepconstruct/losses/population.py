"""The exact expected error of a linear network."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Inexact

from .._arithmetic.rounding import is_linear_network
from .._checks import as_numbers, check_weights
from .._static import to_jax
from ..network import block_layers
from .base import AbstractLoss, squared_modulus


class Population(AbstractLoss):
    """See `population`."""

    inputs: Inexact[Array, "in columns"]
    outputs: Inexact[Array, "out columns"]

    def __call__(self, network, key):
        check_weights("population", (network, self))
        expected = (self.inputs.shape[0], self.outputs.shape[0])
        if (network.in_size, network.out_size) != expected or not is_linear_network(network):
            raise ValueError(
                f"population: the matrix needs a linear network {expected[0]} -> {expected[1]} without biases; "
                f"got one {network.in_size} -> {network.out_size} with "
                + ", ".join(sorted({layer.activation.name() for layer in block_layers(network.layers)}))
            )
        got = network(self.inputs, axis=0)
        with jax.numpy_dtype_promotion("standard"):  # the matrix may be of higher precision
            off = got - self.outputs
        return jnp.sum(squared_modulus(off))


def population(matrix: Any, *, covariance: Any = None) -> Population:
    """The expected squared error of a linear network over all inputs: infinite training data.

    For inputs of mean 0 and covariance `S = C C^H` the expectation is `|(W - F) C|_F^2`, so that
    it costs one pass of `n` vectors. It is the sum over outputs; divide by `n` for a mean.

    Args:
        matrix: the matrix `F` to be computed, shape `(out, in)`.
        covariance: shape `(in, in)`, Hermitian and positive definite; white inputs by default.

    Returns:
        A loss whose value needs no random numbers (the key isn't used).

    Raises:
        ValueError: shapes that don't fit, or a covariance that isn't Hermitian and positive definite;
            when it is evaluated, a network that isn't linear or doesn't fit the matrix.

    Source: Nye & Saxe (2018), section 3.

    Example:
        >>> import deepconstruct as dc, jax, numpy as np
        >>> loss = dc.losses.population(np.fft.fft(np.eye(4)))
        >>> float(loss(dc.fft(4).network, jax.random.key(0)))
        0.0
    """
    matrix = np.asarray(as_numbers("population", "matrix", matrix))
    if matrix.ndim != 2 or not np.all(np.isfinite(matrix)):
        raise ValueError(f"population: matrix must be finite of shape (out, in); got shape {matrix.shape}")
    # Targets give extended precision, which JAX doesn't know.
    matrix = matrix.astype(np.complex128 if np.iscomplexobj(matrix) else np.float64)
    size = matrix.shape[1]
    factor = np.eye(size) if covariance is None else _cholesky(np.asarray(covariance), size)
    return Population(to_jax(factor), to_jax(matrix @ factor))


def _cholesky(covariance: np.ndarray, size: int) -> np.ndarray:
    if covariance.shape != (size, size):
        raise ValueError(f"population: covariance must have shape ({size}, {size}); got {covariance.shape}")
    if not np.allclose(covariance, covariance.conj().T):
        raise ValueError("population: covariance must be Hermitian and positive definite; got one that isn't Hermitian")
    try:
        return np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:
        raise ValueError("population: covariance must be Hermitian and positive definite") from None
