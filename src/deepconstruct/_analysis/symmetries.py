"""Changes of hidden units that leave the function alone, and a form without them."""

import dataclasses
from collections.abc import Sequence

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
# The activations of a layer with the number of units of each, in order.
Groups = Sequence[tuple[AbstractActivation, int]]


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


def hidden_groups(network: Network) -> list[Groups]:
    """The activations of the units of every hidden layer."""
    return [groups(layer.activation, layer.out_size) for layer in flat_layers(network)[:-1]]


def hidden_units(kinds_in_order: Groups, is_complex: bool) -> list[Units]:
    """The units of a layer by activation."""
    found: dict[object, list[int]] = {}
    kinds: dict[object, AbstractActivation] = {}
    first = 0
    for index, (activation, width) in enumerate(kinds_in_order):
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

    A sigmoid is read as one half and an odd function; the half goes into the bias behind it. Then units
    are `balanced`.
    """
    layers = flat_layers(network)
    is_complex = np.issubdtype(network.dtype, np.complexfloating)
    maps = [_affine(layer, np.complex128 if is_complex else np.float64) for layer in layers]
    for kinds, after in zip(hidden_groups(network), maps[1:], strict=True):
        after[:, -1] += after[:, :-1] @ _constant_part(kinds)
    return balanced(maps, hidden_groups(network))


def balanced(maps: list[Matrix], hidden: list[Groups]) -> list[Matrix]:
    """The maps with those units balanced that may be scaled: the smallest norm of all rescaled weights.

    Unique up to signs and phases, and continuous. Units that can't matter are zero.
    """
    maps = [matrix.copy() for matrix in maps]
    units = [hidden_units(kinds, np.iscomplexobj(maps[0])) for kinds in hidden]
    for _ in range(_ROUNDS):
        moved = [_balance(part, before, after) for group, before, after in _joints(units, maps) for part in group]
        if max(moved, default=0) <= _SETTLED:
            break
    return maps


def widened(maps: list[Matrix], hidden: list[Groups], wider: list[Groups]) -> list[Matrix]:
    """The maps with units of zero weights behind those of each group, up to the wider groups."""
    ends = [np.arange(maps[0].shape[1] - 1), *map(places_among, hidden, wider), np.arange(maps[-1].shape[0])]
    sizes = [len(ends[0]), *(sum(width for _, width in kinds) for kinds in wider), len(ends[-1])]
    found = []
    for k, matrix in enumerate(maps):
        wide = np.zeros((sizes[k + 1], sizes[k] + 1), matrix.dtype)
        wide[np.ix_(ends[k + 1], np.append(ends[k], sizes[k]))] = matrix
        found.append(wide)
    return found


def places_among(kinds: Groups, wider: Groups) -> Int[np.ndarray, " units"]:
    """Where the units of a layer stand in the layer whose groups are as wide or wider."""
    starts = np.cumsum([0, *(width for _, width in wider)])
    parts = [start + np.arange(width) for start, (_, width) in zip(starts[:-1], kinds, strict=True)]
    return np.concatenate(parts)


def _affine(layer: Layer, dtype: type) -> Matrix:
    bias = bias_vector(layer.bias)
    column = np.zeros(layer.out_size) if bias is None else np.asarray(bias)
    return np.concatenate([np.asarray(as_matrix(layer.linear)).astype(dtype), column[:, None].astype(dtype)], axis=1)


def _constant_part(kinds: Groups) -> np.ndarray:
    """What is added to an odd function by each unit of a layer."""
    return np.concatenate([np.full(width, 0.5 if isinstance(part, Sigmoid) else 0.0) for part, width in kinds])


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
