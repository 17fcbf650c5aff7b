"""Linear hidden layers in another basis."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from .._arithmetic.intervals import bias_array, layer_range
from .._arithmetic.sensitivity import sensitivities
from .._checks import as_numbers, check_key
from .._compose.rounding import margin_of, moved_box
from .._static import to_jax
from ..activations import Identity
from ..construction import Claim, Construction
from ..linear import Dense
from ..linear.queries import real_entries
from ..network import Layer, flat_layers
from ._claims import rewritten
from ._core import is_vast
from ._draft import real_network
from ._maps import bias_values, check_worth, hidden_index, steps, unit_activations, with_layers

# By how many roundings an entry of `Q^T Q` may be off, for each unit.
_ROUNDINGS = 4


def rotate(network: Any, at: int, matrix: Any = None, *, key: PRNGKeyArray | None = None) -> Any:
    """The same function with a linear hidden layer in another orthonormal basis, which is undone behind it.

    The weights `W` and the bias of the layer become `Q W` and `Q b`, and those behind it, `V`, become `V Q^T`.

    Args:
        network: a `Network`, or a `Construction`, of real weights.
        at: the hidden layer, of identity activations, repeated blocks unrolled, from 0 on.
        matrix: `Q`, orthogonal, of shape `(width, width)`.
        key: a PRNG key, from which it is drawn instead, uniformly.

    Returns:
        The same kind, both maps `Dense`. The units of the layer are mixtures and have no label. Blocks that are
        touched are unrolled.

    Raises:
        ValueError: neither or both of matrix and key, not a hidden layer, units that aren't linear, a matrix of
            another shape or one that isn't orthogonal up to rounding in the network's dtype, layers of several
            factors, maps too large to be written out, weights that leave the dtype's range or aren't finite, or a
            claim for which what is rounded can't be bounded.
        TypeError: neither a network nor a construction, a stack of networks, complex weights, or a matrix that isn't
            numbers.

    Exactness: up to rounding. The new weights are rounded, so their product isn't quite `V W`; how far it is off is
        bounded in extended precision and added to a claim, with what the new sums may round.

    Cost: both maps become dense.

    Example:
        >>> import deepconstruct as dc
        >>> net = dc.Network.from_matrices([[[1, 2], [3, 4]], [[1, 1]]], None, "identity")
        >>> turned = dc.rewrite.rotate(net, 0, [[0, -1], [1, 0]])
        >>> turned.layers[0].linear.weight.tolist(), turned([1, 1]).tolist(), net([1, 1]).tolist()
        ([[-3.0, -4.0], [1.0, 2.0]], [10.0], [10.0])
    """
    source = real_network("rotate", network)
    layers = flat_layers(source)
    at = hidden_index("rotate", layers, at)
    _check_pair(layers, at)
    if (matrix is None) == (key is None):
        raise ValueError("rotate: give either matrix or key=")
    size = layers[at].out_size
    turn = _drawn(key, size) if matrix is None else _checked(matrix, size, source.dtype)
    new = [*layers[:at], *_rotated(layers[at], layers[at + 1], turn, source.dtype), *layers[at + 2 :]]
    moved = _moved(network.claim, layers, new, at) if isinstance(network, Construction) else 0.0
    rounds = [before is not after for before, after in zip(layers, new, strict=True)]
    found = rewritten("rotate", network, with_layers(source, layers, new), rounds=rounds, exact=False, moved=moved)
    check_worth("rotate", network, found)
    return found


def _check_pair(layers: Sequence[Layer], at: int) -> None:
    others = [kind.name() for kind in unit_activations(layers[at]) if type(kind) is not Identity]
    if others:
        raise ValueError(f"rotate: layer {at} must be linear; it has units of {others[0]}")
    for index in (at, at + 1):
        if len(steps(layers[index].linear)) > 1:
            raise ValueError(f"rotate: layer {index} has several factors; dc.densify makes them one matrix")
        if is_vast(layers[index].linear):
            raise ValueError(f"rotate: the map of layer {index} has too many entries to be written out as a matrix")


def _drawn(key: Any, size: int) -> np.ndarray:
    """An orthogonal matrix, uniformly: the factor Q of a Gaussian one whose factor R has a positive diagonal."""
    check_key("rotate", key)
    drawn = np.asarray(jax.random.normal(key, (size, size), "float32"), np.float64)
    basis, triangle = np.linalg.qr(drawn)
    return basis * np.where(np.diagonal(triangle) < 0, -1.0, 1.0)


def _checked(matrix: Any, size: int, dtype: np.dtype) -> np.ndarray:
    given = np.asarray(as_numbers("rotate", "matrix", matrix))
    if given.shape != (size, size) or given.dtype.kind not in "biuf":
        raise ValueError(
            f"rotate: matrix must be real numbers of shape ({size}, {size}); got {given.dtype} of shape {given.shape}"
        )
    turn = given.astype(np.float64)
    with np.errstate(all="ignore"):
        off = float(np.max(np.abs(turn.T @ turn - np.eye(size)), initial=0.0))
    allowed = _ROUNDINGS * max(size, 1) * float(jnp.finfo(dtype).eps)
    if not off <= allowed:
        raise ValueError(
            f"rotate: matrix must be orthogonal; Q^T Q is off the identity by {off:.2g}, and at most {allowed:.2g} is "
            f"rounding in {dtype.name}"
        )
    return turn


def _rotated(layer: Layer, behind: Layer, turn: np.ndarray, dtype: np.dtype) -> tuple[Layer, Layer]:
    """A linear layer and the one behind it in another basis."""
    bias = bias_values(layer)
    turned = None if bias is None else to_jax(_rounded(turn @ bias.astype(np.float64), dtype))
    first = Layer(Dense(to_jax(_rounded(turn @ _matrix(layer), dtype))), turned, layer.activation)
    second = Dense(to_jax(_rounded(_matrix(behind) @ turn.T, dtype)))
    return first, Layer(second, behind.bias, behind.activation, behind.label)


def _matrix(layer: Layer) -> np.ndarray:
    rows, cols, values = real_entries(layer.linear)
    matrix = np.zeros((layer.out_size, layer.in_size))
    matrix[rows, cols] = values
    return matrix


def _rounded(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Weights as numbers of a dtype, without those that may be flushed to zero."""
    info = jnp.finfo(dtype)
    if not np.all(np.abs(values) <= float(info.max) / 2):
        raise ValueError(f"rotate: the new weights leave the range of {dtype.name}")
    return np.where(np.abs(values) < float(info.tiny), 0.0, values).astype(dtype)


def _moved(claim: Claim, old: Sequence[Layer], new: Sequence[Layer], at: int) -> float:
    """How far the outputs may move over the reals: by `|V' W' - V W|` and how much that shows in them.

    Slopes are bounded on what either network can hold: those of powers and exponentials are largest at its ends.
    """
    low, high = moved_box(claim.domain, margin_of(claim))
    with np.errstate(all="ignore"):
        slope = max(sensitivities(tuple(layers), low, high)[at + 1] for layers in (old, new))
        for layer in old[:at]:
            low, high = layer_range(layer, low, high)
        reach = np.append(np.maximum(np.abs(low), np.abs(high)), 1.0)
        off = float(np.max(_difference(old[at : at + 2], new[at : at + 2]) @ reach, initial=0.0))
        found = off * slope * (1 + 1e-9) if off else 0.0
    return found if math.isfinite(found) else math.inf


def _difference(old: Sequence[Layer], new: Sequence[Layer]) -> np.ndarray:
    """An upper bound of the moduli of `V' W' - V W`, with a column for the biases: a sum in extended precision."""
    left, right = zip(*(_factors(*pair) for pair in (new, old)), strict=True)
    factors, others = np.concatenate([left[0], -left[1]], axis=1), np.concatenate(right, axis=0)
    terms = factors.shape[1] + 2
    rounding = 2 * terms * float(np.finfo(np.longdouble).eps) * (np.abs(factors) @ np.abs(others))
    return (np.abs(factors @ others) + rounding).astype(np.float64) * (1 + 2.0**-50)


def _factors(layer: Layer, behind: Layer) -> tuple[np.ndarray, np.ndarray]:
    with_bias = np.concatenate([_matrix(layer), bias_array(layer)[:, None]], axis=1)
    return _matrix(behind).astype(np.longdouble), with_bias.astype(np.longdouble)
