"""The range of parity trees on boxes: tents composed.

A gate of the tree of ReLUs is `relu(s) - 2 relu(s - 1)`, a tent, which is at most 1 for every real `s`; so `k` trees
add up to at most `k`, whatever their leaves are. Leaves are affine functions of a few variables. At a chosen point they
are such that every tree gives 1: from the root down, a gate's value `v` is the tent of `v` or `2 - v`, and that sum is
shared out between its two children. Elsewhere local maxima are many, and the more trees there are, the lower they lie.
"""

from fractions import Fraction

import numpy as np

from ..constructions import parity as tree
from ..linear import as_matrix
from ..network import flat_layers
from ._matrices import Matrices, read_out, side_by_side
from ._problem import Family, Problem, unit_box

_MARGIN = Fraction(1, 4)
# Leaves have coefficients of 2 to 4, in eighths; places and values are multiples of 1/64.
_STEEPEST, _EIGHTH, _GRID = 32, 8, 64


def draw(difficulty: int, holds: bool, generator: np.random.Generator) -> Problem:
    """Trees on affine functions, and what they add up to beside the largest that they can."""
    size, depth = 4 * difficulty, 2 if difficulty < 3 else 3
    count = 1 if difficulty == 1 else size * 5 // 2
    point = [Fraction(int(place), _GRID) for place in generator.integers(8, 57, size)]
    parts = [_tree(point, depth, generator) for _ in range(count)]
    layers = read_out(side_by_side(parts, shared=True), np.ones(count))
    unsafe = ((">=", count + (_MARGIN if holds else -_MARGIN)),)
    volume = ("exact", Fraction(0)) if holds else ("at least", _volume(parts, size))
    pieces = f"{count} trees of {depth} tents, one in another"
    return Problem(layers, *unit_box(size), unsafe, None if holds else tuple(point), volume, pieces)


def _tree(point: list[Fraction], depth: int, generator: np.random.Generator) -> Matrices:
    """The tree of the library on affine functions of one variable each, such that it gives 1 at a point."""
    slopes = np.zeros((2**depth, len(point)))
    for row in slopes:
        steepness = generator.integers(_STEEPEST // 2, _STEEPEST + 1)
        row[generator.integers(0, len(point))] = generator.choice([-1, 1]) * steepness / _EIGHTH
    values = np.array([float(value) for value in _leaves(Fraction(1), depth, generator)])
    constants = values - slopes @ np.array([float(x) for x in point])
    found = []
    for layer in flat_layers(tree(2**depth, dtype="float32").network):
        weights = np.asarray(as_matrix(layer.linear), float)
        found.append((weights, np.zeros(len(weights)) if layer.bias is None else np.asarray(layer.bias, float)))
    (weights, bias), *rest = found
    return [(weights @ slopes, weights @ constants + bias), *rest]


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


def _volume(parts: list[Matrices], size: int) -> Fraction:
    """Of a cube around the point in which the trees lose less than the margin: a tent passes on slopes of 2 inputs."""
    slope = sum(float(np.abs(layers[0][0]).sum(axis=1).max()) * 2 ** (len(layers) - 2) for layers in parts)
    return (_MARGIN / Fraction(slope)) ** size


FAMILY = Family(
    "the largest sum of parity trees of affine functions on a box",
    "the root of every tree is relu(s) - 2 relu(s - 1), which is at most 1 for every real s, so that k trees add up to "
    "at most k",
    draw,
)
