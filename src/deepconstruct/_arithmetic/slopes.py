"""How steeply the outputs of a network depend on its inputs, on boxes: bounds of `sum_j |d out_i / d in_j|`.

Derivatives are followed back in intervals, from one layer's directions to those of the layer before. Of ReLU units
of one direction, which switch on one after another, only sums of the slopes of the first few occur: units that
cancel each other do so here. Where a network isn't differentiable, this is about the slopes on both sides
(Clarke's derivative), whose bound is a Lipschitz constant all the same. A step that may switch has none.
"""

import dataclasses
from typing import Any

import numpy as np

from ..activations import AbstractActivation, Identity, Power, ReLU, Sigmoid, Softmax, Square, Step
from ..network import Network
from .directions import Ends, Stage, narrowed, stages
from .logistic import logistic
from .ranges import rounded_up
from .running import Enclosure, activated, evaluation, joined, start, summed
from .sums import Weights, rounded_sums

_DOUBLE = 2.0**-53


@dataclasses.dataclass(frozen=True)
class Steepness:
    """What a network gives on boxes, how steeply, and what it rounds: `(batch, out)` each.

    Attributes:
        units: as `enclose` has them.
        slopes: bounds of the sums of moduli of derivatives by the inputs; infinite where there is none.
        rounding: what is rounded at every unit times how much of that shows in an output, or the error of
            `enclose` where that is less.
    """

    units: Enclosure
    slopes: np.ndarray
    rounding: np.ndarray


@dataclasses.dataclass(frozen=True)
class _Passed:
    """A stage with the slopes of its units, and what is rounded before and behind their activations."""

    stage: Stage
    slopes: Ends
    before: np.ndarray
    behind: np.ndarray


def steepness(network: Network, low: np.ndarray, high: np.ndarray) -> Steepness:
    """The network on boxes of floats, with derivatives that also hold where rounding has moved its units.

    What is rounded is taken layer by layer: a network of which the first layers run in floating point, and the
    others over the reals, differs from the one with a layer more of the first kind by what this layer rounds, times
    the derivatives of the others. All their units stay within their errors of `enclose`.

    Raises:
        TypeError: an activation or a map without a rule.
    """
    with np.errstate(all="ignore"):
        held, walk, before = start(network, low, high), [], None
        for stage in stages(network):
            sums = narrowed(summed(stage.weights, held, stage.bias, network.dtype), stage, before)
            own = _own_rounding(stage, held, network.dtype)
            spans = [(part, sums.part(first, last)) for part, first, last in stage.spans]
            held = joined([activated(part, span, network.dtype) for part, span in spans])
            ends = [_slopes(part, span) for part, span in spans]
            slopes = (np.concatenate([e[0] for e in ends], axis=1), np.concatenate([e[1] for e in ends], axis=1))
            made = np.concatenate([evaluation(part, span, network.dtype) for part, span in spans], axis=1)
            walk.append(_Passed(stage, slopes, own, made))
            before = stage, sums
        found = [_bound(walk, held, output) for output in range(network.out_size)]
        slopes, rounding = (np.stack([pair[k] for pair in found], axis=1) for k in (0, 1))
        for part, first, last in walk[-1].stage.spans:
            if isinstance(part, Softmax):
                logits = [_bound(walk, held, output, bare=True)[0] for output in range(first, last)]
                # Moduli in a row of a softmax's derivative add up to at most 1/2.
                slopes[:, first:last] = np.fmin(slopes[:, first:last], np.max(logits, axis=0)[:, None] / 2)
    known = np.isfinite(held.error)
    slopes, rounding = (np.where(known & ~np.isnan(part), part, np.inf) for part in (slopes, rounding))
    return Steepness(held, slopes, np.minimum(rounding, held.error))


def _own_rounding(stage: Stage, held: Enclosure, dtype: Any) -> np.ndarray:
    """What the sums of a stage round themselves, whatever their terms are off by."""
    moduli, certain = held.moduli, held.low == held.high
    exact = (
        rounded_sums(stage.weights, moduli, held.error, stage.bias, dtype, step=held.steps, certain=certain).error == 0
    )
    return np.where(exact, 0.0, rounded_sums(stage.weights, moduli, np.zeros(moduli.shape), stage.bias, dtype).error)


def _slopes(activation: AbstractActivation, sums: Enclosure) -> Ends:
    """Between which numbers the slopes of an activation lie where its pre-activations are those of floats or reals."""
    low, high = -rounded_up(-(sums.low - sums.error)), rounded_up(sums.high + sums.error)
    if isinstance(activation, Identity):
        return np.ones_like(low), np.ones_like(low)
    if isinstance(activation, ReLU):
        return (low >= 0).astype(float), (high > 0).astype(float)
    if isinstance(activation, Step):
        still = np.where((low > 0) | (high <= 0), 0.0, np.inf)
        return -still, still
    if isinstance(activation, Sigmoid):
        beta = activation.inverse_temperature
        nearest, farthest = np.maximum(np.maximum(low, -high), 0), np.maximum(np.abs(low), np.abs(high))
        near, far = logistic(-beta * nearest), logistic(-beta * farthest)
        room = 2.0**-30 * (1 + beta * farthest)
        return np.maximum(beta * far * (1 - far) * (1 - room), 0), beta * near * (1 - near) * (1 + room) + 2.0**-1000
    if isinstance(activation, Square | Power):
        moduli = np.maximum(np.abs(low), np.abs(high))
        degree = activation.n if isinstance(activation, Power) else 2
        most = degree * moduli ** (degree - 1) * (1 + 2.0**-40)
        return -most, most
    most = np.full(low.shape, activation.lipschitz())
    return -most, most


def _bound(walk: list[_Passed], held: Enclosure, output: int, *, bare: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """For one output, or its `bare` pre-activation, the bounds of its derivatives and of its rounding."""
    last = walk[-1]
    derivatives, shows = _last(last.stage, last.slopes, held, output, bare=bare)
    rounding = last.behind[:, output] + (last.before * shows).sum(axis=1)
    for passed, after in zip(walk[-2::-1], walk[:0:-1], strict=True):
        rows = after.stage.rows.transposed()
        behind = rows.times(np.abs(rows.values), np.maximum(-derivatives[0], derivatives[1]))
        slope = np.maximum(-passed.slopes[0], passed.slopes[1])
        shown = np.where(behind == 0, 0.0, behind * (passed.before * slope + passed.behind))
        rounding = rounding + shown.sum(axis=1)
        derivatives = _through(passed.stage, passed.slopes, after.stage, derivatives)
    low, high = _products(walk[0].stage.rows, *derivatives)
    moduli = np.maximum(-low, high).clip(0)
    total, terms = moduli.sum(axis=1), moduli.shape[1] + 2
    widest = max(len(passed.stage.of) for passed in walk)
    return total + _room(terms, total, moduli), rounding * (1 + 4 * (len(walk) + 4) * (widest + 8) * _DOUBLE)


def _last(stage: Stage, slopes: Ends, held: Enclosure, output: int, *, bare: bool) -> tuple[Ends, np.ndarray]:
    """Derivatives of an output by the directions of the last layer, and their moduli by its units."""
    units, (bottom, top) = (
        np.array([output]),
        (1 + 0 * end[:, [output]] if bare else end[:, [output]] for end in slopes),
    )
    for part, first, last in stage.spans:
        if isinstance(part, Softmax) and not bare and first <= output < last:
            units = np.arange(first, last)
            low, high = (end[:, units].astype(np.float64) for end in (held.low, held.high))
            bottom, top = _softmax_row(low, high, held.error[:, units], output - first)
    low, high = (np.zeros((len(held.low), stage.rows.shape[0])) for _ in range(2))
    for column, unit in enumerate(units.tolist()):
        low[:, stage.of[unit]] += stage.scale[unit] * bottom[:, column]
        high[:, stage.of[unit]] += stage.scale[unit] * top[:, column]
    shows = np.zeros((len(held.low), len(stage.of)))
    shows[:, units] = np.maximum(-bottom, top)
    return (low, high), shows


def _softmax_row(low: np.ndarray, high: np.ndarray, error: np.ndarray, output: int) -> Ends:
    """Derivatives of one probability by the logits, for probabilities in intervals: `p_i (1 - p_i)` and `-p_i p_j`."""
    low, high = np.maximum(low - error, 0), np.minimum(high + error, 1)
    least, most = low[:, output, None], high[:, output, None]
    bottom, top = -most * high, -least * low
    ends = np.stack([least * (1 - least), most * (1 - most)])
    bottom[:, output] = ends.min(axis=0)[:, 0]
    top[:, output] = np.where((least <= 0.5) & (most >= 0.5), 0.25, ends.max(axis=0))[:, 0]
    return bottom - 2.0**-48, top + 2.0**-48


def _through(stage: Stage, slopes: Ends, after: Stage, derivatives: Ends) -> Ends:
    """Derivatives by the directions of a stage, from those by the directions of the stage after it."""
    rows, units = after.rows.rows, after.rows.cols
    coefficients = after.rows.values * stage.scale[units]
    pairs, places = np.unique(rows * stage.rows.shape[0] + stage.of[units], return_inverse=True)
    counts, relu = np.bincount(places), stage.is_relu[units]
    together = relu & (counts[places] > 1)
    low, high = _alone(places, units, np.where(together, 0.0, coefficients), slopes, len(pairs))
    for pair in np.unique(places[together]):
        members = np.flatnonzero(together & (places == pair))
        members = members[np.argsort(stage.starts[units[members]], kind="stable")]
        bottom, top = _in_turn(coefficients[members], *(end[:, units[members]] for end in slopes))
        low[:, pair] += bottom
        high[:, pair] += top
    above, at = np.divmod(pairs, stage.rows.shape[0])
    inner, outer = (low, high), (derivatives[0][:, above], derivatives[1][:, above])
    ends = [a * b for a in inner for b in outer]
    low, high = np.minimum.reduce(ends), np.maximum.reduce(ends)
    order = np.argsort(at, kind="stable")
    sums = Weights(at[order], order, np.ones(len(at)), (stage.rows.shape[0], len(at)), sum_first=False)
    mass = sums.times(sums.values, np.maximum(np.abs(low), np.abs(high)))
    room = _room(np.bincount(at, minlength=stage.rows.shape[0]) + 4, mass, *inner, *outer)
    return sums.times(sums.values, low) - room, sums.times(sums.values, high) + room


def _alone(places: np.ndarray, units: np.ndarray, factors: np.ndarray, slopes: Ends, pairs: int) -> Ends:
    """Sums of the slopes of units that may have any of theirs, by pairs of directions."""
    order = np.argsort(places, kind="stable")
    sums = Weights(places[order], order, np.ones(len(order)), (pairs, len(order)), sum_first=False)
    ends = [factors * end[:, units] for end in slopes]
    low, high = np.minimum(*ends), np.maximum(*ends)
    low, high = (np.where(factors == 0, 0.0, end) for end in (low, high))
    mass = sums.times(sums.values, np.maximum(np.abs(low), np.abs(high)))
    room = _room(np.bincount(places, minlength=pairs) + 2, mass, factors, *slopes)
    return sums.times(sums.values, low) - room, sums.times(sums.values, high) + room


def _in_turn(factors: np.ndarray, low: np.ndarray, high: np.ndarray) -> Ends:
    """Sums of the slopes of ReLU units that switch on in this order: of the first few of them, or of all."""
    count = len(factors)
    # All up to the last that surely is on are on, and all from the first that surely is off are off.
    on = np.where(low == 1, np.arange(1, count + 1), 0).max(axis=1)
    off = np.where(high == 0, np.arange(count), count).min(axis=1)
    sums = np.concatenate([[0.0], np.cumsum(factors)])
    room = _room(count + 2, np.abs(factors).sum(), factors)
    possible = (np.arange(count + 1) >= on[:, None]) & (np.arange(count + 1) <= off[:, None])
    bottom = np.where(possible, sums, np.inf).min(axis=1)
    return bottom - room, np.where(possible, sums, -np.inf).max(axis=1) + room


def _room(terms: Any, mass: Any, *factors: np.ndarray) -> Any:
    """What sums of products of two numbers are rounded by: nothing, where there are few of them, of few digits."""
    few = np.max(terms, initial=0) <= 2**12
    if few and all(np.all((np.abs(part) <= 2.0**10) & (np.rint(part * 2.0**10) == part * 2.0**10)) for part in factors):
        return 0.0
    return terms * _DOUBLE * mass


def _products(weights: Weights, low: np.ndarray, high: np.ndarray) -> Ends:
    """Sums of intervals over the columns of a matrix."""
    columns = weights.transposed()
    positive, negative = np.maximum(columns.values, 0), np.minimum(columns.values, 0)
    mass = columns.times(np.abs(columns.values), np.maximum(np.abs(low), np.abs(high)))
    room = _room(np.bincount(columns.rows, minlength=columns.shape[0]) + 4, mass, columns.values, low, high)
    bottom = columns.times(positive, low) + columns.times(negative, high)
    return bottom - room, columns.times(positive, high) + columns.times(negative, low) + room
