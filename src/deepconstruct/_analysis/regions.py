"""Exact counts of linear regions along a line, in rational arithmetic."""

import dataclasses
import itertools
from fractions import Fraction
from typing import Any

import numpy as np

from .._arithmetic.intervals import bias_array
from ..activations import Identity, ReLU, groups
from ..construction import Construction, as_network
from ..linear.composed import factors
from ..linear.queries import concrete_entries
from ..network import Layer, Network, flat_layers
from ..systems.exact import as_fraction

Values = list[Fraction]


@dataclasses.dataclass(frozen=True)
class LinearRegions:
    """The pieces of a ReLU network on a segment.

    Attributes:
        count: pieces on which the output is affine, neighbors with one slope counted as one.
        activation_regions: pieces on which all units keep their signs, at least `count`.
        breakpoints: where the output's slope changes, as fractions between 0 (`start`) and 1 (`stop`).
    """

    count: int
    activation_regions: int
    breakpoints: tuple[Fraction, ...]


def linear_regions(network: Network | Construction, start: Any, stop: Any) -> LinearRegions:
    """Count the linear regions of a ReLU network on the segment from `start` to `stop`.

    Weights are taken as the rationals they are, and nothing is rounded: regions narrower than the
    spacing of floats are found, too.

    Args:
        network: a network or construction of ReLU and identity layers.
        start: one end, a vector of `in_size` numbers (a number, for one input).
        stop: the other end.

    Returns:
        The counts and breakpoints, as a frozen record.

    Raises:
        ValueError: other activations, ends of another size, not finite, or equal.

    *Cost*: one exact sum a synapse and breakpoint; seconds for some thousand regions.

    Example:
        >>> import deepconstruct as dc
        >>> dc.linear_regions(dc.parity(2), [0, 0], [1, 1]).count
        2
        >>> dc.linear_regions(dc.fractal(dc.systems.cantor(), 3), -1, 1).count > 2**3
        True
    """
    net = as_network("linear_regions", network)
    begin, end = (_end(net, name, value) for name, value in (("start", start), ("stop", stop)))
    if begin == end:
        raise ValueError("linear_regions: start and stop must differ")
    times, values = [Fraction(0), Fraction(1)], [begin, end]
    for layer in flat_layers(net):
        times, values = _through(layer, times, values)
    breaks = _breaks(times, values)
    return LinearRegions(len(breaks) + 1, len(times) - 1, tuple(breaks))


def _end(net: Network, name: str, value: Any) -> Values:
    numbers = np.atleast_1d(np.asarray(value, dtype=object))
    if numbers.shape != (net.in_size,):
        raise ValueError(f"linear_regions: {name} must have {net.in_size} numbers; got shape {numbers.shape}")
    try:
        return [as_fraction(number) for number in numbers.tolist()]
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"linear_regions: {name} must be finite numbers; got {value!r}") from None


def _through(layer: Layer, times: Values, values: list[Values]) -> tuple[Values, list[Values]]:
    """Values at all breakpoints, with those added at which a unit changes its sign."""
    rectified = _rectified(layer)
    for linear in factors(layer.linear):
        rows, cols, weights = (array.tolist() for array in concrete_entries(linear))
        terms = [(row, col, Fraction(weight)) for row, col, weight in zip(rows, cols, weights, strict=True)]
        values = [_product(terms, x, linear.out_size) for x in values]
    bias = [Fraction(value) for value in bias_array(layer).tolist()]
    values = [[a + b for a, b in zip(x, bias, strict=True)] for x in values]
    times, values = _with_zeros(times, values, rectified)
    return times, [[max(a, Fraction(0)) if cut else a for a, cut in zip(x, rectified, strict=True)] for x in values]


def _rectified(layer: Layer) -> list[bool]:
    """Which units have a ReLU."""
    found: list[bool] = []
    for activation, width in groups(layer.activation, layer.out_size):
        if not isinstance(activation, ReLU | Identity):
            raise ValueError(f"linear_regions: expected ReLU and identity layers; got {activation.name()}")
        found += [isinstance(activation, ReLU)] * width
    return found


def _product(terms: list[tuple[int, int, Fraction]], x: Values, size: int) -> Values:
    sums = [Fraction(0)] * size
    for row, col, weight in terms:
        if x[col]:
            sums[row] += weight * x[col]
    return sums


def _with_zeros(times: Values, values: list[Values], rectified: list[bool]) -> tuple[Values, list[Values]]:
    new_times, new_values = times[:1], values[:1]
    for (t0, t1), (z0, z1) in zip(itertools.pairwise(times), itertools.pairwise(values), strict=True):
        shares = {a / (a - b) for a, b, cut in zip(z0, z1, rectified, strict=True) if cut and a * b < 0}
        for share in sorted(shares):
            new_times.append(t0 + share * (t1 - t0))
            new_values.append([a + share * (b - a) for a, b in zip(z0, z1, strict=True)])
        new_times.append(t1)
        new_values.append(z1)
    return new_times, new_values


def _breaks(times: Values, values: list[Values]) -> Values:
    slopes = [
        [(b - a) / (t1 - t0) for a, b in zip(z0, z1, strict=True)]
        for (t0, t1), (z0, z1) in zip(itertools.pairwise(times), itertools.pairwise(values), strict=True)
    ]
    return [t for t, (before, after) in zip(times[1:-1], itertools.pairwise(slopes), strict=True) if before != after]
