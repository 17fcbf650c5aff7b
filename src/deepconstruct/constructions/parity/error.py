"""How far wires are off the bits that they stand for, level by level.

`eps` bounds the error of the wires of one level, in exact arithmetic on the units as they were
computed. The next level sees sums off by up to `k eps`; its gate moves that, and every rounding
adds its part. Where the gate contracts, the error stays bounded whatever the depth.
"""

import math

import numpy as np

from ..._arithmetic.logistic import logistic
from ..._arithmetic.rounding import dot_terms, growth, unit_roundoff
from ...activations import ReLU, Sigmoid
from .gate import Gate

# Beyond this a wire no longer tells 0 from 1 safely.
LIMIT = 0.25

# max |S''| of the logistic function, 1 / (6 sqrt 3), rounded up.
_CURVATURE = 0.0963
_CELLS = 256

# Covers the rounding of these computations themselves, a few operations in extended precision.
_SLACK = 32 * float(np.finfo(np.longdouble).eps)

# An input as a wire: one unit, of weight 1.
_INPUT = (1, 1.0)


def sigmoid_error(levels: list[list[Gate]], eps: float, dtype: str, *, offset: float = 0.0) -> float:
    """The error of the last wire for inputs off by `eps` (infinite once it passes `LIMIT`).

    `levels` lists the kinds of gates of every level, bottom first; `offset` is what the readout
    adds to the last wire (1/2 where it is written as a sign, `-2 (wire - 1/2)`).
    """
    u, wire = unit_roundoff(dtype), _INPUT
    for gates in levels:
        eps = max(_gate_error(gate, eps, wire, u) for gate in gates)
        if not eps <= LIMIT:
            return math.inf
        wire = _worst_wire(gates)
    units, moduli = wire
    return eps + growth(dot_terms(units), u) * (moduli + offset)


def _worst_wire(gates: list[Gate]) -> tuple[int, float]:
    """The most units of any wire, and the largest sum of moduli of its weights and shift."""
    wires = [gate.wire for gate in gates]
    moduli = (float(np.abs(weights).sum() + abs(shift)) for weights, shift in wires)
    return max(len(weights) for weights, _ in wires), max(moduli)


def _gate_error(gate: Gate, eps: float, wire: tuple[int, float], u: float) -> float:
    units, moduli = wire
    k = gate.arity
    sums = k * moduli * (1 + eps) + float(gate.thresholds[-1])
    local = growth(dot_terms(k * units), u) * sums
    if not math.isfinite(local):
        return math.inf
    error = max(_deviation(gate, s, k * eps, local, u) for s in range(k + 1))
    if gate.output is None or not error <= LIMIT:
        return error
    return _output_error(gate, error, u)


def _deviation(gate: Gate, s: int, radius: float, local: float, u: float) -> float:
    """Error of the gate's sum for sums within `radius` of `s`, with pre-activations off by `local`."""
    assert isinstance(gate.activation, Sigmoid)
    beta = gate.activation.inverse_temperature
    z = s - gate.thresholds
    local = local + 2 * u * float(np.abs(z).max() + radius)  # rounding of beta and of beta * z
    moduli = np.abs(gate.weights)
    slopes = beta * _peak_slope(beta, z, radius + local)
    heights = logistic(beta * (z + radius + local))
    rounding = float(moduli @ (slopes * local + gate.activation.ulps() * _ulp(heights, u)))
    return _spread(gate, beta, s, radius) + rounding + _SLACK * float(moduli.sum() + abs(gate.shift))


def _spread(gate: Gate, beta: float, s: int, radius: float) -> float:
    """`max |H(s + d) - s mod 2|` over `|d| <= radius`, the better of Taylor and a covered grid."""

    def height(sums: np.ndarray) -> np.ndarray:
        return logistic(beta * (sums[:, None] - gate.thresholds)) @ gate.weights + gate.shift

    units = logistic(beta * (s - gate.thresholds))
    slope = abs(float(gate.weights @ (beta * units * (1 - units))))
    curvature = float(np.abs(gate.weights).sum()) * beta**2 * _CURVATURE
    taylor = float(abs(height(np.array([s], np.longdouble))[0] - s % 2)) + slope * radius + curvature * radius**2 / 2
    grid = s + radius * np.linspace(-1, 1, _CELLS + 1, dtype=np.longdouble)
    covered = float(np.abs(height(grid) - s % 2).max()) + (slope + curvature * radius) * radius / _CELLS
    return min(taylor, covered)


def _output_error(gate: Gate, error: float, u: float) -> float:
    """Error of the wire of an unfused gate whose sum is off by `error`."""
    assert isinstance(gate.activation, Sigmoid)
    assert gate.output is not None
    beta, (theta, scale, shift) = gate.activation.inverse_temperature, gate.output
    moduli = float(np.abs(gate.weights).sum() + abs(gate.shift) + theta)
    error = error + growth(dot_terms(gate.arity), u) * moduli + 2 * u * (theta + error)
    worst = 0.0
    for bit in (0, 1):
        ends = logistic(beta * (bit - theta + np.array([-error, error], np.longdouble)))
        worst = max(worst, float(np.abs(scale * ends + shift - bit).max()))
    return worst + scale * gate.activation.ulps() * u + 2 * _SLACK


def _peak_slope(beta: float, z: np.ndarray, radius: float) -> np.ndarray:
    """The largest `S'(beta z')` for `|z' - z| <= radius`: at the point nearest to 0."""
    nearest = np.maximum(np.abs(z) - radius, 0)
    units = logistic(-beta * nearest)
    return units * (1 - units)


def _ulp(values: np.ndarray, u: float) -> np.ndarray:
    _, exponent = np.frexp(np.minimum(values, 1 - 2.0**-54))
    return np.ldexp(2 * u, exponent - 1)


def sigmoid_robustness(levels: list[list[Gate]], dtype: str, *, offset: float = 0.0) -> tuple[float, float, float]:
    """`(error, radius, gain)`: inputs off by `delta <= radius` err by `error + gain delta`.

    The radius is the largest `delta`, on a geometric grid, that the network doesn't amplify.
    """
    # Fine where the radius is decided, coarse down to roundoff.
    finest = math.ceil(8 - math.log2(unit_roundoff(dtype)))
    octaves = np.concatenate([np.arange(0, 4, 1 / 8), np.arange(4, finest)])
    steps = LIMIT * 2.0**-octaves
    errors: list[float] = []
    inside: list[float] = []
    for delta in steps:
        error = sigmoid_error(levels, float(delta), dtype, offset=offset)
        if inside or error <= delta:
            inside.append(float(delta))
            errors.append(error)
    if not inside:
        return sigmoid_error(levels, 0.0, dtype, offset=offset), 0.0, 0.0
    # The error grows with delta, so that of a grid point bounds all deltas down to the next one.
    error = errors[-1]
    gain = max((e - error) / d for e, d in zip(errors[:-1], inside[1:], strict=True)) if len(inside) > 1 else 0.0
    return error, inside[0], max(gain, 0.0)


def relu_rounding(levels: list[list[Gate]], dtype: str) -> float:
    """Rounding of the last wire for inputs off the bits by up to 1 (on bits there is none)."""
    u, rounding, low, high = unit_roundoff(dtype), 0.0, -1.0, 2.0
    wire = _INPUT
    for gates in levels:
        tallest = max(high, 1.0)
        steps = [_relu_step(gate, wire, tallest, u) for gate in gates]
        rounding = max(gate.arity for gate in gates) * rounding + max(steps)
        low, high = _relu_range(gates, low, high)
        wire = _worst_wire(gates)
    return rounding + growth(dot_terms(8), u) * 4 * max(abs(low), abs(high), 1.0)


def _relu_step(gate: Gate, wire: tuple[int, float], tallest: float, u: float) -> float:
    assert isinstance(gate.activation, ReLU)
    units, moduli = wire
    k = gate.arity
    # Units of the level below hold up to `k * tallest`, and so do the sums here.
    local = growth(dot_terms(k * units), u) * (k * moduli * k * tallest + k)
    return float(np.abs(gate.weights).sum()) * (local + growth(dot_terms(k), u) * k * tallest)


def _relu_range(gates: list[Gate], low: float, high: float) -> tuple[float, float]:
    """Range of the wires above wires in `[low, high]`: behind its last corner a gate goes on
    falling (even arity) or rising (odd arity) with slope 1; left of 0 it is 0.
    """
    lows, highs = [0.0], [1.0]
    for gate in gates:
        beyond = max(gate.arity * (high - 1), 0.0)
        if gate.arity % 2 == 0:
            lows.append(-beyond)
        else:
            highs.append(1 + beyond)
    return min(lows), max(highs)
