"""Ranges of what is read off units that share one sum.

With `s` the sum that is `F(s) = sum_a r_a f(s + b_a)`, on intervals of `s`.

Unit by unit the range would be too large: a gate's units rise and fall together. So `F` itself is followed:

- ReLU: between its corners it is linear, so that its range is that of its values at both ends and at the corners
  between them; its slope is a sum of some of the `r_a`;
- sigmoid: `|F(s) - F(c)| <= |F'(c)| |s - c| + M (s - c)^2 / 2`, with `M = sum |r_a| beta^2 max |S''|`, on all of the
  interval or on cells of it; or the sum of the ranges of the units, which are monotone.

All functions take `r` of shape `(readers, units)`, `b` of shape `(units,)` and intervals of shape `(states,)`. Where
all numbers are multiples of a grid that the dtype holds, nothing here rounds. Else the caller allows for `EPS` times
the moduli; what evaluating sigmoids rounds beyond is allowed for here.
"""

import numpy as np

from ...activations import AbstractActivation, Identity, Power, ReLU, Sigmoid, Square, Step
from .wide import EPS, WIDE, is_exact_sum, plus_outward, times_up

# max |S''| of the logistic function is 1 / (6 sqrt 3) = 0.096225...
_CURVATURE = 0.0963
_CELLS = 128
# Of more units, or where more numbers would be held, the ranges of the units are added.
_JOINT = 64
_HELD = 2**22

Range = tuple[np.ndarray, np.ndarray, np.ndarray]


def power_of(activation: AbstractActivation) -> int:
    """The exponent of a power."""
    return activation.n if isinstance(activation, Power) else 2


def logistic(x: np.ndarray) -> np.ndarray:
    """`1 / (1 + exp(-x))`, off by at most `16 EPS`.

    With `exp` off by one unit in the last place (a factor `1 + 2 EPS`) and `x` by `4 EPS |x|`, the exponential `d` of
    `-|x|` is off by `(4 |x| + 2) EPS d`, which is at most `4 EPS` as `|x| d <= 1/e`; sum and quotient add `3 EPS`.
    """
    decay = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, decay) / (1 + decay)


def monotone(activation: AbstractActivation, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The range of an activation on intervals."""
    if isinstance(activation, ReLU):
        return np.maximum(low, 0), np.maximum(high, 0)
    if isinstance(activation, Step):
        return (low > 0).astype(WIDE), (high > 0).astype(WIDE)
    if isinstance(activation, Sigmoid):
        beta, slack = activation.inverse_temperature, 16 * EPS
        return np.maximum(logistic(beta * low) - slack, 0), np.minimum(logistic(beta * high) + slack, 1)
    if isinstance(activation, Square | Power):
        n = power_of(activation)
        ends = _power(low, n), _power(high, n)
        least = np.minimum(*ends)
        return np.where((n % 2 == 0) & (low <= 0) & (high >= 0), 0, least), np.maximum(*ends)
    assert isinstance(activation, Identity)
    return low, high


def joint_range(
    activation: AbstractActivation,
    r: np.ndarray,
    b: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    slope: np.ndarray,
    reach: float,
) -> Range:
    """Bounds `(low, high, slope)` of `F` on `[low - slope delta, high + slope delta]` for all `delta <= reach`.

    Shape `(states, readers)`. Steps are left to the caller, who knows on which side their sums are rounded.
    """
    if np.array_equal(low, high) and not np.any(slope) and not isinstance(activation, Sigmoid):
        at = low[:, None] + b
        point = monotone(activation, at, at)[0] @ r.T
        return point, point, np.zeros_like(point)
    bottom, top = _apart(activation, r, low[:, None] + b, high[:, None] + b)
    few = r.shape[1] <= _JOINT and len(low) * r.shape[1] * max(r.shape[1], _CELLS) <= _HELD
    if few and isinstance(activation, ReLU | Identity):
        bottom, top = _piecewise(activation, r, b, low, high)
    elif few and isinstance(activation, Sigmoid):
        found = [_smooth(activation, row, b, low, high) for row in r]
        bottom = np.maximum(bottom, np.stack([part[0] for part in found], axis=1))
        top = np.minimum(top, np.stack([part[1] for part in found], axis=1))
    if not np.any(slope):
        return bottom, top, np.zeros_like(bottom)
    moved = times_up(slope, np.asarray(reach, WIDE))
    steepest = _steepness(activation, r, b, -plus_outward(-low, moved), plus_outward(high, moved))
    return bottom, top, times_up(steepest, slope[:, None])


def _apart(
    activation: AbstractActivation, r: np.ndarray, low: np.ndarray, high: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The sum of the ranges of all units."""
    least, most = monotone(activation, low, high)
    up, down = np.maximum(r, 0).T, np.minimum(r, 0).T
    return least @ up + most @ down, most @ up + least @ down


def _piecewise(
    activation: AbstractActivation, r: np.ndarray, b: np.ndarray, low: np.ndarray, high: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The range of a piecewise linear function: at both ends, and at the corners between them."""
    corners = np.clip(-b, low[:, None], high[:, None]) if isinstance(activation, ReLU) else low[:, None]
    at = np.concatenate([low[:, None], high[:, None], corners], axis=1)
    values = monotone(activation, at[..., None] + b, at[..., None] + b)[0]
    # Corners inside needn't be on the grid on which nothing is rounded.
    inside = np.any((corners > low[:, None]) & (corners < high[:, None]), axis=1)
    slack = np.where(inside[:, None], (len(b) + 8) * EPS * (np.abs(values).max(axis=1) @ np.abs(r).T), 0.0)
    sums = values @ r.T
    return sums.min(axis=1) - slack, sums.max(axis=1) + slack


def _smooth(
    activation: Sigmoid, r: np.ndarray, b: np.ndarray, low: np.ndarray, high: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The range of one sum of sigmoids by its first derivative and a bound of the second one."""
    beta, mass = activation.inverse_temperature, float(np.abs(r).sum())
    radius = (high - low) / 2 + 2 * EPS * (np.abs(low) + np.abs(high))
    bound = mass * beta**2 * _CURVATURE

    def part(center: np.ndarray, radius: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        units = logistic(beta * (center[..., None] + b))
        value, steep = units @ r, np.abs((beta * units * (1 - units)) @ r)
        # Sums of n products of numbers that are off by 16 EPS; the derivative's units by 64 EPS.
        slack = EPS * mass * (len(r) + 24 + (len(r) + 64) * beta * radius)
        room = steep * radius + bound * radius**2 / 2 + slack
        return value - room, value + room

    center = low + (high - low) / 2
    bottom, top = part(center, radius)
    if np.any(bound * radius**2 > 2.0**-10 * mass):
        shares = (np.arange(_CELLS) - (_CELLS - 1) / 2) * 2 / _CELLS
        half = radius / _CELLS + 4 * EPS * (np.abs(low) + np.abs(high))
        cells = part(center[:, None] + radius[:, None] * shares.astype(WIDE), half[:, None])
        bottom, top = np.maximum(bottom, cells[0].min(axis=1)), np.minimum(top, cells[1].max(axis=1))
    return bottom, top


def _steepness(
    activation: AbstractActivation, r: np.ndarray, b: np.ndarray, low: np.ndarray, high: np.ndarray
) -> np.ndarray:
    """The largest modulus of the slope of `F` on intervals, shape `(states, readers)`."""
    if isinstance(activation, ReLU):
        order = np.argsort(-b)
        slopes = np.concatenate([np.zeros((1, len(r)), WIDE), np.cumsum(r[:, order].T.astype(WIDE), axis=0)])
        corners = np.concatenate([[-np.inf], (-b)[order], [np.inf]])
        met = (corners[:-1] < high[:, None]) & (corners[1:] > low[:, None])
        steepest = np.where(met[..., None], np.abs(slopes), 0).max(axis=1)
    elif isinstance(activation, Identity):
        steepest = np.abs(r.sum(axis=1, dtype=WIDE))[None] + np.zeros((len(low), 1), WIDE)
    else:
        assert isinstance(activation, Square | Power)
        n = power_of(activation)
        moduli = np.maximum(np.abs(low[:, None] + b), np.abs(high[:, None] + b))
        steepest = n * _power(moduli, n - 1) @ np.abs(r).T * (1 + 2.0**-40)
    return steepest if is_exact_sum(r.astype(np.float64)) else steepest + np.abs(r).sum(axis=1) * (r.shape[1] + 8) * EPS


def _power(values: np.ndarray, n: int) -> np.ndarray:
    """By multiplications, which don't round on a grid that is fine enough."""
    found = np.ones_like(values)
    for _ in range(n):
        found = found * values
    return found
