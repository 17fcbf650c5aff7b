"""The bias and the scale of a gate: where the bound of its error is least.

Truncation grows with the scale and rounding falls with it. The best bias is rarely where `|f^(n)|` is
largest: at a zero of the next derivative that matters the truncation falls faster, and there the
scale may be larger. Candidates are all such zeros, 0, and the peaks of `|f^(n)|`; then biases beside
the best zero, where the next two orders of the truncation have opposite signs. Two gates of scales `h`
and `2 h` can be mixed so that more orders cancel.
"""

import dataclasses
import math
from collections.abc import Iterator
from functools import lru_cache

import jax.numpy as jnp
import numpy as np

from ..._arithmetic.taylor import coefficients, expand
from ...activations import AbstractActivation, Custom, Sigmoid
from .arguments import degree
from .gate import Gate, GateError
from .patterns import OPPOSING, Patterns, pair_truncation

_REACH = 6.0
# More biases for a user's function, which may have kinks.
_ELSEWHERE = (0.5, -0.5, 1.0, -1.0, 2.0, -2.0, 4.0, -4.0)
_STEP = 1 / 16
_PAIR = Patterns(2)
_SLACK = 1 + 2.0**-40


@lru_cache(maxsize=512)
def choose(
    activation: AbstractActivation,
    patterns: Patterns,
    dtype: str,
    *,
    ordered: bool = True,
    center: float | None = None,
    scale: float | None = None,
    share: float | None = None,
) -> Gate | None:
    """The gate of least error; `None` if the activation has no such gate.

    Args:
        activation: smooth.
        patterns: the patterns of its units.
        dtype: name of the dtype of the weights.
        ordered: as in `Gate`.
        center: a bias to use instead.
        scale: a scale to use instead.
        share: how much of the rounding bound counts where it is balanced against truncation: 1
            gives the least bound, and the default, `typical_share`, the least typical error.
    """
    share = typical_share(patterns.n) if share is None else share

    def fitted(candidate: float) -> Gate:
        gate = gate_at(activation, patterns, candidate, dtype, ordered=ordered)
        return dataclasses.replace(gate, scale=_best_scale(gate, share) if scale is None else scale)

    gates = [fitted(candidate) for candidate in (candidates(activation, patterns) if center is None else [center])]
    best = min(gates, key=lambda gate: _objective(gate, share), default=None)
    if best is not None and best.cancels and center is None:
        best = min([best, *(fitted(near) for near in _nearby(best))], key=lambda gate: _objective(gate, share))
    return best if best is not None and math.isfinite(_objective(best, share)) and _is_useful(best) else None


def _is_useful(gate: "Gate | Richardson") -> bool:
    """An estimate above 1 says nothing: the number 0 is as good a product."""
    proved = gate.taylor.proved if isinstance(gate, Gate) else gate.gate.taylor.proved
    return proved or gate.error().total < 1


# How much of the order n + 4, at a corner, the order n + 2 is to take away.
_SHARES = (0.5, 0.65, 0.8, 0.9, 1.0)


def _nearby(gate: Gate) -> list[float]:
    """Biases beside a zero of the derivative of order `n + 2`, where that order opposes the next one."""
    n, terms = gate.patterns.n, gate.taylor.coefficients
    if n + 4 >= len(terms) or not terms[n + 3]:
        return []
    ratio = gate.patterns.moment(n + 4) * (n * gate.scale) ** 2 / gate.patterns.moment(n + 2)
    # With the opposing order the scale will be larger by some factor.
    steps = [
        share * growth**2 * ratio * terms[n + 4] / ((n + 3) * terms[n + 3])
        for share in _SHARES
        for growth in (1.0, 1.2, 1.4)
    ]
    shift = -terms[n + 2] / ((n + 3) * terms[n + 3])  # back to the zero itself
    return [gate.center + float(shift - step) for step in steps if abs(shift - step) < 0.25]


def typical_share(n: int) -> float:
    """The share of a rounding bound that is seen.

    Independent errors of 2^n units add up like the square root of their number; a quarter at least
    keeps the bound within a small factor of its least value.
    """
    return max(2.0 ** (-n / 2), 1 / 4)


def gate_at(
    activation: AbstractActivation, patterns: Patterns, center: float, dtype: str, *, ordered: bool = True
) -> Gate:
    """The gate of scale 1 at the bias that is stored for `center`."""
    stored = float(np.asarray(center).astype(dtype))
    return Gate(activation, patterns, expand(activation, stored, order=patterns.n + 1), 1.0, dtype, ordered)


def floor(activation: AbstractActivation, patterns: Patterns, dtype: str, *, ordered: bool = True) -> float:
    """The least error bound that is reached in a dtype, for inputs in `[-1, 1]`."""
    gate = choose(activation, patterns, dtype, ordered=ordered, share=1.0)
    return math.inf if gate is None else gate.error().total


def _objective(gate: Gate, share: float) -> float:
    error = gate.error()
    total = error.truncation + share * error.rounding
    return total if _is_representable(gate) else math.inf


def _is_representable(gate: Gate) -> bool:
    if not gate.leading:
        return False
    largest = float(jnp.finfo(gate.dtype).max) / 2**8
    return 1 / largest < abs(gate.weight) < largest


def _best_scale(gate: Gate, share: float) -> float:
    """The number of four binary digits with the least error."""
    if _is_exact(gate.activation, gate.patterns.n):
        # No truncation: any scale does, and this one keeps the powers of the sums below 1.
        return 2.0 ** -math.ceil(math.log2(gate.patterns.n))

    def size(scale: float) -> float:
        return _objective(dataclasses.replace(gate, scale=scale), share)

    # No sum of inputs beyond 512: its high powers would overflow.
    octave = min((2.0**-k for k in range(-9, 40) if gate.patterns.n * 2.0**-k <= 512), key=size)
    return min((octave * eighths / 8 for eighths in range(4, 16)), key=size)


def _is_exact(activation: AbstractActivation, n: int) -> bool:
    """Whether a power has no orders above `n` that matter."""
    return degree(activation) in (n, n + 1)


def candidates(activation: AbstractActivation, patterns: Patterns) -> list[float]:
    """Biases worth trying."""
    n, kind = patterns.n, patterns.kind
    if degree(activation):
        return [0.0] if degree(activation) == n else [1.0]  # elsewhere the same up to scale
    matters = {"signs": n + 2, "fixed": n - 1, "subsets": n + 1}[kind]
    stretch = activation.inverse_temperature if isinstance(activation, Sigmoid) else 1.0
    grid = np.arange(-_REACH, _REACH + _STEP, _STEP) / stretch
    table = coefficients(activation, grid, n + 3)
    if len(table) < n + 3:
        return []  # JAX gives too few derivatives
    zeros = _zeros(activation, matters, grid, table[matters])
    if kind == "fixed":
        return zeros
    peaks = _zeros(activation, n + 1, grid, table[n + 1])
    others = _ELSEWHERE if isinstance(activation, Custom) else ()
    return [*zeros, 0.0, *peaks, *others]


def why_none(activation: AbstractActivation, patterns: Patterns, dtype: str) -> str:
    """Why an activation has no gate whose error is bounded."""
    n = patterns.n
    tried = candidates(activation, patterns)
    if not tried and patterns.kind == "fixed":
        return f"it has no bias where the derivative of order {n - 1} vanishes"
    if not tried:
        return f"JAX gives fewer than {n + 2} derivatives of it"
    series = [expand(activation, center, order=n + 1) for center in tried]
    if not any(one.radius for one in series):
        return (
            f"its Taylor series about the biases that were tried, such as {tried[0]:.3g}, differ from it: it jumps or "
            "has kinks, or derivatives that JAX doesn't know"
        )
    if not any(abs(one.coefficients[n]) > one.slack[n] for one in series):
        return f"the derivative of order {n} is 0"
    return f"rounding in {dtype} drowns the derivative of order {n}"


def _zeros(activation: AbstractActivation, order: int, grid: np.ndarray, values: np.ndarray) -> list[float]:
    """Zeros of a derivative, by bisection of all sign changes at once; noise isn't a sign change."""
    values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    noise = 1e-13 * np.abs(values).max()
    change = (values[:-1] * values[1:] < 0) & (np.maximum(np.abs(values[:-1]), np.abs(values[1:])) > noise)
    touched = grid[(np.abs(values) <= noise)]
    low, high, start = grid[:-1][change], grid[1:][change], values[:-1][change]
    for _ in range(60 if len(low) else 0):
        middle = (low + high) / 2
        same = coefficients(activation, middle, order + 1)[order] * start > 0
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    exact = touched.tolist() if len(touched) < len(grid) / 8 else []
    # Those nearest to 0: a periodic activation has many.
    return sorted([*((low + high) / 2).tolist(), *exact], key=abs)[:12]


# Two gates, mixed ----------------------------------------------------------------------------------


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
    return best if best is not None and math.isfinite(size(best)) and _is_useful(best) else None


def _opposing(gate: Gate, scale: float, dtype: str) -> Iterator[Richardson]:
    """Mixes, and biases, at which the leading orders of `F` nearly cancel on `[0, 2]`.

    Order `k` is multiplied by `1 + mix (2^(k-2) - 1)`.
    """
    # Orders that aren't known aren't opposed; the remainder covers them.
    known = dict(enumerate(gate.taylor.coefficients.tolist()))
    a4, a5, a6, a8 = (known.get(k, 0.0) for k in (4, 5, 6, 8))
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
