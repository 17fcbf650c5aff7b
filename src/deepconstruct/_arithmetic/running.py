"""Running bounds: how far a running network may be off the one over the real numbers, layer by layer.

With the values go intervals that hold them over the reals, and a bound of what was rounded so far, under the
rounding model of claims: any order of operations, fused multiply-add, results and operands below the normal
numbers flushed to zero. All arrays are `(batch, units)`: a batch of boxes goes through at once. Intervals of
64-bit networks are held in extended precision where the platform has it, others in double precision.

Where a sum may overflow nothing is known of any unit behind it: kernels multiply infinities by the zeros of a
matrix. Such units have the interval of all numbers and an infinite error.
"""

import dataclasses
import math
from functools import singledispatch
from typing import Any

import jax.numpy as jnp
import numpy as np

from ..activations import (
    GELU,
    AbstractActivation,
    Exp,
    Identity,
    Power,
    ReLU,
    Sigmoid,
    Softmax,
    Square,
    Step,
    groups,
)
from ..linear import AbstractLinear, Composed, DirectSum, Stack
from ..network import Layer, Network, flat_layers
from .intervals import activation_range, bias_array
from .logistic import logistic
from .ranges import rounded_up, tight_range
from .rounding import unit_roundoff
from .softmax import softmax_error
from .sums import Weights, rounded_sums, weights_of

_DOUBLE = 2.0**-53


@dataclasses.dataclass(frozen=True)
class Enclosure:
    """Units over the reals lie in `[low, high]`; as floats they are off by at most `error`.

    They are multiples of `step` over the reals, a power of two a unit: 0 where none is known, infinite for 0 alone.
    """

    low: np.ndarray
    high: np.ndarray
    error: np.ndarray
    step: np.ndarray | None = None

    @property
    def moduli(self) -> np.ndarray:
        """The largest moduli of the floats, in double precision."""
        return rounded_up(np.maximum(-self.low, self.high)) + self.error

    def part(self, start: int, stop: int) -> "Enclosure":
        step = None if self.step is None else self.step[start:stop]
        return Enclosure(self.low[:, start:stop], self.high[:, start:stop], self.error[:, start:stop], step)

    @property
    def steps(self) -> np.ndarray:
        """`step`, as numbers."""
        return np.zeros(self.low.shape[1]) if self.step is None else self.step


def enclose(network: Network, low: np.ndarray, high: np.ndarray, step: np.ndarray | None = None) -> Enclosure:
    """A network on boxes `[low, high]` of floats, shape `(batch, in)`, by interval arithmetic.

    The network must be of this library's own classes. Inputs are floats of its dtype, and multiples of `step`
    if it is given: as `AbstractDomain.steps` has it. On such points what doesn't round has no error.

    Raises:
        TypeError: an activation or a map without a rule, or complex weights.
        ValueError: a box without any point.
    """
    held = start(network, low, high, step)
    for layer in flat_layers(network):
        held = through(layer, held, network.dtype)
    return held


def start(network: Network, low: np.ndarray, high: np.ndarray, step: np.ndarray | None = None) -> Enclosure:
    """Boxes of inputs.

    Raises:
        ValueError: a box without any point.
    """
    if not np.all(low <= high):
        raise ValueError("enclose: every box needs low <= high")
    kind = np.longdouble if network.dtype == np.float64 else np.float64
    return Enclosure(low.astype(kind), high.astype(kind), np.zeros(low.shape), step)


def through(layer: Layer, held: Enclosure, dtype: Any) -> Enclosure:
    """The units of a layer from those before it."""
    sums = affine(layer, held, dtype)
    parts, start = [], 0
    for activation, width in groups(layer.activation, layer.out_size):
        parts.append(activated(activation, sums.part(start, start + width), dtype))
        start += width
    return joined(parts)


def affine(layer: Layer, held: Enclosure, dtype: Any) -> Enclosure:
    """The pre-activations of a layer."""
    if jnp.issubdtype(dtype, jnp.complexfloating):
        raise TypeError("running bounds are about real weights")
    return _mapped(layer.linear, held, bias_array(layer), dtype)


def _mapped(linear: AbstractLinear, held: Enclosure, bias: np.ndarray, dtype: Any) -> Enclosure:
    if isinstance(linear, Composed):
        inner = _mapped(linear.inner, held, np.zeros(linear.inner.out_size), dtype)
        return _mapped(linear.outer, inner, bias, dtype)
    if isinstance(linear, Stack | DirectSum):
        parts, start, first = [], 0, 0
        for part in linear.parts:
            inputs = held if isinstance(linear, Stack) else held.part(first, first + part.in_size)
            parts.append(_mapped(part, inputs, bias[start : start + part.out_size], dtype))
            start, first = start + part.out_size, first + part.in_size
        return joined(parts)
    return summed(weights_of(linear), held, bias, dtype)


def summed(weights: Weights, held: Enclosure, bias: np.ndarray, dtype: Any) -> Enclosure:
    """`W h + b` on intervals, which are widened by the roundings of these sums themselves.

    Each has `terms + 3` of them, relative to the sum of the moduli, and may underflow as often.
    """
    certain, kind = held.low == held.high, held.low.dtype
    sums = rounded_sums(weights, held.moduli, held.error, bias, dtype, step=held.steps, certain=certain)
    positive, negative = np.maximum(weights.values, 0), np.minimum(weights.values, 0)
    with np.errstate(over="ignore", invalid="ignore"):
        low, high = np.where(np.isfinite(held.low), held.low, 0), np.where(np.isfinite(held.high), held.high, 0)
        bottom = weights.times(positive, low) + weights.times(negative, high) + bias
        top = weights.times(positive, high) + weights.times(negative, low) + bias
        unit = float(np.finfo(kind).eps) / 2
        slack = (sums.terms + 8) * unit * (1 + 2.0**-20) * (sums.mass + np.abs(bias)) + sums.terms * 2.0**-1070
        slack = np.where(sums.plain, 0.0, slack)
        return settled(Enclosure(bottom - slack, top + slack, sums.error, sums.step))


def settled(units: Enclosure) -> Enclosure:
    """Nothing is known of units whose bounds aren't finite."""
    known = np.isfinite(units.low) & np.isfinite(units.high) & np.isfinite(units.error)
    low, high = np.where(known, units.low, -np.inf), np.where(known, units.high, np.inf)
    return Enclosure(low, high, np.where(known, units.error, np.inf), units.step)


def activated(activation: AbstractActivation, sums: Enclosure, dtype: Any) -> Enclosure:
    """Units behind their activation."""
    known, step = np.isfinite(sums.error), sums.steps
    if isinstance(activation, Softmax):
        known = np.broadcast_to(known.all(axis=1, keepdims=True), known.shape)
    low, high, error = (np.where(known, part, 0.0) for part in (sums.low, sums.high, sums.error))
    sums = Enclosure(low, high, error, step)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        low, high = tight_range(activation, sums.low, sums.high)
        # The floats, rounded outward to double precision.
        wide = -rounded_up(-(sums.low - sums.error)), rounded_up(sums.high + sums.error)
        error = np.where(known, _error(activation, sums, wide, dtype), np.inf)
        if isinstance(activation, Square | Power):
            low, high, error = _exact_powers(activation, sums, (low, high, error), dtype)
        largest = rounded_up(np.maximum(-low, high)) + error
        error = np.where(largest < float(jnp.finfo(dtype).max), error, np.inf)
    return settled(Enclosure(low, high, error, _step_behind(activation, step)))


def evaluation(activation: AbstractActivation, sums: Enclosure, dtype: Any) -> np.ndarray:
    """What an activation itself rounds, where its pre-activations are floats of the sums."""
    wide = -rounded_up(-(sums.low - sums.error)), rounded_up(sums.high + sums.error)
    found = _error(activation, Enclosure(sums.low, sums.high, np.zeros(sums.error.shape)), wide, dtype)
    return np.where(np.isfinite(sums.error), found, np.inf)


def _step_behind(activation: AbstractActivation, step: np.ndarray) -> np.ndarray:
    """Of what power of two units are multiples behind their activation."""
    if isinstance(activation, Step):
        return np.ones_like(step)
    if isinstance(activation, Square | Power):
        return step ** _degree(activation)
    return step if isinstance(activation, Identity | ReLU) else np.zeros_like(step)


def _degree(activation: Square | Power) -> int:
    return activation.n if isinstance(activation, Power) else 2


def _exact_powers(activation: Square | Power, sums: Enclosure, found: tuple, dtype: Any) -> tuple:
    """Powers of units that are known exactly, where none of the products rounds, in double precision or in a dtype."""
    certain = (sums.low == sums.high) & (sums.error == 0)
    least, power = sums.steps, sums.low
    for _ in range(_degree(activation) - 1):
        least, power = least * sums.steps, power * sums.low
    top = np.abs(power)

    def fits(dtype: Any) -> np.ndarray:
        # The powers between the first and the last lie between them, and so do their grids.
        info = jnp.finfo(dtype)
        normal = (np.minimum(sums.steps, least) >= float(info.tiny)) & (top <= float(info.max))
        return certain & normal & (top < 2.0 ** (info.nmant + 1) * least)

    plain = fits("float64")
    low, high = (np.where(plain, power, end) for end in found[:2])
    return low, high, np.where(plain & fits(dtype), 0.0, found[2])


@singledispatch
def _error(activation: AbstractActivation, sums: Enclosure, wide: tuple, dtype: Any) -> np.ndarray:
    """The error of units whose pre-activations, as floats, lie in `wide`: slope times error, plus evaluation."""
    height = np.maximum(*(np.abs(end) for end in activation_range(activation, *wide)))
    return _sum(activation.lipschitz() * sums.error, activation.ulps() * _ulp(height, dtype))


@_error.register
def _(activation: Identity, sums, wide, dtype):
    return sums.error


@_error.register
def _(activation: ReLU, sums, wide, dtype):
    return np.where(wide[1] <= 0, 0.0, sums.error)


@_error.register
def _(activation: Step, sums, wide, dtype):
    return np.where((wide[0] > 0) | (wide[1] <= 0), 0.0, 1.0)


@_error.register
def _(activation: Square, sums, wide, dtype):
    return _error(Power(2), sums, wide, dtype)


@_error.register
def _(activation: Power, sums, wide, dtype):
    # Each of the roundings of products of products counts at most n - 1 times in all; so do those below the normal.
    n, moduli = activation.n, np.maximum(np.abs(wide[0]), np.abs(wide[1]))
    rounded = moduli**n * math.expm1((n - 1) * unit_roundoff(dtype))
    flushed = 4 * n * float(jnp.finfo(dtype).tiny) * np.maximum(moduli, 1) ** n
    return _sum(n * moduli ** (n - 1) * sums.error, np.where(moduli > 0, rounded + flushed, 0.0) * (1 + 2.0**-40))


@_error.register
def _(activation: Exp, sums, wide, dtype):
    height = tight_range(activation, *wide)[1]
    return _sum(height * sums.error, activation.ulps() * _ulp(height, dtype))


@_error.register
def _(activation: GELU, sums, wide, dtype):
    # Beyond 1/2 the units in the last place are those of z.
    moduli = np.maximum(np.abs(wide[0]), np.abs(wide[1]))
    height = np.where(moduli <= 0.5, np.maximum(*(np.abs(end) for end in activation_range(activation, *wide))), moduli)
    return _sum(activation.lipschitz() * sums.error, activation.ulps() * _ulp(height, dtype))


@_error.register
def _(activation: Sigmoid, sums, wide, dtype):
    beta, info = activation.inverse_temperature, jnp.finfo(dtype)
    if not float(info.tiny) <= beta <= float(info.max):
        return np.full(sums.error.shape, np.inf)  # it may be stored as zero or infinity
    moduli = np.maximum(np.abs(wide[0]), np.abs(wide[1]))
    # The slope is at most that at the least modulus of both arguments, one of which beta has rounded.
    nearest = np.maximum(np.maximum(wide[0], -wide[1]), 0.0) * beta * (1 - 4 * unit_roundoff(dtype))
    slope = np.minimum(0.25, logistic(-nearest) * (1 + 2.0**-40))
    passed = slope * (beta * sums.error + _scaling(beta, dtype) * beta * moduli)
    # Values lie below 1, so their last place does.
    height = np.minimum(np.abs(tight_range(activation, *wide)[1]), 1 - _DOUBLE)
    return _sum(passed, activation.ulps() * _ulp(height, dtype))


def _scaling(beta: float, dtype: Any) -> float:
    """The relative error of `beta z`: beta is rounded to the dtype, unless it is one of its floats, and the product."""
    u = unit_roundoff(dtype)
    if np.frexp(beta)[0] == 0.5:
        return 0.0
    return u if float(np.asarray(beta, jnp.dtype(dtype))) == beta else 2 * u + u**2


@_error.register
def _(activation: Softmax, sums, wide, dtype):
    classes, u = sums.error.shape[-1], unit_roundoff(dtype)
    error = sums.error.max(axis=-1, keepdims=True)
    bounded = np.vectorize(lambda e: softmax_error(e, classes, u), otypes=[float])(error)
    flushed = 2 * classes * float(jnp.finfo(dtype).tiny)  # exponentials of logits far below the largest
    return np.broadcast_to(bounded + flushed, sums.error.shape) * (1 + 2.0**-48)


def _ulp(height: np.ndarray, dtype: Any) -> np.ndarray:
    """The unit in the last place of numbers up to `height`; what is below the normal numbers may be flushed."""
    info = jnp.finfo(dtype)
    unit = np.ldexp(1.0, np.frexp(np.where(height > 0, height, float(info.tiny)))[1] - 1 - info.nmant)
    return np.where(np.isfinite(height), np.maximum(unit, float(info.tiny)), np.inf)


def _sum(passed: np.ndarray, made: np.ndarray) -> np.ndarray:
    total = (passed + made) * (1 + 2.0**-48)
    return np.where(np.isnan(total), np.inf, total)


def joined(parts: list[Enclosure]) -> Enclosure:
    """Units side by side."""
    low, high, error = (np.concatenate([getattr(p, name) for p in parts], axis=1) for name in ("low", "high", "error"))
    return Enclosure(low, high, error, np.concatenate([part.steps for part in parts]))
