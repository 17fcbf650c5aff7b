"""Two gates of scales `h` and `2 h`, mixed so that more orders of the truncation cancel."""

import dataclasses
import math
from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from ...activations import AbstractActivation
from .choice import candidates, gate_at, typical_share
from .gate import Gate, GateError
from .pair import OPPOSING, pair_truncation
from .patterns import Patterns

_PAIR = Patterns(2)
_SLACK = 1 + 2.0**-40


@dataclasses.dataclass(frozen=True, eq=False)
class Richardson:
    """`1 - mix` times a gate for two numbers plus `mix` times the gate of twice its scale."""

    gate: Gate
    mix: float

    @property
    def wide(self) -> Gate:
        """The gate of twice the scale."""
        return dataclasses.replace(self.gate, scale=2 * self.gate.scale)

    @property
    def shares(self) -> tuple[float, float]:
        """The weights of the two gates."""
        return 1 - self.mix, self.mix

    def error(self, inflation: float = 1.0) -> GateError:
        """Bounds for inputs in `[-inflation, inflation]^2`."""
        if not self.wide.reaches(inflation):
            return GateError(math.inf, math.inf)
        gates = tuple(zip(self.shares, (self.gate, self.wide), strict=True))
        coefficients = np.sum([share * gate.pair_coefficients() for share, gate in gates], axis=0)
        truncation = pair_truncation(coefficients, inflation)
        truncation += sum(abs(share) * gate.remainder(inflation) for share, gate in gates)
        rounding = sum(abs(share) * gate.rounding(inflation) for share, gate in gates)
        # Both products are rounded once more when they are mixed.
        rounding += 4 * self.gate.u * sum(map(abs, self.shares)) * inflation**2
        return GateError(truncation * _SLACK, rounding * _SLACK)


@lru_cache(maxsize=128)
def choose_richardson(activation: AbstractActivation, dtype: str, *, least: bool = False) -> Richardson | None:
    """The eight-neuron gate of least typical error for two numbers (or of the least bound), or `None`."""
    share = 1.0 if least else typical_share(2)

    def size(mixed: Richardson) -> float:
        error = mixed.error()
        return error.truncation + share * error.rounding

    found = [
        mixed
        for center in candidates(activation, _PAIR)
        for gate in [gate_at(activation, _PAIR, center, dtype)]
        for quarters in range(4, 64)
        for mixed in _opposing(gate, 2.0 ** (-quarters / 4), dtype)
    ]
    best = min(found, key=size, default=None)
    return best if best is not None and math.isfinite(size(best)) else None


def _opposing(gate: Gate, scale: float, dtype: str) -> Iterator[Richardson]:
    """Mixes, and biases, at which the leading orders of `F` nearly cancel on `[0, 2]`.

    Order `k` is multiplied by `1 + mix (2^(k-2) - 1)`.
    """
    a4, a5, a6, a8 = (float(gate.taylor.coefficients[k]) for k in (4, 5, 6, 8))
    gate, square = dataclasses.replace(gate, scale=scale), scale**2
    # The mix lets order 4 oppose order 6.
    (p,) = OPPOSING[2]
    below = 3 * a4 - 60 * p * a6 * square
    if below:
        yield Richardson(gate, (4 * p * a6 * square - a4) / below)
    # The mix lets order 6 oppose order 8, and the bias order 4 both.
    p, q = OPPOSING[3]
    below = 15 * a6 - 252 * q * a8 * square
    if not below or not a5:
        return
    mix = (4 * q * a8 * square - a6) / below
    wanted = 16 * p * a8 * square**2 * (1 + 63 * mix) / (1 + 3 * mix) if 1 + 3 * mix else math.inf
    shift = (wanted - a4) / (5 * a5)
    if abs(shift) < 0.5:
        near = gate_at(gate.activation, gate.patterns, gate.center + shift, dtype)
        yield Richardson(dataclasses.replace(near, scale=scale), mix)
