"""How sharp a loss is at a network: the Hessian's largest eigenvalue and trace, and the rise within a box."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from .._checks import check_key, check_scalar, check_size, is_concrete
from ..construction import Construction, as_network
from ..network import Network
from .curvature import Loss, flat_weights, hessian_product, highest, largest_eigenvalue, leaf_sizes, value


@dataclasses.dataclass(frozen=True)
class Sharpness:
    """How a loss curves around a network. Complex weights count as two real ones.

    Attributes:
        loss: at the network.
        largest: an eigenvalue of the Hessian, as a quotient `v H v / v v`, and so at most the largest one.
        residual: the norm of `H v - largest v` for `v` of norm 1: an eigenvalue lies within so much of `largest`.
        steps: products with the Hessian that it took.
        trace: of the Hessian, estimated without bias.
        trace_error: the standard error of `trace`; 0 where as many probes as weights gave it exactly.
        layers: the traces of the diagonal blocks of the Hessian, one a layer (or `Repeat`); they add up to `trace`.
        layer_errors: their standard errors.
        epsilon: of the box `|dw_i| <= epsilon (|w_i| + 1)`.
        rise: how far the loss rises within the box at least: what the ascent found, which is a lower bound.
        parameters: how many real numbers the weights are.
    """

    loss: float
    largest: float
    residual: float
    steps: int
    trace: float
    trace_error: float
    layers: tuple[float, ...]
    layer_errors: tuple[float, ...]
    epsilon: float
    rise: float
    parameters: int

    @property
    def keskar(self) -> float:
        """Keskar's sharpness, in percent: `100 rise / (1 + loss)`, a lower bound; NaN for a loss of -1 or less."""
        return 100 * self.rise / (1 + self.loss) if self.loss > -1 else math.nan

    def __repr__(self) -> str:
        return (
            f"Sharpness(loss={self.loss:.4g}, largest={self.largest:.4g} (residual {self.residual:.1g}), "
            f"trace={self.trace:.4g} ± {self.trace_error:.2g}, "
            f"keskar>={self.keskar:.4g} % (epsilon {self.epsilon:g}), parameters={self.parameters})"
        )


def sharpness(
    network: Network | Construction,
    loss: Loss,
    *,
    epsilon: float = 1e-3,
    probes: int = 100,
    iterations: int = 100,
    tolerance: float = 1e-5,
    starts: int = 8,
    steps: int = 20,
    key: PRNGKeyArray,
) -> Sharpness:
    """How sharp a loss is at a network: largest eigenvalue and trace of the Hessian, and Keskar's sharpness.

    None of them is a property of the function: scaling a layer of a ReLU network by `a` and the next one by
    `1 / a` leaves all outputs alone and changes all three by orders of magnitude (the block of the Hessian that
    belongs to the first layer goes with `1 / a^2`, that of the second with `a^2`).

    The loss is one function of the weights here: whatever it draws, it draws with the one `key`. Weights are all
    arrays of the network, biases among them.

    - The eigenvalue comes from Lanczos's method with all vectors kept orthogonal, on products of the Hessian with
      vectors, which are never rounded differences. The largest is meant, not that of the largest modulus: at a
      minimum they are the same.
    - The trace is Hutchinson's estimate, the mean of `v H v` over vectors `v` of random signs; with as many
      probes as weights, or more, it is the sum over unit vectors, without an error.
    - Keskar's sharpness is the largest rise of the loss in the box `|dw_i| <= epsilon (|w_i| + 1)`, over `1 + loss`,
      in percent. No method finds the maximum for certain. This one climbs by projected steps along the signs of
      the gradient, from random corners, from the corners to which the eigenvector points and from the middle, and
      reports the highest loss that it met: a lower bound.

    Args:
        network: a network or construction with concrete weights of at least 32 bits, real or complex.
        loss: called as `loss(network, key)`, as in `dc.fit`; see `deepconstruct.losses`.
        epsilon: of the box, at least 0.
        probes: vectors for the trace, at least 2.
        iterations: vectors in Lanczos's method at most, at least 1; see `residual` for whether they were enough.
        tolerance: where it stops: the residual as a share of the largest modulus of an eigenvalue.
        starts: random corners from which to climb, at least 1.
        steps: of each climb, at least 1.
        key: a PRNG key, for the loss and for the random vectors.

    Returns:
        A `Sharpness`; NaN where the loss or its derivatives are.

    Raises:
        ValueError: a network without weights or with weights of 16 bits; a number out of its range.
        TypeError: something else than a network or a loss, a loss that isn't one real number, or traced weights:
            it can't be called inside jit, vmap or grad.

    *Exactness*: products are rounded in the dtype of the weights. Derivatives are JAX's: of ReLU the second one is
    0 everywhere and the first is 0 at 0, so the Hessian is that of one smooth piece, and the box may see more than
    it; a step has no slope at all.

    *Cost*: up to `iterations + probes + 1` products with the Hessian, each about twice a gradient, and `steps`
    gradients for `starts + 3` networks at once; memory for `iterations` vectors.

    Source: Keskar et al., "On large-batch training for deep learning" (2017), metric 2.1 with the whole space
    and another method of maximization (theirs is ten steps of L-BFGS-B); Dinh et al., "Sharp minima can
    generalize for deep nets" (2017); Hutchinson (1990).

    Example:
        >>> import deepconstruct as dc, jax
        >>> fft, loss = dc.fft(4), dc.losses.population(dc.targets.DFT(4).matrix())
        >>> found = dc.sharpness(fft, loss, key=jax.random.key(0))
        >>> found.loss, round(found.largest, 3), found.trace_error
        (0.0, 8.0, 0.0)
    """
    network = _checked(network, loss, key)
    epsilon = check_scalar("sharpness", "epsilon", epsilon)
    probes = check_size("sharpness", "probes", probes, minimum=2)
    iterations = check_size("sharpness", "iterations", iterations)
    tolerance = check_scalar("sharpness", "tolerance", tolerance)
    starts = check_size("sharpness", "starts", starts)
    steps = check_size("sharpness", "steps", steps)
    weights = np.asarray(flat_weights(network))
    random = np.random.default_rng(np.asarray(jax.random.key_data(key)).tolist())

    def product(vector: np.ndarray) -> np.ndarray:
        direction = jnp.asarray(vector.astype(weights.dtype))
        return np.asarray(hessian_product(network, loss, key, direction)).astype(np.float64)

    here = float(value(network, loss, key))
    largest, residual, vector, taken = largest_eigenvalue(
        product, random.standard_normal(len(weights)), steps=iterations, tolerance=tolerance
    )
    traces, errors = _traces(product, [sum(leaf_sizes(part)) for part in network.layers], probes, random)
    corners = [np.zeros_like(vector), np.sign(vector), -np.sign(vector), *_signs(random, starts, len(weights))]
    radii = epsilon * (np.abs(weights) + 1)
    top = highest(
        network, loss, key, jnp.asarray(np.array(corners, weights.dtype)), jnp.asarray(radii, weights.dtype), steps
    )
    return Sharpness(
        loss=here,
        largest=largest,
        residual=residual,
        steps=taken,
        trace=float(traces[-1]),
        trace_error=float(errors[-1]),
        layers=tuple(traces[:-1].tolist()),
        layer_errors=tuple(errors[:-1].tolist()),
        epsilon=epsilon,
        rise=max(float(np.max(np.asarray(top))) - here, 0.0) if math.isfinite(here) else math.nan,
        parameters=len(weights),
    )


def _checked(network: Any, loss: Any, key: Any) -> Network:
    """The network, if its weights have a Hessian that can be computed."""
    found = as_network("sharpness", network)
    if not callable(loss):
        raise TypeError(
            f"sharpness: loss must be called as loss(network, key), as those of dc.losses are; got {loss!r}"
        )
    check_key("sharpness", key)
    leaves = jax.tree.leaves(found)
    if not leaves:
        raise ValueError("sharpness: the network has no weights")
    if not all(is_concrete(leaf) for leaf in (*leaves, *jax.tree.leaves(loss), key)):
        raise TypeError("sharpness: the weights are being traced; ask outside jit, vmap and grad")
    if jnp.finfo(found.dtype).bits < 32:
        raise ValueError(
            f"sharpness: second derivatives need weights of at least 32 bits; got {found.dtype.name}: "
            "pass dc.astype(network, 'float32')"
        )
    given = jax.eval_shape(loss, found, key)
    shape, dtype = getattr(given, "shape", None), getattr(given, "dtype", None)
    if shape != () or dtype is None or not jnp.issubdtype(dtype, jnp.floating):
        got = type(given).__name__ if shape is None else f"{dtype} of shape {shape}"
        raise TypeError(f"sharpness: loss must give one real number; got {got}")
    return found


def _signs(random: np.random.Generator, count: int, size: int) -> np.ndarray:
    return 1.0 - 2 * random.integers(0, 2, (count, size))


def _traces(product: Any, sizes: list[int], probes: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The traces of the diagonal blocks of these sizes, and behind them that of the whole; their standard errors."""
    total, owner = sum(sizes), np.repeat(np.arange(len(sizes)), sizes)
    exact = probes >= total

    def shares(vector: np.ndarray) -> np.ndarray:
        blocks = np.bincount(owner, vector * product(vector), len(sizes))
        return np.append(blocks, blocks.sum())

    vectors = np.eye(total) if exact else _signs(random, probes, total)
    found = np.array([shares(vector) for vector in vectors])
    if exact:
        return found.sum(axis=0), np.zeros(len(sizes) + 1)
    return found.mean(axis=0), found.std(axis=0, ddof=1) / math.sqrt(probes)
