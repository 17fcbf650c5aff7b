"""Two gates of scales `h` and `2 h`, mixed so that one more order of the truncation cancels."""

import dataclasses
import math
from functools import lru_cache

import numpy as np

from ...activations import AbstractActivation
from .choice import candidates, gate_at
from .gate import Gate, GateError
from .patterns import Patterns

# Weights of the two gates: against the order n + 2, or, at a zero of that derivative, n + 4.
_MIXES = ((4 / 3, -1 / 3), (16 / 15, -1 / 15))

_SLACK = 1 + 2.0**-40


@dataclasses.dataclass(frozen=True, eq=False)
class Richardson:
    """`mix[0]` times a gate plus `mix[1]` times the gate of twice its scale."""

    gate: Gate
    mix: tuple[float, float]

    @property
    def wide(self) -> Gate:
        """The gate of twice the scale."""
        return dataclasses.replace(self.gate, scale=2 * self.gate.scale)

    def error(self, inflation: float = 1.0) -> GateError:
        """Bounds for inputs in `[-inflation, inflation]^n`."""
        gates = (self.gate, self.wide)
        shares = [abs(share) for share in self.mix]
        rounding = sum(share * gate.rounding(inflation) for share, gate in zip(shares, gates, strict=True))
        # Both products are rounded once more when they are mixed.
        rounding += 4 * self.gate.u * sum(shares) * inflation**self.gate.patterns.n
        return GateError(self._truncation(inflation), rounding * _SLACK)

    def _truncation(self, inflation: float) -> float:
        n = self.gate.patterns.n
        if not self.wide.reaches(inflation):
            return math.inf
        orders, sizes, tail = self.gate.terms(inflation)
        remain = np.abs(self.mix[0] + self.mix[1] * 2.0 ** (orders - n))
        remain[n] = 1.0  # the error of the leading coefficient itself, in both gates
        _, _, wide_tail = self.wide.terms(inflation)
        return (float(sizes @ remain) + abs(self.mix[0]) * tail + abs(self.mix[1]) * wide_tail) * _SLACK


@lru_cache(maxsize=128)
def choose_richardson(activation: AbstractActivation, dtype: str) -> Richardson | None:
    """The eight-neuron gate of least error for two numbers, or `None`."""
    best, least = None, math.inf
    for center in candidates(activation, Patterns(2)):
        gate = gate_at(activation, Patterns(2), center, dtype)
        for mix in _MIXES:
            for quarters in range(4, 64):
                mixed = Richardson(dataclasses.replace(gate, scale=2.0 ** (-quarters / 4)), mix)
                size = mixed.error().total
                if size < least:
                    best, least = mixed, size
    return best
