"""Networks of steps and ReLUs as dense matrices in double precision, factor by factor."""

import copy
from typing import Any

import numpy as np

from ..._arithmetic.intervals import bias_array
from ...activations import Identity, ReLU, Step, groups
from ...linear import (
    AbstractLinear,
    BlockDiagonal,
    Dense,
    DirectSum,
    Identity as Same,
    Kronecker,
    Permutation,
    Sparse,
    Stack,
)
from ...linear.composed import factors
from ...linear.queries import concrete_entries
from ...network import Network, flat_layers

WIDEST = 2**11
# So many weights are rounded one by one; of more only the sum of the moduli is.
ENTRIES = 2**11

ACTIVATIONS = (Identity, ReLU, Step)
_PLAIN = (BlockDiagonal, Dense, Kronecker, Permutation, Same, Sparse)


class Stage:
    """One linear factor with its bias and activations, as dense matrices in double precision."""

    def __init__(self, linear: AbstractLinear, bias: np.ndarray, kinds: tuple[tuple[type, int], ...]):
        rows, cols, values = concrete_entries(linear)
        weights = np.zeros((linear.out_size, linear.in_size))
        weights[rows, cols] = values
        self.weights, self.bias, self.kinds = weights, bias, kinds
        self.sizes = np.abs(weights)
        self.inexact = (weights != 0) & (np.frexp(self.sizes)[0] != 0.5)
        self.positive, self.negative = np.maximum(weights, 0), np.maximum(-weights, 0)
        self.entries = np.nonzero(self.inexact)
        self.sums = np.zeros((len(self.entries[0]), len(weights)))
        if len(self.sums) <= ENTRIES:
            self.sums[np.arange(len(self.sums)), self.entries[0]] = 1

    @property
    def key(self) -> tuple[Any, ...]:
        """Equal for stages that compute the same."""
        return self.weights.shape, self.weights.tobytes(), self.bias.tobytes(), self.kinds

    def values(self, x: np.ndarray) -> np.ndarray:
        """The stage at points, in double precision."""
        sums, parts, start = x @ self.weights.T + self.bias, [], 0
        for kind, width in self.kinds:
            part = sums[:, start : start + width]
            parts.append(
                part if kind is Identity else np.maximum(part, 0) if kind is ReLU else (part > 0).astype(float)
            )
            start += width
        return np.concatenate(parts, axis=1)

    def wide(self) -> "Stage":
        """In extended precision."""
        wide = copy.copy(self)
        for name in ("weights", "bias", "sizes", "positive", "negative"):
            setattr(wide, name, getattr(self, name).astype(np.longdouble))
        return wide

    def least(self) -> float:
        """The smallest modulus of a weight or a bias that isn't zero."""
        stored = np.concatenate([self.sizes.ravel(), np.abs(self.bias)])
        return float(stored[stored > 0].min(initial=np.inf))


def is_plain(linear: AbstractLinear) -> bool:
    """Whether a map's factors are single sums of products of stored weights."""
    return all(_is_one_sum(factor) for factor in factors(linear))


def _is_one_sum(linear: AbstractLinear) -> bool:
    if type(linear) is Stack or type(linear) is DirectSum:
        return all(map(_is_one_sum, linear.parts))
    return type(linear) in _PLAIN


def stages_of(network: Network) -> tuple[Stage, ...]:
    """The network factor by factor."""
    found = []
    for layer in flat_layers(network):
        *inner, last = factors(layer.linear)
        for factor in inner:
            found.append(Stage(factor, np.zeros(factor.out_size), ((Identity, factor.out_size),)))
        kinds = tuple((type(part), width) for part, width in groups(layer.activation, layer.out_size))
        found.append(Stage(last, bias_array(layer), kinds))
    return tuple(found)
