"""Units of a gate: what they can hold as floats, however these are computed.

A unit is `fl(f(fl(s + b)))` with `s` the exact sum of its weights times the floats below. Where all terms are multiples
of a grid whose numbers up to their moduli the dtype holds, `s + b` doesn't round, in any order. Else, with `n` terms
and `m = (n - 1) u`,

    |fl(s + b) - (s + b)| <= (e^m - 1) (sum |w h| + |b|) + e^m u sum |w h| + flushed,   e^m - 1 <= m + 0.6 m^2

for `n u <= 1/4`, where the second sum is over the weights that aren't powers of two, and every weight, unit, product
and sum below the least normal number may count as 0. Activations add their units in the last place.
"""

import dataclasses
import math

import numpy as np

from ...activations import AbstractActivation, Identity, Power, ReLU, Sigmoid, Square, Step
from ...domains.floats import quanta
from .floats import Floats
from .ranges import logistic, monotone, power_of
from .records import Gate, NotModular
from .sums import Sums
from .wide import EPS, WIDE, plus_outward

# Covers the roundings of bounds, of a few operations each, in at least double precision.
_UP = 1 + 2.0**-40
# So many numbers are held of all units in all states of a gate; powers are up to this one.
_HELD = 2**22
_HIGHEST = 64


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


class Units:
    """The units of a gate behind their sums."""

    def __init__(self, gate: Gate, sums: Sums, grid: np.ndarray, floats: Floats):
        if sums.count * gate.units > _HELD:
            raise NotModular("a gate has too many states")
        self.gate, self.sums, self.floats = gate, sums, floats
        of, bias = gate.sums, gate.bias.astype(WIDE)
        rise, fall = sums.rise[:, of] + np.maximum(bias, 0), sums.fall[:, of] + np.maximum(-bias, 0)
        step = np.minimum(grid[of], quanta(gate.bias))
        self.step = np.where(floats.holds(step, np.maximum(rise, fall).max(axis=0)), step, 0.0)
        gridded = bool(np.all(self.step > 0))
        self.local = np.zeros_like(rise) if gridded else np.where(self.step > 0, 0.0, self._rounding(rise + fall))
        reached = sums.slope * floats.reach * _UP
        self.real = (
            -plus_outward(-(sums.low - reached)[:, of], -bias),
            plus_outward((sums.high + reached)[:, of], bias),
        )
        own = np.where(self.local == 0, 0.0, 8 * EPS * (rise + fall + np.abs(self.real[0]) + np.abs(self.real[1])))
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
