"""Gates of powers: the polynomial that one is over the reals, and what the running one rounds.

Each unit's error, and what the readout adds, is a convex function of the wires `w` below: a sum of powers of
`|A w + b| + delta`, where `delta` bounds the rounding of the sum. So on the box of the wires it is largest at a
corner. This keeps that few units are near their largest value at once, which interval bounds lose.
"""

import math
from fractions import Fraction
from typing import Any

import jax.numpy as jnp
import numpy as np

from ..._arithmetic.rounding import growth, unit_roundoff
from ...activations import AbstractActivation, Identity, Power, Square
from .monomials import Budget, Poly, Unknown, powers_of_sums
from .wires import Gate

KNOWN = (Identity, Square, Power)
_DOUBLE = 2.0**-53
# Products below the normal numbers are off by less.
_LEAST = float(np.finfo(np.float64).tiny)
# Corners are listed up to so many wires and cells; beyond, units are bounded one by one.
_MOST_WIRES, _MOST_CELLS, _BLOCK = 12, 2**24, 2**20


def is_power(gate: Gate) -> bool:
    """Whether a gate is a polynomial."""
    return all(type(activation) in KNOWN for activation in gate.activations)


def degree(activation: AbstractActivation) -> int:
    """Which power an activation is; it must be one."""
    return activation.n if isinstance(activation, Power) else 2 if isinstance(activation, Square) else 1


def polynomial(gate: Gate, budget: Budget) -> Poly:
    """What a gate computes over the reals, of variables numbered as its wires."""
    total: dict = {}
    if gate.is_linear:
        total = {((i, 1),): Fraction(value) for i, value in enumerate(gate.readout.tolist())}
    else:
        rows = [
            (tuple((j, Fraction(w)) for j, w in enumerate(row) if w), Fraction(bias), degree(activation), Fraction(v))
            for row, bias, activation, v in zip(
                gate.weights.tolist(), gate.biases.tolist(), gate.activations, gate.readout.tolist(), strict=True
            )
        ]
        total = dict(powers_of_sums(rows, budget))
    value = total.pop((), Fraction(0)) + Fraction(gate.constant)
    return total | {(): value} if value else total


def rounding(gate: Gate, reach: tuple[Fraction, ...], dtype: Any) -> Fraction:
    """How far the running gate may be off its polynomial, for floats of up to `reach` on its wires.

    Raises:
        Unknown: a sum may overflow, or has too many terms for its rounding to be bounded.
    """
    model = Model(dtype)
    sizes = short(np.array([float(value) for value in reach]), 24)
    with np.errstate(over="ignore", invalid="ignore"):
        found = _linear(gate, sizes, model) if gate.is_linear else _hidden(gate, sizes, model)
    # Sums and powers of numbers that aren't negative, in double precision.
    terms = gate.weights.size + gate.readout.size + len(reach) + 8 * max(map(degree, gate.activations), default=1) + 64
    found *= 1 + 2 * terms * _DOUBLE
    if not math.isfinite(found):
        raise Unknown(f"a sum may leave the range of {np.dtype(dtype).name}, or has too many terms")
    return Fraction(found)


def short(sizes: np.ndarray, digits: int) -> np.ndarray:
    """Numbers of so many binary digits that are at least these."""
    mantissa, exponent = np.frexp(sizes)
    found = np.ldexp(np.ceil(mantissa * 2.0**digits), exponent - digits)
    return np.maximum(found, sizes)  # which are kept below the normal numbers


class Model:
    """The rounding of a dtype: correctly rounded or flushed to zero, in any order."""

    def __init__(self, dtype: Any):
        info = jnp.finfo(dtype)
        self.u, self.tiny, self.most = unit_roundoff(dtype), float(info.tiny), float(info.max)

    def sum(self, weights: np.ndarray, moduli: np.ndarray, constant: np.ndarray, steps: np.ndarray) -> np.ndarray:
        """The rounding of `weights @ h + constant`, `|h| <= moduli`, where every term meets `steps` additions.

        A term is multiplied by as many factors `1 + d`, `|d| <= u`, and by one more where its weight isn't a
        power of two. Numbers below the least normal one may be read, and results written, as zero.
        """
        sizes, bias, steps = np.abs(weights), np.abs(constant), np.asarray(steps, float)
        factors = growth(steps[..., None] + is_inexact(sizes), self.u)
        rounded = (sizes * factors) @ moduli + bias * growth(steps, self.u)
        return rounded + self.flushed(sizes, moduli, bias) * (1 + growth(steps + 1, self.u))

    def flushed(self, sizes: np.ndarray, moduli: np.ndarray, bias: np.ndarray) -> np.ndarray:
        """What weights, numbers, products, partial sums and the bias lose where they are flushed to zero."""
        lost = self.tiny * ((sizes + 2.0 * (sizes > 0)).sum(axis=-1) + 2.0)
        subnormal = np.where(sizes < self.tiny, sizes, 0.0) @ moduli
        return lost + subnormal + np.where(bias < self.tiny, bias, 0.0)

    def held(self, sizes: Any) -> bool:
        """Whether numbers up to `sizes` are below the largest float, with room for their rounding."""
        return bool(np.all(sizes * 1.0 < self.most / 2))


def is_inexact(sizes: np.ndarray) -> np.ndarray:
    """Which factors round: those that aren't powers of two."""
    return (sizes > 0) & (np.frexp(sizes)[0] != 0.5)


def _linear(gate: Gate, sizes: np.ndarray, model: Model) -> float:
    constant = np.array(gate.constant)
    steps = np.array(max(len(sizes) + (gate.constant != 0) - 1, 0) if gate.halvings < 0 else gate.halvings + 1)
    if not model.held(np.abs(gate.readout) @ sizes + abs(gate.constant)):
        return math.inf
    return float(model.sum(gate.readout, sizes, constant, steps))


def _hidden(gate: Gate, sizes: np.ndarray, model: Model) -> float:
    weights = np.abs(gate.weights)
    mass = weights @ sizes + np.abs(gate.biases)
    terms = (weights > 0).sum(axis=1) + (gate.biases != 0)
    off = model.sum(gate.weights, sizes, gate.biases, np.maximum(terms - 1, 0))
    if not model.held(mass + off):
        return math.inf
    cells = 2 ** min(len(sizes), 64) * len(mass)
    if len(sizes) > _MOST_WIRES or cells > _MOST_CELLS:
        return float(_at(gate, mass[None], off, model).max())
    worst = 0.0
    step = max(_BLOCK // max(len(mass), 1), 1)
    for start in range(0, 2 ** len(sizes), step):
        index = np.arange(start, min(start + step, 2 ** len(sizes)))
        signs = 1.0 - 2.0 * ((index[:, None] >> np.arange(len(sizes))) & 1)
        z, slack = _sums(gate, signs, sizes)
        worst = max(worst, float(_at(gate, np.abs(z) + slack, off, model).max()))
    return worst


def _sums(gate: Gate, signs: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the units see at corners, and how far that may be off, far below double precision.

    `sizes` have 24 binary digits, and weights are split in halves of 26, so that their products are exact. Sums
    are compensated (Ogita, Rump, Oishi 2005): of `n` terms they are off by the last rounding, and by less than
    `(2 n u)^2` of the moduli.
    """
    scaled = 134217729.0 * gate.weights
    upper = scaled - (scaled - gate.weights)
    terms = np.concatenate([upper * sizes, (gate.weights - upper) * sizes], axis=1)
    total, rest = np.broadcast_to(gate.biases, (len(signs), len(gate.biases))), 0.0
    for place in range(terms.shape[1]):
        term = signs[:, place % len(sizes), None] * terms[:, place]
        added = total + term
        back = added - total
        total, rest = added, rest + ((total - (added - back)) + (term - back))
    count = terms.shape[1] + 1
    mass = np.abs(terms).sum(axis=1) + np.abs(gate.biases)
    slack = (2 * count * _DOUBLE) ** 2 * mass + 2 * count * _LEAST
    found = total + rest
    return found, slack + 2 * _DOUBLE * np.abs(found)


def _at(gate: Gate, z: np.ndarray, off: np.ndarray, model: Model) -> np.ndarray:
    """The error at corners where the units see sums of moduli `z`, `(corners, units)`, off by `off`."""
    n = np.array([degree(activation) for activation in gate.activations])
    ulps = np.array([activation.ulps() for activation in gate.activations])
    u, reach = model.u, z + off
    lost = 2.0 * n * model.tiny * np.maximum(reach, 1.0) ** n  # of every product of a power
    # A unit in the last place is at most 2 u of the number.
    made = 2.0 * u * ulps * reach**n + lost
    errors = n * reach ** (n - 1) * off + made
    heights = reach**n + made
    if not model.held(heights):
        return np.full(len(z), math.inf)
    shares = np.abs(gate.readout)
    return errors @ shares + _read(gate, heights, shares, n, model)


def _read(gate: Gate, heights: np.ndarray, shares: np.ndarray, n: np.ndarray, model: Model) -> np.ndarray:
    """The rounding of the readout, for units up to `heights`.

    Partial sums in any order are at most the sum of the positive, or of the negative terms, and what they
    were rounded by before.
    """
    u, constant = model.u, abs(gate.constant)
    total = heights @ shares + constant
    if not model.held(total):
        return np.full(len(heights), math.inf)
    inexact = is_inexact(shares)
    flushed = model.tiny * (shares.sum() + 2.0 * len(shares) + 2.0) + constant * (constant < model.tiny)
    flushed = (flushed + heights @ np.where(shares < model.tiny, shares, 0.0)) * (1 + growth(len(shares) + 2, u))
    if gate.halvings >= 0:
        steps = gate.halvings + (constant != 0) + bool(inexact.any())
        return growth(steps, u) * total + flushed
    additions = max(len(shares) + (constant != 0) - 1, 0)
    # Odd powers have both signs.
    rising, falling = (np.where((n % 2 == 1) | (gate.readout * sign > 0), shares, 0.0) for sign in (1, -1))
    larger = np.maximum(heights @ rising + max(gate.constant, 0.0), heights @ falling + max(-gate.constant, 0.0))
    partial = (larger + growth(additions + 1, u) * total) * (1 + growth(4, u))
    return growth(1, u) * (heights @ np.where(inexact, shares, 0.0)) + additions * u * partial + flushed
