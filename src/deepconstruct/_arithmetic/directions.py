"""Layers as functions of few directions: linear forms that several units share.

An exclusive or is a function of one sum, in two ReLU units; interval arithmetic that takes these as independent
gives too much.
"""

import dataclasses
import itertools

import numpy as np

from ..activations import AbstractActivation, Identity, ReLU, groups
from ..linear import AbstractLinear, Composed, DirectSum, Stack
from ..linear.composed import factors
from ..network import Network, flat_layers
from .intervals import bias_array
from .running import Enclosure
from .sums import Weights, entries_of, weights_of

# Weights between this and its inverse, and products and quotients of two of them, are normal in double precision.
_LEAST = 2.0**-200

Ends = tuple[np.ndarray, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Stage:
    """A map, and what follows it: units are functions of a few directions, the rows of `rows`.

    Unit `k` is an activation of `scale[k]`, a power of two, times direction `of[k]`, plus its bias; `starts[k]` is
    where a ReLU unit starts to rise along it.
    """

    weights: Weights
    bias: np.ndarray
    rows: Weights
    of: np.ndarray
    scale: np.ndarray
    starts: np.ndarray
    parts: tuple[tuple[AbstractActivation, int], ...]

    @property
    def spans(self) -> list[tuple[AbstractActivation, int, int]]:
        """The activations with the units that they are of."""
        stops = list(itertools.accumulate(width for _, width in self.parts))
        return [(part, stop - width, stop) for (part, width), stop in zip(self.parts, stops, strict=True)]

    @property
    def is_relu(self) -> np.ndarray:
        """Which units are ReLU units."""
        return np.concatenate([np.full(width, isinstance(part, ReLU)) for part, width in self.parts])


def stages(network: Network) -> list[Stage]:
    """The factors of all layers.

    Raises:
        TypeError: maps without a rule, or of several factors side by side.
    """
    found = []
    for layer in flat_layers(network):
        *inner, last = factors(layer.linear)
        found += [_stage(part, np.zeros(part.out_size), ((Identity(), part.out_size),)) for part in inner]
        found.append(_stage(last, bias_array(layer), tuple(groups(layer.activation, layer.out_size))))
    return found


def _stage(linear: AbstractLinear, bias: np.ndarray, parts: tuple[tuple[AbstractActivation, int], ...]) -> Stage:
    _check(linear)
    weights, known, of = entries_of(linear), {}, np.zeros(linear.out_size, int)
    sizes = np.abs(np.concatenate([weights.values, bias[bias != 0]]))
    if not np.all((sizes >= _LEAST) & (sizes <= 1 / _LEAST)):
        raise TypeError(
            "slopes are followed through weights of usual size only: else their products may leave the range"
        )
    ends = np.searchsorted(weights.rows, np.arange(linear.out_size + 1))
    scale, entries = np.ones(linear.out_size), []
    for unit, (first, last) in enumerate(itertools.pairwise(ends)):
        cols, values = weights.cols[first:last], weights.values[first:last]
        order = np.argsort(cols)
        cols, values = cols[order], values[order]
        if len(values):
            scale[unit] = np.ldexp(1.0, np.frexp(np.abs(values).max())[1] - 1)
        row = values / scale[unit]
        of[unit] = known.setdefault((cols.tobytes(), row.tobytes()), len(known))
        if of[unit] == len(entries):
            entries.append((cols, row))
    numbers = np.repeat(np.arange(len(entries)), [len(cols) for cols, _ in entries])
    rows = Weights(
        numbers,
        np.concatenate([cols for cols, _ in entries]),
        np.concatenate([row for _, row in entries]),
        (len(entries), linear.in_size),
        sum_first=False,
    )
    return Stage(weights, bias, rows, of, scale, -bias / scale, parts)


def _check(linear: AbstractLinear, *, alone: bool = True) -> None:
    """Refuse maps that aren't run as sums of their entries times inputs, in any order."""
    if isinstance(linear, Stack | DirectSum):
        for part in linear.parts:
            _check(part, alone=False)
    elif isinstance(linear, Composed) or (weights_of(linear).sum_first and not alone):
        raise TypeError("slopes don't go through maps of several factors side by side")


def narrowed(sums: Enclosure, stage: Stage, before: tuple[Stage, Enclosure] | None) -> Enclosure:
    """Pre-activations, held in what ReLU units of one direction before them can give together.

    Such a sum is piecewise linear along its direction: its largest and least values are at an end, or where a unit
    starts to rise.
    """
    if before is None or not np.any(before[0].is_relu):
        return sums
    earlier, inputs = before
    if not np.all(earlier.is_relu):
        return sums
    kind = sums.low.dtype
    low, high = _directions(earlier, inputs)
    values = stage.rows.values * earlier.scale[stage.rows.cols]
    pairs, places = np.unique(
        stage.rows.rows * earlier.rows.shape[0] + earlier.of[stage.rows.cols], return_inverse=True
    )
    above, at = np.divmod(pairs, earlier.rows.shape[0])
    bottoms, tops = np.zeros((2, len(low), stage.rows.shape[0]), kind)
    for pair, (a, b) in enumerate(zip(above.tolist(), at.tolist(), strict=True)):
        members = np.flatnonzero(places == pair)
        bottom, top = _bends(values[members], earlier.starts[stage.rows.cols[members]], low[:, b], high[:, b])
        bottoms[:, a] += bottom
        tops[:, a] += top
    # Each of these sums rounds relative to the sizes of its terms, as those of the enclosure did.
    unit = float(np.finfo(kind).eps)
    sizes = np.maximum(np.abs(inputs.low), np.abs(inputs.high)).clip(0)
    mass = stage.rows.times(np.abs(stage.rows.values), sizes)
    room = (stage.rows.shape[1] + 16) * unit * mass
    ends = [(end[:, stage.of] * stage.scale + stage.bias) for end in (bottoms - room, tops + room)]
    slack = 4 * unit * (np.maximum(np.abs(ends[0]), np.abs(ends[1])) + np.abs(stage.bias))
    low = np.where(np.isfinite(sums.error), np.fmax(sums.low, ends[0] - slack), sums.low)
    high = np.where(np.isfinite(sums.error), np.fmin(sums.high, ends[1] + slack), sums.high)
    return Enclosure(low, high, sums.error, sums.step)


def _directions(stage: Stage, sums: Enclosure) -> Ends:
    """Between which numbers the directions of a stage lie."""
    first = np.unique(stage.of, return_index=True)[1]
    unit = 4 * float(np.finfo(sums.low.dtype).eps)
    ends = [(end[:, first] - stage.bias[first]) / stage.scale[first] for end in (sums.low, sums.high)]
    room = unit * (np.maximum(np.abs(ends[0]), np.abs(ends[1])) + np.abs(stage.starts[first]))
    return ends[0] - room, ends[1] + room


def _bends(factors: np.ndarray, starts: np.ndarray, low: np.ndarray, high: np.ndarray) -> Ends:
    """The range of `sum_k factors[k] relu(s - starts[k])` for `s` in intervals."""
    points = np.concatenate([low[:, None], high[:, None], np.clip(starts, low[:, None], high[:, None])], axis=1)
    values = (factors * np.maximum(points[:, :, None] - starts, 0)).sum(axis=2)
    return values.min(axis=1), values.max(axis=1)
