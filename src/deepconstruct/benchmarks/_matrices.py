"""ReLU networks as matrices in NumPy: in rational numbers, and differentiated."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from ..network import Network

# Weights and biases, the first layer first: ReLU behind all but the last. Entries are floats of 32 bits.
Matrices = list[tuple[np.ndarray, np.ndarray]]


def network_of(layers: Matrices) -> Network:
    """The network in 32 bits, whose weights are exactly those given."""
    return Network.from_matrices([w for w, _ in layers], [b for _, b in layers], "relu", dtype="float32")


def rational(layers: Matrices) -> list[tuple[list[dict[int, Fraction]], list[Fraction]]]:
    """The network as rows of fractions, without zeros."""
    found = []
    for weights, bias in layers:
        rows: list[dict[int, Fraction]] = [{} for _ in bias]
        for row, col in np.argwhere(weights).tolist():
            rows[row][col] = Fraction(float(weights[row, col]))
        found.append((rows, [Fraction(float(b)) for b in bias]))
    return found


def with_gradient(layers: Matrices, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first output `(count,)` and its gradient `(count, in)`, in the dtype of `x`."""
    values, active = x, []
    for index, (weights, bias) in enumerate(layers):
        values = values @ weights.T + bias
        if index < len(layers) - 1:
            active.append(values > 0)
            values = values * active[-1]
    back = np.repeat(layers[-1][0][:1], len(x), axis=0)
    for (weights, _), on in zip(layers[-2::-1], active[::-1], strict=True):
        back = (back * on) @ weights
    return values[:, 0], back


def side_by_side(parts: Sequence[Matrices], *, shared: bool) -> Matrices:
    """Networks of equal depth side by side, each with inputs of its own or all on the same ones."""
    found = []
    for index, layers in enumerate(zip(*parts, strict=True)):
        bias = np.concatenate([b for _, b in layers])
        blocks = [w for w, _ in layers]
        joined = np.concatenate(blocks) if shared and index == 0 else _diagonal(blocks)
        found.append((joined, bias))
    return found


def read_out(layers: Matrices, weights: Any, bias: float = 0.0) -> Matrices:
    """The network whose last layer is multiplied by one more, linear one."""
    row = np.atleast_2d(np.asarray(weights, float))
    last, constant = layers[-1]
    return [*layers[:-1], (row @ last, row @ constant + bias)]


def _diagonal(blocks: Sequence[np.ndarray]) -> np.ndarray:
    rows, cols = (sum(block.shape[axis] for block in blocks) for axis in (0, 1))
    whole, row, col = np.zeros((rows, cols)), 0, 0
    for block in blocks:
        whole[row : row + block.shape[0], col : col + block.shape[1]] = block
        row, col = row + block.shape[0], col + block.shape[1]
    return whole


def is_held(layers: Matrices) -> bool:
    """Whether all weights are floats of 32 bits."""
    return all(np.array_equal(part.astype(np.float32), part) for layer in layers for part in layer)
