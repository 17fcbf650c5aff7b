"""Changes of hidden units that leave the function alone, and a form without them."""

import dataclasses

import numpy as np
from jaxtyping import Inexact, Int

from .._bias import bias_vector
from ..activations import AbstractActivation, Identity, Power, ReLU, Sigmoid, Sin, Softmax, Square, Step, Tanh, groups
from ..linear import as_matrix
from ..network import Layer, Network, flat_layers

# Rounds of balancing: each moves scales by one layer, so deep networks need many.
_ROUNDS, _SETTLED = 2000, 1e-13

# One affine map, with the bias as its last column.
Matrix = Inexact[np.ndarray, "out columns"]


@dataclasses.dataclass(frozen=True)
class Units:
    """The hidden units of a layer that may change places, and what may be done to each.

    Attributes:
        indices: which units.
        degree: `f(a z) = a^degree f(z)` for `a > 0`; `None` if that holds for no degree.
        sign: -1 if `f(-z) = -f(z)`, 1 if `f(-z) = f(z)`, 0 if neither.
        phase: whether `f(a z) = a f(z)` for all complex `a`, and the weights are complex.
    """

    indices: Int[np.ndarray, " units"]
    degree: int | None
    sign: int
    phase: bool


def hidden_units(layer: Layer, is_complex: bool) -> list[Units]:
    """The units of a layer by activation."""
    found: dict[object, list[int]] = {}
    kinds: dict[object, AbstractActivation] = {}
    first = 0
    for index, (activation, width) in enumerate(groups(layer.activation, layer.out_size)):
        # Units of one softmax may change places among themselves only.
        name = (index, activation) if isinstance(activation, Softmax) else activation
        found.setdefault(name, []).extend(range(first, first + width))
        kinds[name] = activation
        first += width
    return [_units(kinds[name], np.array(indices), is_complex) for name, indices in found.items()]


def _units(activation: AbstractActivation, indices: np.ndarray, is_complex: bool) -> Units:
    match activation:
        case Identity():
            degree, sign = 1, -1
        case Power():
            degree, sign = activation.n, 1 if activation.n % 2 == 0 else -1
        case Square():
            degree, sign = 2, 1
        case ReLU():
            degree, sign = 1, 0
        case Step():
            degree, sign = 0, 0
        case Tanh() | Sin() | Sigmoid():  # the sigmoid without its constant half, which `canonical` moves
            degree, sign = None, -1
        case _:
            degree, sign = None, 0
    return Units(indices, degree, sign, is_complex and sign == -1 and degree == 1)


def canonical(network: Network) -> list[Matrix]:
    """The affine maps of the same function in double precision, `[W | b]` each, in a form of its own.

    A sigmoid is read as one half and an odd function; the half goes into the bias behind it. Units
    that may be scaled are balanced, which gives the smallest norm of all rescaled weights: unique up
    to signs and phases, and continuous. Units that can't matter are zero.
    """
    layers = flat_layers(network)
    is_complex = np.issubdtype(network.dtype, np.complexfloating)
    maps = [_affine(layer, np.complex128 if is_complex else np.float64) for layer in layers]
    for layer, after in zip(layers[:-1], maps[1:], strict=True):
        after[:, -1] += after[:, :-1] @ _constant_part(layer)
    units = [hidden_units(layer, is_complex) for layer in layers[:-1]]
    for _ in range(_ROUNDS):
        moved = [_balance(part, before, after) for group, before, after in _joints(units, maps) for part in group]
        if max(moved, default=0) <= _SETTLED:
            break
    return maps


def _affine(layer: Layer, dtype: type) -> Matrix:
    bias = bias_vector(layer.bias)
    column = np.zeros(layer.out_size) if bias is None else np.asarray(bias)
    return np.concatenate([np.asarray(as_matrix(layer.linear)).astype(dtype), column[:, None].astype(dtype)], axis=1)


def _constant_part(layer: Layer) -> np.ndarray:
    """What is added to an odd function by each unit of a layer."""
    parts = groups(layer.activation, layer.out_size)
    return np.concatenate([np.full(width, 0.5 if isinstance(part, Sigmoid) else 0.0) for part, width in parts])


def _joints(units: list[list[Units]], maps: list[Matrix]) -> list[tuple[list[Units], Matrix, Matrix]]:
    return list(zip(units, maps[:-1], maps[1:], strict=True))


def _balance(units: Units, before: Matrix, after: Matrix) -> float:
    """Scale units, in place, to the smallest norm of the weights around them; how far they moved."""
    if units.degree is None:
        return 0.0
    into, out = (np.linalg.norm(before[units.indices], axis=1), np.linalg.norm(after[:, units.indices], axis=0))
    dead = (into == 0) | (out == 0)
    scale = np.ones_like(into)
    if units.degree == 0:
        # The output doesn't depend on the scale, so weights of norm 1 are as good as any.
        scale = 1 / np.where(into == 0, 1, into)
    else:
        # The minimum of a^2 into^2 + a^(-2 degree) out^2.
        ratio = np.sqrt(units.degree) * out / np.where(dead, 1, into)
        scale[~dead] = ratio[~dead] ** (1 / (units.degree + 1))
        before[units.indices[dead]] = 0
        after[:, units.indices[dead]] = 0
    before[units.indices] *= scale[:, None]
    after[:, units.indices] *= scale ** -float(units.degree)
    return float(np.max(np.abs(np.log(scale))))
