"""A loss as a function of the flat vector of weights: its Hessian times vectors, and where it is largest in a box."""

import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray

from ..network import Network

Vector = Float[Array, " parameters"]
Loss = Callable[[Network, PRNGKeyArray], Array]


def flat_weights(network: Network) -> Vector:
    """All weights as one real vector; complex ones as their real parts and, behind them, imaginary parts."""
    return jnp.concatenate([part.ravel() for leaf in jax.tree.leaves(network) for part in _parts(leaf)])


def leaf_sizes(tree: Any) -> list[int]:
    """How many real numbers each leaf is."""
    return [sum(part.size for part in _parts(leaf)) for leaf in jax.tree.leaves(tree)]


def _parts(leaf: Array) -> tuple[Array, ...]:
    return (leaf.real, leaf.imag) if jnp.iscomplexobj(leaf) else (leaf,)


def _with_weights(network: Network, flat: Vector) -> Network:
    """The network with other weights."""
    leaves, structure = jax.tree.flatten(network)
    found, first = [], 0
    for leaf in leaves:
        parts = []
        for part in _parts(leaf):
            parts.append(flat[first : first + part.size].reshape(part.shape))
            first += part.size
        found.append(lax.complex(*parts) if len(parts) > 1 else parts[0])
    return jax.tree.unflatten(structure, found)


def _objective(network: Network, loss: Loss, key: PRNGKeyArray) -> Callable[[Vector], Array]:
    return lambda flat: loss(_with_weights(network, flat), key)


@eqx.filter_jit
def value(network: Network, loss: Loss, key: PRNGKeyArray) -> Array:
    """The loss."""
    return loss(network, key)


@eqx.filter_jit
def hessian_product(network: Network, loss: Loss, key: PRNGKeyArray, direction: Vector) -> Vector:
    """The Hessian of the loss times a vector, by a derivative of the gradient along it."""
    gradient = jax.grad(_objective(network, loss, key))
    return jax.jvp(gradient, (flat_weights(network),), (direction,))[1]


@eqx.filter_jit
def highest(
    network: Network,
    loss: Loss,
    key: PRNGKeyArray,
    starts: Float[Array, "starts parameters"],
    radii: Vector,
    steps: int,
) -> Float[Array, " starts"]:
    """The largest loss that was met on the way from each start, in units of the radii from the weights."""
    center = flat_weights(network)
    objective = _objective(network, loss, key)

    def ascend(start: Vector) -> Array:
        def step(state: tuple[Vector, Array], stride: Array) -> tuple[tuple[Vector, Array], None]:
            place, best = state
            found, gradient = jax.value_and_grad(objective)(center + radii * place)
            # A NaN is no maximum, and leads nowhere.
            best = jnp.where(found > best, found, best)
            place = jnp.clip(place + stride * jnp.sign(gradient), -1, 1)
            return (place, best), None

        # Steps of 2 go from a face of the box to the opposite one, where a convex loss is largest; the shorter
        # ones find maxima inside.
        strides = jnp.linspace(2.0, 2.0 / steps, steps, dtype=center.dtype)
        least = jnp.full((), -math.inf, jax.eval_shape(objective, center).dtype)
        (place, best), _ = lax.scan(step, (start, least), strides)
        last = objective(center + radii * place)
        return jnp.where(last > best, last, best)

    return jax.vmap(ascend)(starts)


def largest_eigenvalue(
    product: Callable[[np.ndarray], np.ndarray], start: np.ndarray, *, steps: int, tolerance: float
) -> tuple[float, float, np.ndarray, int]:
    """The largest eigenvalue of a symmetric matrix by Lanczos's method, every vector kept orthogonal to all others.

    Args:
        product: the matrix times a vector.
        start: a vector that isn't zero.
        steps: vectors at most.
        tolerance: of the residual, as a share of the largest modulus of an eigenvalue.

    Returns:
        The eigenvalue as the quotient `v A v / v v`, the norm of `A v - lambda v`, `v` of norm 1, and the number of
        vectors; NaN where products aren't finite.
    """
    from scipy.linalg import eigh_tridiagonal

    basis, weights = np.empty((0, len(start))), np.empty((0, 0))
    diagonal, beside, vector = [], [], start / np.linalg.norm(start)
    for _ in range(min(steps, len(start))):
        basis = np.concatenate([basis, vector[None]])
        image = product(vector)
        if not np.all(np.isfinite(image)):
            return math.nan, math.nan, vector, len(basis)
        diagonal.append(float(vector @ image))
        for _ in range(2):  # once more for what rounding leaves
            image = image - (basis @ image) @ basis
        values, weights = eigh_tridiagonal(diagonal, beside)
        size, scale = float(np.linalg.norm(image)), float(np.max(np.abs(values)))
        if size * abs(weights[-1, -1]) <= tolerance * scale:
            break
        beside.append(size)
        vector = image / size
    vector = weights[:, -1] @ basis
    vector /= np.linalg.norm(vector)
    image = product(vector)
    found = float(vector @ image)
    return found, float(np.linalg.norm(image - found * vector)), vector, len(basis)
