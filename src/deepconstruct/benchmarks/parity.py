"""The range of parity trees on boxes: tents composed.

A gate of the tree of ReLUs is `relu(s) - 2 relu(s - 1)`, a tent, which is at most 1 for every real `s`; so `k` trees add
up to at most `k`, whatever their leaves are. Leaves are affine functions of a few variables. At a chosen point they are
such that every tree gives 1: from the root down, a gate's value `v` is the tent of `v` or `2 - v`, and that sum is
shared out between its two children. Elsewhere local maxima are many, and the more trees there are, the lower they lie.
"""

from fractions import Fraction
from typing import Any

import numpy as np

from ..constructions import parity as tree
from ..linear import as_matrix
from ..network import flat_layers
from ._matrices import Matrices, read_out, side_by_side
from ._problem import Family, Problem, fractions, sum_rounding, texts

_MARGIN = Fraction(1, 4)
# Leaves have coefficients of 2 to 4, in eighths; places and values are multiples of 1/64.
_STEEPEST, _EIGHTH, _GRID = 32, 8, 64


def draw(difficulty: int, holds: bool, generator: np.random.Generator) -> dict[str, Any]:
    """Trees, the coefficients of their leaves, and the leaves' values at a point."""
    variables, depth = 4 * difficulty, 2 if difficulty < 3 else 3
    trees = 1 if difficulty == 1 else variables * 5 // 2
    point = [Fraction(int(place), _GRID) for place in generator.integers(8, 57, variables)]
    slopes = np.zeros((trees, 2**depth, variables), int)
    for tree in slopes:
        for leaf in tree:
            leaf[generator.integers(0, variables)] = generator.choice([-1, 1]) * generator.integers(
                _STEEPEST // 2, _STEEPEST + 1
            )
    values = [_leaves(Fraction(1), depth, generator) for _ in range(trees)]
    return {
        "holds": holds,
        "point": texts(point),
        "slopes": slopes.tolist(),
        "values": texts(values),
    }


def _leaves(value: Fraction, depth: int, generator: np.random.Generator) -> list[Fraction]:
    """Values of the leaves of a tree that gives `value`, between 0 and 1."""
    if depth == 0:
        return [value]
    total = value if generator.integers(0, 2) else 2 - value
    low, high = max(total - 1, Fraction(0)), min(total, Fraction(1))
    left = low + Fraction(int(generator.integers(0, int((high - low) * _GRID) + 1)), _GRID)
    first, second = (_leaves(part, depth - 1, generator) for part in (left, total - left))
    # The tree of `dc.parity` pairs leaf i with leaf i + half at every level, from the leaves up.
    return [leaf for pair in zip(first, second, strict=True) for leaf in pair]


def build(parameters: dict[str, Any], copies: int = 1) -> Problem:
    point, variables = fractions(parameters["point"]), len(parameters["point"])
    trees, leaves = len(parameters["slopes"]), len(parameters["values"][0])
    parts = []
    for slopes, values in zip(parameters["slopes"], parameters["values"], strict=True):
        constants = [
            value - sum((Fraction(s, _EIGHTH) * x for s, x in zip(row, point, strict=True)), Fraction(0))
            for row, value in zip(slopes, fractions(values), strict=True)
        ]
        parts.append(_on_forms(leaves, np.array(slopes) / _EIGHTH, np.array([float(c) for c in constants])))
    layers = read_out(side_by_side(parts, shared=True), np.ones(trees))
    threshold = trees + (_MARGIN if parameters["holds"] else -_MARGIN)
    volume = ("exact", Fraction(0)) if parameters["holds"] else ("at least", _volume(parts, variables))
    return Problem(
        layers, (Fraction(0),) * variables, (Fraction(1),) * variables, ((">=", threshold),),
        _rounding(parameters, leaves, copies), volume, f"{trees} trees of {leaves.bit_length() - 1} tents, one in another",
    )  # fmt: skip


def _on_forms(leaves: int, slopes: np.ndarray, constants: np.ndarray) -> Matrices:
    """The tree of the library on affine functions."""
    found = []
    for layer in flat_layers(tree(leaves, dtype="float32").network):
        weights = np.asarray(as_matrix(layer.linear), float)
        bias = np.zeros(len(weights)) if layer.bias is None else np.asarray(layer.bias, float)
        found.append((weights, bias))
    (weights, bias), *rest = found
    return [(weights @ slopes, weights @ constants + bias), *rest]


def _rounding(parameters: dict[str, Any], leaves: int, copies: int) -> Fraction:
    """Both units of a gate round apart, and its tent has slopes of modulus 1 in the sum of two wires.

    Wires are at most 1, so that sums of two are at most 2 but for those of leaves.
    """
    slopes = np.abs(np.array(parameters["slopes"]))
    largest = 2 + 2 * Fraction(int(slopes.sum(axis=2).max()), _EIGHTH)
    off, made = Fraction(0), sum_rounding(slopes.shape[2] + 1, 2 * largest + 1)
    for _ in range(leaves.bit_length() - 2):
        off = 2 * (off + 3 * made)
        made, largest = sum_rounding(4 * copies + 1, 6 * largest + 1), Fraction(2)
    trees = len(slopes)
    return trees * (off + 3 * made) + sum_rounding(2 * trees * copies, 3 * largest * trees)


def _volume(parts: list[Matrices], variables: int) -> Fraction:
    """Of a cube around the point in which the trees lose less than the margin: their slopes are bounded by weights."""
    slope = sum(float(np.abs(layers[0][0]).sum(axis=1).max()) * 3 ** (len(layers) - 2) for layers in parts)
    return (_MARGIN / Fraction(slope)) ** variables


def bounds(parameters: dict[str, Any]) -> tuple[None, Fraction]:
    """Every tree gives at most 1."""
    return None, Fraction(len(parameters["slopes"]))


def witness(parameters: dict[str, Any]) -> tuple[Fraction, ...]:
    """Where all trees give 1."""
    return tuple(fractions(parameters["point"]))


FAMILY = Family(
    "the largest sum of parity trees of affine functions on a box",
    "the root of every tree is relu(s) - 2 relu(s - 1), which is at most 1 for every real s, so that k trees add up to "
    "at most k",
    draw,
    build,
    bounds,
    witness,
)
