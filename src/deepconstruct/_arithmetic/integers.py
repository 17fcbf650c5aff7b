"""Networks on grids, run in NumPy: what is exact in any order is so in double precision's matrix products too.

Where `exact_digits` finds that nothing rounds, all numbers are integers times powers of two that double
precision holds, and so are partial sums: neither XLA nor a network's kernels take part.
"""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from ..activations import AbstractActivation, Power, ReLU, Square, Step, groups
from ..linear import AbstractLinear, Composed, DirectSum, Stack
from ..network import Layer, Network, flat_layers
from .intervals import bias_array
from .sums import Weights, entries_of

Function = Callable[[np.ndarray], np.ndarray]


def on_grid(network: Network) -> Function:
    """The network on vectors `(batch, in)` in double precision, for domains on which it is exact: see `exact_digits`.

    It must be real, of this library's own classes, with activations that are polynomials, piecewise or not.
    """
    steps = [_layer(layer) for layer in flat_layers(network)]

    def run(x: np.ndarray) -> np.ndarray:
        units = np.ascontiguousarray(x.T, np.float64)
        for step in steps:
            units = step(units)
        return units.T

    return run


def products(network: Network) -> int:
    """How many products one input takes."""
    return sum(len(part.values) for layer in flat_layers(network) for part in _parts(layer.linear))


def _parts(linear: AbstractLinear) -> list[Weights]:
    if isinstance(linear, Composed):
        return _parts(linear.inner) + _parts(linear.outer)
    if isinstance(linear, Stack | DirectSum):
        return [part for inner in linear.parts for part in _parts(inner)]
    return [entries_of(linear)]


def _layer(layer: Layer) -> Function:
    linear, bias = _map(layer.linear), bias_array(layer)[:, None]
    parts, stops = zip(*groups(layer.activation, layer.out_size), strict=True)
    ends = list(itertools.accumulate(stops))

    def run(units: np.ndarray) -> np.ndarray:
        sums = linear(units) + bias
        if len(parts) == 1:
            return _active(parts[0], sums)
        pieces = zip(parts, [0, *ends], ends, strict=False)
        return np.concatenate([_active(part, sums[first:last]) for part, first, last in pieces])

    return run


def _map(linear: AbstractLinear) -> Function:
    """A map on units `(in, batch)`, factor by factor."""
    if isinstance(linear, Composed):
        inner, outer = _map(linear.inner), _map(linear.outer)
        return lambda units: outer(inner(units))
    if isinstance(linear, Stack):
        maps = [_map(part) for part in linear.parts]
        return lambda units: np.concatenate([part(units) for part in maps])
    if isinstance(linear, DirectSum):
        spans = list(itertools.pairwise([0, *itertools.accumulate(part.in_size for part in linear.parts)]))
        blocks = [(_map(part), *span) for part, span in zip(linear.parts, spans, strict=True)]
        return lambda units: np.concatenate([part(units[first:last]) for part, first, last in blocks])
    weights = entries_of(linear)
    matrix: Any = weights.matrix(weights.values)
    return lambda units: matrix @ units


def _active(activation: AbstractActivation, sums: np.ndarray) -> np.ndarray:
    if isinstance(activation, ReLU):
        return np.maximum(sums, 0)
    if isinstance(activation, Step):
        return (sums > 0).astype(np.float64)
    found = sums
    for _ in range(activation.n - 1 if isinstance(activation, Power) else int(isinstance(activation, Square))):
        found = found * sums
    return found
