"""How much what happens inside a network shows in its output, on intervals."""

import itertools
from functools import singledispatch

import numpy as np

from ..activations import AbstractActivation, Concatenate, Exp, Power, Square
from ..linear.queries import concrete_entries
from ..network import Layer
from .intervals import affine_range, bias_array, layer_range


def sensitivities(layers: tuple[Layer, ...], low: np.ndarray, high: np.ndarray) -> list[float]:
    """For each layer the Lipschitz constant, in the max norm, from its pre-activations to the output.

    Inputs lie in `[low, high]`; the constants may be infinite.
    """
    slopes, norms = [], []
    for layer in layers:
        slopes.append(slope_bound(layer.activation, *affine_range(layer, low, high)))
        norms.append(_norm(layer))
        low, high = layer_range(layer, low, high)
    total, found = 1.0, []
    for slope, norm in zip(reversed(slopes), reversed(norms), strict=True):
        total *= slope
        found.append(total)
        total = total * norm if norm else 0.0
    return found[::-1]


def moduli_through(layer: Layer, moduli: np.ndarray) -> np.ndarray:
    """`|W| moduli + |b|`: what the sums of a layer can add up to in modulus, in any order."""
    rows, cols, values = concrete_entries(layer.linear)
    return np.bincount(rows, np.abs(values) * moduli[cols], layer.out_size) + np.abs(bias_array(layer))


def _norm(layer: Layer) -> float:
    rows, _, values = concrete_entries(layer.linear)
    return float(np.bincount(rows, np.abs(values), layer.out_size).max(initial=0.0))


@singledispatch
def slope_bound(activation: AbstractActivation, low: np.ndarray, high: np.ndarray) -> float:
    """The largest slope of an activation on any of the intervals."""
    return activation.lipschitz()


@slope_bound.register
def _(activation: Square, low, high):
    return slope_bound(Power(2), low, high)


@slope_bound.register
def _(activation: Power, low, high):
    largest = float(np.maximum(np.abs(low), np.abs(high)).max())
    return activation.n * largest ** (activation.n - 1)


@slope_bound.register
def _(activation: Exp, low, high):
    return float(np.exp(high.max()))


@slope_bound.register
def _(activation: Concatenate, low, high):
    ends = itertools.accumulate(activation.widths, initial=0)
    spans = [slice(start, stop) for start, stop in itertools.pairwise(ends)]
    parts = zip(activation.activations, spans, strict=True)
    return max(slope_bound(part, low[span], high[span]) for part, span in parts)
