"""Affine forms of networks of steps and ReLUs on boxes, many at a time, with the rounding of the running network.

On a box with center `m` and half sides `h` a unit over the real numbers is

    center + sum_q slope_q w_q ± radius,    w in [-1, 1]^q,    x = m + h w,

and the float that runs is off it by at most `error`. A ReLU that isn't decided on the box is replaced by the
parallelogram around it (Singh et al. 2018). Rounding is counted by half a unit in the last place of every product
and partial sum that can round: terms that are zero on the whole box don't count, so that nothing rounds where a
single one is left whose weight is a power of two.

What NumPy rounds itself, in double or extended precision, is added to `radius`. A sum of `t` products in any order
is off by at most `t u / (1 - t u)` of the sum of their moduli; widths are at most 2^11, so that `1 + 2^-40` covers
what is of second order.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from .._arithmetic.rounding import unit_roundoff
from ..activations import Identity, Step
from ..domains.floats import quanta
from .boxes_stages import ENTRIES, Stage

_DOUBLE, _ROOM, _LEAST = 2.0**-53, 1 + 2.0**-40, 2.0**-1000


@dataclasses.dataclass(frozen=True)
class Forms:
    """Units on boxes: `(batch, units)`, the slopes `(batch, symbols, units)`; over the reals also in `[low, high]`.

    The last symbols, one a number of `noise`, lie in a ball as well: `|w / noise| <= 1` in the 2-norm.
    """

    center: np.ndarray
    slopes: np.ndarray
    radius: np.ndarray
    error: np.ndarray
    low: np.ndarray
    high: np.ndarray
    noise: np.ndarray

    @staticmethod
    def constant(vector: np.ndarray) -> "Forms":
        """Floats that are known exactly, `(units,)`."""
        center = vector[None]
        none = np.zeros_like(center)
        return Forms(center, none[:, None], none, none, center, center, np.zeros(0))

    @staticmethod
    def of(center: np.ndarray, slopes: np.ndarray, radius: Any, error: Any, ends: Any, noise: np.ndarray) -> "Forms":
        """With the ends that follow from the form, where they are nearer than those given."""
        spread = _reach(slopes, noise) + radius
        own = (2 * slopes.shape[1] + 8) * roundoff(center) * (np.abs(center) + spread)
        reach = np.where(spread == 0, 0.0, spread + own)
        low, high = np.maximum(ends[0], center - reach), np.minimum(ends[1], center + reach)
        return Forms(center, slopes, radius, error, low, high, noise)

    def float_ends(self) -> tuple[np.ndarray, np.ndarray]:
        """What the floats lie between."""
        low, high = self.low, self.high
        off = self.error * _ROOM + 8 * roundoff(self.center) * (np.abs(low) + np.abs(high))
        off = np.where(self.error == 0, 0.0, off)
        return low - off, high + off

    def part(self, start: int, stop: int) -> "Forms":
        """Some of the units."""
        return self._each(lambda field: field[..., start:stop])

    def rows(self, kept: np.ndarray) -> "Forms":
        """On some of the boxes."""
        return self._each(lambda field: field[kept])

    def _each(self, change: Callable[[np.ndarray], np.ndarray]) -> "Forms":
        return dataclasses.replace(self, **{name: change(getattr(self, name)) for name in _FIELDS})

    @staticmethod
    def joined(parts: list["Forms"]) -> "Forms":
        """Side by side."""
        whole = {name: np.concatenate([getattr(part, name) for part in parts], axis=-1) for name in _FIELDS}
        return dataclasses.replace(parts[0], **whole)


_FIELDS = ("center", "slopes", "radius", "error", "low", "high")


def roundoff(array: np.ndarray) -> float:
    """The unit roundoff of an array's precision."""
    return float(np.finfo(array.dtype).eps) / 2


def _reach(slopes: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """What symbols add to units at most."""
    count = slopes.shape[1] - len(noise)
    reach = np.abs(slopes[:, :count]).sum(axis=1)
    if not len(noise):
        return reach
    last = slopes[:, count:]
    ball = np.sqrt(((last * noise[:, None]) ** 2).sum(axis=1)) * _ROOM
    return reach + np.minimum(np.abs(last).sum(axis=1), ball)


def on_boxes(low: np.ndarray, high: np.ndarray, radius: float = 0.0) -> Forms:
    """The inputs of boxes, and of all that is within `radius` of one."""
    center = (low + high) / 2
    # Differences of doubles, rounded up; a side of no length stays one.
    half = np.maximum(center - low, high - center)
    half = np.where(half > 0, half * (1 + 4 * roundoff(center)), 0.0)
    slopes = half[:, :, None] * np.eye(low.shape[1])
    radii = np.full_like(center, radius)
    return Forms.of(center, slopes, radii, np.zeros_like(center), (-np.inf, np.inf), np.zeros(0))


@dataclasses.dataclass
class Ways:
    """How units went.

    Attributes:
        states: of every group of units with kinks which are on: 1, 0, or 2 where that is open.
        rounded: of every stage what its own operations round, at most.
        shares: on which symbols units depend that are open, `(batch, symbols)`.
    """

    states: list[np.ndarray]
    rounded: list[np.ndarray]
    shares: np.ndarray


class Runner:
    """Sends forms through stages."""

    def __init__(self, stages: tuple[Stage, ...], dtype: Any):
        info = jnp.finfo(dtype)
        self.stages, self.unit, self.dtype = stages, unit_roundoff(dtype), dtype
        self.tiny, self.most, self.digits = float(info.tiny), float(info.max), info.nmant + 1
        self.flushes = min((stage.least() for stage in stages), default=np.inf) < self.tiny

    @functools.cached_property
    def wide(self) -> "Runner":
        """The same in extended precision, where the platform has it: slower, for networks of doubles."""
        return self if self.unit > _DOUBLE else Runner(tuple(stage.wide() for stage in self.stages), self.dtype)

    def run(self, forms: Forms, first: int, stop: int) -> tuple[Forms, Ways]:
        """The units behind the stages from `first` to `stop`."""
        count, symbols = forms.slopes.shape[:2]
        ways = Ways([], [], np.zeros((count, symbols)))
        with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
            for stage in self.stages[first:stop]:
                forms = self._activated(stage, self._affine(stage, forms, ways), ways)
        return forms, ways

    def _affine(self, stage: Stage, forms: Forms, ways: Ways) -> Forms:
        low, high = forms.low, forms.high
        float_low, float_high = forms.float_ends()
        moduli = np.maximum(-float_low, float_high)
        held, flat = ~(moduli <= 0), (low == high) & (forms.error == 0)
        simple = flat & (np.frexp(np.abs(forms.center))[0] == 0.5)  # what multiplies without rounding
        terms = held @ (stage.weights != 0).T.astype(float) + (stage.bias != 0)
        mass = moduli @ stage.sizes.T + np.abs(stage.bias)
        # Neither here nor in the running network does a single product round that a power of two takes part in.
        single = (terms <= 1) & ((held & ~simple).astype(float) @ stage.inexact.T == 0)
        center = forms.center @ stage.weights.T + stage.bias
        settled = single & ((held & ~flat).astype(float) @ (stage.weights != 0).T == 0)
        settled &= ((np.abs(center) >= self.tiny) | (terms == 0)) & (mass < self.most / 4)
        settled &= ((held & (moduli < self.tiny)).astype(float) @ (stage.weights != 0).T == 0) & (not self.flushes)
        # Where another unit may be infinite, even a weight of 0 makes NaN of it: then the mass is no number.
        fixed = ((held & ~flat).astype(float) @ (stage.weights != 0).T == 0) & (mass < self.most / 4)
        self._settle(stage, forms.center, held, fixed, settled)
        single |= settled
        own = np.where(single, 0.0, (terms + 6) * roundoff(center) * mass) * _ROOM
        own = np.where(settled, 0.0, own + _LEAST)
        radius = (forms.radius @ stage.sizes.T) * _ROOM + own
        ends = self._ends(stage, low, high, own)
        carried = forms.error @ stage.sizes.T
        sums = Forms.of(center, forms.slopes @ stage.weights.T, radius, carried, ends, forms.noise)
        flushed = self._flushed(stage, held, moduli)
        made = self._rounding(stage, sums, (float_low, float_high), np.where(simple, 0.0, moduli), terms, flushed)
        made = np.where(single, flushed, made)
        made = np.where(settled, 0.0, np.where(mass < self.most / 4, made, np.inf))
        ways.rounded.append(made)
        error = np.where(settled, 0.0, (sums.error + made) * _ROOM)
        return dataclasses.replace(sums, error=error)

    def _settle(
        self, stage: Stage, center: np.ndarray, held: np.ndarray, flat: np.ndarray, settled: np.ndarray
    ) -> None:
        """Note sums of constants none of whose partial sums rounds: multiples of one power of two, and not too many."""
        box, row = np.nonzero(flat & ~settled)
        if not len(box) or self.flushes:
            return
        values, weights = np.where(held, center, 0.0)[box].astype(float), stage.weights[row].astype(float)
        bias = stage.bias[row].astype(float)
        used = (values != 0) & (weights != 0)
        step = np.where(used, quanta(values) * quanta(weights), np.inf).min(axis=1)
        step = np.minimum(step, quanta(bias))
        mass = np.abs(values * weights).sum(axis=1) + np.abs(bias)
        # Of doubles as well as of floats of the network's dtype.
        fits = (mass * _ROOM < step * 2.0**self.digits) & (mass < self.most / 4) & (step >= self.tiny)
        settled[box[fits], row[fits]] = True

    @staticmethod
    def _ends(stage: Stage, low: np.ndarray, high: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The sums by interval arithmetic; with all of `own`, which is none for constants."""
        first = low @ stage.positive.T - high @ stage.negative.T + stage.bias
        last = high @ stage.positive.T - low @ stage.negative.T + stage.bias
        return first - 4 * own, last + 4 * own

    def _flushed(self, stage: Stage, held: np.ndarray, moduli: np.ndarray) -> np.ndarray:
        """Every weight, unit, product and sum may be flushed, which takes less than the least normal number."""
        lost = self.tiny * (held @ np.where(stage.weights != 0, stage.sizes + 2, 0.0).T + 2 * (stage.bias != 0))
        if self.flushes:
            lost = lost + moduli @ np.where(stage.sizes < self.tiny, stage.sizes, 0.0).T
            lost = lost + self.tiny
        return lost * _ROOM

    def _rounding(
        self, stage: Stage, sums: Forms, ends: tuple[np.ndarray, np.ndarray], moduli: np.ndarray, terms: Any, lost: Any
    ) -> np.ndarray:
        """Of `n` terms: one rounding a product, `n - 2` of partial sums, and one of the sum itself."""
        up, down = np.maximum(ends[1], 0), np.maximum(-ends[0], 0)
        rise = up @ stage.positive.T + down @ stage.negative.T + np.maximum(stage.bias, 0)
        fall = down @ stage.positive.T + up @ stage.negative.T + np.maximum(-stage.bias, 0)
        partial = np.maximum(rise, fall) * (1 + 2 * terms * self.unit) * _ROOM
        made = self._products(stage, moduli) * _ROOM + lost
        half = half_ulp(partial, self.unit)
        low, high = sums.low, sums.high
        last = np.maximum(np.abs(low), np.abs(high)) + sums.error + made + np.maximum(terms - 1, 0) * half
        last = half_ulp(np.minimum(last * _ROOM, partial), self.unit)
        added = np.where(terms >= 2, np.maximum(terms - 2, 0) * half + last, 0.0)
        # (1 + u)^n <= 1 + 2 n u just for n u <= 1.
        return np.where(terms * self.unit <= 0.5, (made + added) * _ROOM, np.inf)

    def _products(self, stage: Stage, moduli: np.ndarray) -> np.ndarray:
        rows, cols = stage.entries
        if not len(rows):
            return np.zeros((len(moduli), len(stage.weights)))
        if len(rows) > ENTRIES:
            return self.unit * (moduli @ np.where(stage.inexact, stage.sizes, 0.0).T) * _ROOM
        return half_ulp(moduli[:, cols] * stage.sizes[rows, cols] * _ROOM, self.unit) @ stage.sums * _ROOM

    def _activated(self, stage: Stage, sums: Forms, ways: Ways) -> Forms:
        if len(stage.kinds) == 1 and stage.kinds[0][0] is Identity:
            return sums
        parts, start = [], 0
        for kind, width in stage.kinds:
            part = sums.part(start, start + width)
            parts.append(part if kind is Identity else _kinked(kind, part, ways))
            start += width
        return Forms.joined(parts)


def _kinked(kind: type, sums: Forms, ways: Ways) -> Forms:
    """Units behind a ReLU or a step."""
    float_low, float_high = sums.float_ends()
    on = float_low > 0 if kind is Step else float_low >= 0
    off, undecided = float_high <= 0, ~on & ~(float_high <= 0)
    states = np.where(undecided, 2, np.where(off, 0, 1)).astype(np.int8)
    ways.states.append(states)
    slopes = np.abs(sums.slopes)
    ways.shares += np.where(undecided[:, None], slopes / (slopes.sum(axis=1, keepdims=True) + _LEAST), 0.0).sum(axis=2)
    if kind is Step:
        half = np.where(undecided, 0.5, 0.0)
        return Forms(on + half, np.zeros_like(sums.slopes), half, 2 * half, on + 0.0, on + 2 * half, sums.noise)
    return _relu(sums, undecided, off, float_high)


def _relu(sums: Forms, undecided: np.ndarray, off: np.ndarray, float_high: np.ndarray) -> Forms:
    """`relu(z) - k z` lies between 0 and `max(-k low, (1 - k) high)` on `[low, high]`, for any `0 <= k <= 1`."""
    low, high = sums.low, sums.high
    unit = roundoff(sums.center)
    slope = np.clip(np.where(undecided, high / (high - low), 1.0), 0.0, 1.0)
    slope = np.where(undecided & (low >= 0), 1.0, np.where(undecided & (high <= 0), 0.0, slope))
    slope = np.where(np.isnan(slope), 0.5, slope)
    rise = np.where(undecided, np.maximum(np.maximum(-slope * low, (1 - slope) * high), 0.0) * (1 + 8 * unit), 0.0)
    moduli = np.abs(sums.center) + np.abs(sums.slopes).sum(axis=1) + sums.radius + rise
    own = np.where(undecided, 8 * (sums.slopes.shape[1] + 1) * unit * moduli + _LEAST, 0.0)
    center = np.where(off, 0.0, slope * sums.center + rise / 2)
    radius = np.where(off, 0.0, slope * sums.radius + rise / 2 + own)
    # The floats don't exceed what is positive of them.
    error = np.where(high <= 0, np.minimum(sums.error, np.maximum(float_high, 0)), sums.error)
    slopes = np.where(off[:, None], 0.0, slope[:, None] * sums.slopes)
    ends = np.where(off, 0.0, np.maximum(low, 0)), np.where(off, 0.0, np.maximum(high, 0))
    return Forms.of(center, slopes, radius, np.where(off, 0.0, error), ends, sums.noise)


def half_ulp(sizes: np.ndarray, unit: float) -> np.ndarray:
    """The rounding of results of moduli up to `sizes`."""
    return np.where(sizes > 0, np.ldexp(unit, np.frexp(sizes)[1] - 1), 0.0)
