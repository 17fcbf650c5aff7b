"""States of a gate: what its units can hold as floats, however these are computed.

A unit is `fl(f(fl(s + b)))` with `s` the exact sum of its weights times the floats below. Where all terms are multiples
of a grid whose numbers up to their moduli the dtype holds, `s + b` doesn't round, in any order. Else, with `n` terms
and `m = (n - 1) u`,

    |fl(s + b) - (s + b)| <= (e^m - 1) (sum |w h| + |b|) + e^m u sum |w h| + flushed,   e^m - 1 <= m + 0.6 m^2

for `n u <= 1/4`, where the second sum is over the weights that aren't powers of two, and every weight, unit, product
and sum below the least normal number may count as 0. Activations add their units in the last place.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from ..._arithmetic.rounding import unit_roundoff
from ...activations import AbstractActivation, Identity, Power, ReLU, Sigmoid, Square, Step
from ...domains.floats import quanta
from .ranges import joint_range, logistic, monotone, power_of
from .records import Gate, Input, NotModular, Output, Wiring
from .sums import Sums, added, near, nothing, times
from .wide import EPS, WIDE, is_exact_sum, plus_outward, plus_up

# Covers the roundings of bounds, of a few operations each, in at least double precision.
_UP = 1 + 2.0**-40
# So many numbers are held of all units in all states of a gate; powers are up to this one.
_HELD = 2**22
_HIGHEST = 64


@dataclasses.dataclass(frozen=True)
class Floats:
    """A dtype, and how far inputs may be off: each bound holds for all `delta` up to `reach`.

    Attributes:
        offset: by how much inputs are off as intervals; `slope`: or in multiples of `delta`.
    """

    dtype: Any
    offset: float = 0.0
    slope: float = 0.0
    reach: float = 0.0

    @property
    def u(self) -> float:
        return unit_roundoff(self.dtype)

    @property
    def tiny(self) -> float:
        return float(jnp.finfo(self.dtype).tiny)

    @property
    def most(self) -> float:
        return float(jnp.finfo(self.dtype).max)

    def holds(self, step: np.ndarray, moduli: np.ndarray) -> np.ndarray:
        """Whether it holds all multiples of `step` up to `moduli`, none of them subnormal; `step` 0: not known."""
        precision = jnp.finfo(self.dtype).nmant + 1
        with np.errstate(divide="ignore", invalid="ignore"):
            digits = np.where(step > 0, moduli / step, np.inf)
        # Moduli that are rounded are rounded from numbers that are too large anyway; in double precision not beyond.
        fits = digits < 2.0**precision if precision >= 53 else digits <= 2.0**precision
        return (moduli == 0) | (fits & (step >= self.tiny) & (moduli <= self.most))

    def holds_number(self, value: float) -> bool:
        return float(np.asarray(value).astype(self.dtype)) == value


@dataclasses.dataclass(frozen=True, eq=False)
class States:
    """The states of a kind of gates: its sums, and its units behind them.

    Attributes:
        sums: with one column a distinct sum; exact ones where a unit's `step` says so.
        of_unit: which sum every unit takes.
        bias, activations: of every unit.
        error: how far a unit may be off `f(s + b)`, shape `(states, units)`.
        low, high: bounds of the floats.
        step: the floats are multiples of it; 0 where there is none that is known.
    """

    sums: Sums
    of_unit: np.ndarray
    bias: np.ndarray
    activations: tuple[AbstractActivation, ...]
    error: np.ndarray
    low: np.ndarray
    high: np.ndarray
    step: np.ndarray


def input_states(kind: Input, floats: Floats) -> States:
    """An input as a gate of one unit without a bias."""
    values = np.array([[kind.zero], [kind.one]], WIDE)
    zero = np.zeros_like(values)
    low, high = -plus_outward(-values, zero + floats.offset), plus_outward(values, zero + floats.offset)
    sums = Sums(np.array([0, 1]), low, high, zero + floats.slope, zero, zero, zero)
    reached = zero + floats.slope * floats.reach
    ends = -plus_outward(-low, reached), plus_outward(high, reached)
    step = np.array([0.0 if floats.offset or floats.slope else 1.0])
    return States(sums, np.zeros(1, int), np.zeros(1), (Identity(),), zero, *ends, step)


def gate_states(gate: Gate, below: Sequence[States], floats: Floats) -> States:
    """The states of a gate from those of all kinds that it may read."""
    _check_weights(gate, floats)
    total, grid = nothing(len(gate.rows), gate.fold), np.full(len(gate.rows), np.inf)
    for kind, columns, count in gate.terms:
        terms = near(read(below[kind], columns, floats))
        total = added(total, times(terms, count, gate.fold), gate.fold)
        grid = np.minimum(grid, _grid(columns, below[kind].step))
    exact = floats.holds(grid, _most(total.rise, total.fall))
    # Terms and units are added up in extended precision.
    slack = np.where(exact, 0.0, (gate.rows.shape[1] + 64) * EPS * (total.rise + total.fall) * _UP)
    if all(_is_input(below[kind]) for kind, _, _ in gate.terms) and is_exact_sum(gate.rows):
        slack = np.zeros_like(slack)  # of zeros and ones
    total = dataclasses.replace(total, low=total.low - slack, high=total.high + slack)
    return _Units(gate, total, np.where(exact, grid, 0.0), floats).states()


def _is_input(states: States) -> bool:
    """Whether these are bits or signs, at most moved by a slope."""
    sums, plain = states.sums, isinstance(states.activations[0], Identity) and not np.any(states.bias)
    points = np.array_equal(sums.low, sums.high) and np.all((sums.low == 0) | (np.abs(sums.low) == 1))
    return len(states.step) == 1 and plain and bool(points) and not np.any(states.error)


def read(states: States, weights: np.ndarray, floats: Floats) -> Sums:
    """The terms of sums that come from one gate: `weights` has shape `(sums, units)`."""
    weights = weights.astype(WIDE)
    sizes, sums = np.abs(weights).T, states.sums
    up, down = np.maximum(weights, 0).T, np.maximum(-weights, 0).T
    rise_of, fall_of = np.maximum(states.high, 0), np.maximum(-states.low, 0)
    rounding = np.where(np.frexp(sizes)[0] == 0.5, 0, sizes)
    low, high, slope = (np.zeros((sums.count, len(weights)), WIDE) for _ in range(3))
    for column, activation, units in _groups(states):
        r = weights[:, units]
        if isinstance(activation, Step):
            pos, neg = up[units], down[units]
            part = (
                states.low[:, units] @ pos - states.high[:, units] @ neg,
                states.high[:, units] @ pos - states.low[:, units] @ neg,
                np.zeros_like(slope),
            )
        else:
            box = (sums.low[:, column], sums.high[:, column], sums.slope[:, column])
            part = joint_range(activation, r, states.bias[units], *box, floats.reach)
        low, high, slope = low + part[0], high + part[1], plus_up(slope, part[2])
    error = states.error @ sizes
    return Sums(
        sums.label, low - error, high + error, slope,
        rise_of @ up + fall_of @ down, fall_of @ up + rise_of @ down, np.maximum(rise_of, fall_of) @ rounding,
        has_label=sums.has_label,
    )  # fmt: skip


def _groups(states: States) -> list[tuple[int, AbstractActivation, np.ndarray]]:
    """Units that share a sum and an activation."""
    found: dict[tuple, list] = {}
    for unit, (column, activation) in enumerate(zip(states.of_unit.tolist(), states.activations, strict=True)):
        found.setdefault((column, activation), []).append(unit)
    return [(column, activation, np.array(units)) for (column, activation), units in found.items()]


def _check_weights(gate: Gate, floats: Floats) -> None:
    for values in (gate.rows, gate.bias):
        if np.any((values != 0) & (np.abs(values) < floats.tiny)):
            raise NotModular("some weights are subnormal")


def _grid(columns: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """The grid of the terms of every sum: 0 where a unit that is read has none, infinite where all are zero."""
    return np.where(columns != 0, quanta(columns) * steps, np.inf).min(axis=1, initial=np.inf)


def _most(rise: np.ndarray, fall: np.ndarray) -> np.ndarray:
    return np.maximum(rise, fall).max(axis=0)


class _Units:
    """The units of a gate behind their sums."""

    def __init__(self, gate: Gate, sums: Sums, grid: np.ndarray, floats: Floats):
        if sums.count * gate.units > _HELD:
            raise NotModular("a gate has too many states")
        self.gate, self.sums, self.floats = gate, sums, floats
        of, bias = gate.sums, gate.bias.astype(WIDE)
        rise, fall = sums.rise[:, of] + np.maximum(bias, 0), sums.fall[:, of] + np.maximum(-bias, 0)
        step = np.minimum(grid[of], quanta(gate.bias))
        moduli = _most(rise, fall)
        self.step = np.where(floats.holds(step, moduli), step, 0.0)
        gridded = bool(np.all(self.step > 0))
        self.local = np.zeros_like(rise) if gridded else np.where(self.step > 0, 0.0, self._rounding(rise + fall))
        exact = self.local == 0
        reached = sums.slope * floats.reach * _UP
        self.real = sums.low[:, of] - reached[:, of] + bias, sums.high[:, of] + reached[:, of] + bias
        own = np.where(exact, 0.0, 8 * EPS * (rise + fall + np.abs(self.real[0]) + np.abs(self.real[1])))
        self.local = self.local + own
        self.low, self.high = self.real[0] - self.local, self.real[1] + self.local

    def _rounding(self, mass: np.ndarray) -> np.ndarray:
        """What the sums with the biases round, in any order."""
        floats, rows, of = self.floats, self.gate.rows, self.gate.sums
        terms = np.count_nonzero(rows, axis=1)[of] + (self.gate.bias != 0)
        if np.any(terms * floats.u > 0.25):
            raise NotModular(f"sums are too long for {np.dtype(floats.dtype).name}")
        m = np.maximum(terms - 1, 0) * floats.u
        grown = m + 0.6 * m**2
        flushed = 1.5 * floats.tiny * (np.abs(rows).sum(axis=1)[of] + 2 * terms + 2)
        found = (grown * mass + (1 + grown) * floats.u * self.sums.inexact[:, of] + flushed) * _UP
        if not np.all(mass + found < floats.most):
            raise NotModular("sums may overflow")
        return np.where(terms == 0, 0.0, found)

    def states(self) -> States:
        shape = self.low.shape
        error, low, high = np.zeros(shape, WIDE), np.zeros(shape, WIDE), np.zeros(shape, WIDE)
        step = self.step.copy()
        for activation in dict.fromkeys(self.gate.activations):
            units = np.flatnonzero([other == activation for other in self.gate.activations])
            error[:, units], low[:, units], high[:, units], step[units] = self._active(activation, units)
        return States(
            self.sums, self.gate.sums, self.gate.bias.astype(WIDE), self.gate.activations, error, low, high, step
        )

    def _active(self, activation: AbstractActivation, units: np.ndarray) -> tuple[np.ndarray, ...]:
        """Error, bounds of the floats and step behind an activation."""
        low, high, local, step = self.low[:, units], self.high[:, units], self.local[:, units], self.step[units]
        if isinstance(activation, Identity):
            return local, low, high, step
        if isinstance(activation, ReLU):
            return np.where(high <= 0, 0.0, local), *monotone(activation, low, high), step
        if isinstance(activation, Step):
            return np.zeros_like(low), *monotone(activation, low, high), np.ones_like(step)
        if isinstance(activation, Sigmoid):
            return self._sigmoid(activation, units)
        assert isinstance(activation, Square | Power)
        return self._power(activation, units)

    def _power(self, activation: AbstractActivation, units: np.ndarray) -> tuple[np.ndarray, ...]:
        low, high, local, step = self.low[:, units], self.high[:, units], self.local[:, units], self.step[units]
        n, floats = power_of(activation), self.floats
        moduli = np.maximum(np.abs(low), np.abs(high))
        if n > _HIGHEST or n * floats.u > 0.25 or not np.all(moduli**n * 2 < floats.most):
            raise NotModular("powers may overflow, or are too high")
        powers = step**n
        exact = (step > 0) & floats.holds(powers, moduli.max(axis=0) ** n)
        # n - 1 products; underflow loses tiny each time, which is multiplied by the rest.
        lost = 2 * n * floats.tiny * np.maximum(moduli, 1) ** n
        rounded = moduli**n * ((n - 1) * floats.u * 1.2 + 8 * n * EPS) + lost
        error = np.where(exact, 0.0, (n * moduli ** (n - 1) * local + rounded) * _UP)
        ends = monotone(activation, low, high)
        return error, ends[0] - error, ends[1] + error, np.where(exact, powers, 0.0)

    def _sigmoid(self, activation: Sigmoid, units: np.ndarray) -> tuple[np.ndarray, ...]:
        low, high, local = self.low[:, units], self.high[:, units], self.local[:, units]
        beta, floats = activation.inverse_temperature, self.floats
        moduli = np.maximum(np.abs(low), np.abs(high))
        if not floats.tiny <= beta <= floats.most / 2 or not np.all(beta * moduli < floats.most / 2):
            raise NotModular("the arguments of sigmoids may overflow")
        if np.any(self.sums.slope):
            raise NotModular("sigmoids are followed on intervals alone")
        # The inverse temperature is rounded to the dtype, and so is its product with the sum.
        share = floats.u * ((not floats.holds_number(beta)) + (math.frexp(beta)[0] != 0.5))
        off = beta * (local + share * (1 + floats.u) * moduli) * _UP + floats.tiny
        nearest = np.maximum(np.maximum(beta * low, -beta * high) - off - 64 * EPS * beta * moduli, 0)
        unit = np.minimum(logistic(-nearest) + 16 * EPS, 0.5)
        height = np.minimum(logistic(beta * high + off) + 32 * EPS, 1 - 2.0**-60)
        ulp = np.maximum(np.ldexp(WIDE.type(2 * floats.u), np.frexp(height)[1] - 1), floats.tiny)
        error = (unit * (1 - unit) * off + activation.ulps() * ulp) * _UP + 32 * EPS
        ends = monotone(activation, *(end[:, units] for end in self.real))
        return error, ends[0] - error, ends[1] + error, np.zeros(len(units))


def output_errors(tree: Wiring, states: list[States], floats: Floats) -> list[tuple[np.floating, np.floating]]:
    """For every kind of outputs the largest error, and by how much it grows with `delta`."""
    return [_output_error(output, states[output.kind], floats) for output in tree.outputs]


def _output_error(output: Output, states: States, floats: Floats) -> tuple[np.floating, np.floating]:
    found = read(states, (np.arange(len(states.step)) == output.unit)[None].astype(float), floats)
    slack = 0.0 if states.step[output.unit] > 0 else (len(states.step) + 64) * EPS * (found.rise + found.fall) * _UP
    wanted = np.where(found.label == 1, output.one, output.zero)[:, None]
    off = np.maximum(found.high - wanted, wanted - found.low) + slack
    if not states.step[output.unit] > 0:
        off = off * (1 + 4 * EPS)
    return off.max(), found.slope.max()
