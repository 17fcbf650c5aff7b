"""Interval bounds of what every layer can hold."""

import math
from collections.abc import Callable
from functools import singledispatch

import numpy as np

from .._bias import bias_vector
from ..activations import (
    GELU,
    AbstractActivation,
    Concatenate,
    Custom,
    Exp,
    Identity,
    Power,
    ReLU,
    Sigmoid,
    SiLU,
    Sin,
    Softmax,
    Softplus,
    Square,
    Step,
    Tanh,
)
from ..linear.queries import concrete_entries
from ..network import Layer
from .logistic import logistic

# Widening that covers the rounding of these computations themselves, in double precision.
_SLACK = 2.0**-40


def affine_range(layer: Layer, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bounds of the pre-activations of a layer whose inputs lie in `[low, high]`."""
    rows, cols, values = concrete_entries(layer.linear)
    values = values.astype(np.float64)
    # A zero weight times an unbounded input is zero, and zeros are left out of the entries.
    ends = np.stack([values * low[cols], values * high[cols]])
    bottom = np.bincount(rows, ends.min(axis=0), layer.out_size)
    top = np.bincount(rows, ends.max(axis=0), layer.out_size)
    bias = bias_array(layer)
    bottom, top = bottom + bias, top + bias
    slack = _SLACK * (np.bincount(rows, np.abs(ends).max(axis=0), layer.out_size) + np.abs(bias))
    return bottom - slack, top + slack


def layer_range(layer: Layer, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bounds of the outputs of a layer."""
    return activation_range(layer.activation, *affine_range(layer, low, high))


def bias_array(layer: Layer) -> np.ndarray:
    """The bias of every unit in double precision, 0 where there is none."""
    bias = bias_vector(layer.bias)
    return np.zeros(layer.out_size) if bias is None else np.asarray(bias, dtype=np.float64)


@singledispatch
def activation_range(
    activation: AbstractActivation, low: np.ndarray, high: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Bounds of an activation on intervals.

    Raises:
        TypeError: an activation without a rule.
    """
    raise TypeError(f"no interval rule for {activation.name()}")


@activation_range.register
def _(activation: Identity, low, high):
    return low, high


@activation_range.register
def _(activation: ReLU, low, high):
    return np.maximum(low, 0), np.maximum(high, 0)


@activation_range.register
def _(activation: Step, low, high):
    return (low > 0).astype(float), (high > 0).astype(float)


@activation_range.register
def _(activation: Square, low, high):
    return activation_range(Power(2), low, high)


@activation_range.register
def _(activation: Power, low, high):
    with np.errstate(over="ignore"):
        ends = np.stack([low**activation.n, high**activation.n])
    bottom, top = ends.min(axis=0), ends.max(axis=0)
    if activation.n % 2 == 0:
        bottom = np.where((low <= 0) & (high >= 0), 0.0, bottom)
    return bottom - _SLACK * np.abs(bottom), top + _SLACK * np.abs(top)


@activation_range.register
def _(activation: Softplus, low, high):
    return np.logaddexp(0, low) * (1 - _SLACK), np.logaddexp(0, high) * (1 + _SLACK)


@activation_range.register
def _(activation: Exp, low, high):
    with np.errstate(over="ignore"):
        return np.exp(low) * (1 - _SLACK), np.exp(high) * (1 + _SLACK)


@activation_range.register
def _(activation: Sin, low, high):
    # A maximum lies inside where an odd number of quarter turns does, likewise a minimum.
    unbounded = ~np.isfinite(high - low)
    low, high = np.where(unbounded, 0.0, low), np.where(unbounded, 8.0, high)  # more than a turn
    ends = np.stack([np.sin(low), np.sin(high)])
    turns = 2 * np.pi
    has_top = np.floor((high - np.pi / 2) / turns) >= np.ceil((low - np.pi / 2) / turns)
    has_bottom = np.floor((high + np.pi / 2) / turns) >= np.ceil((low + np.pi / 2) / turns)
    bottom = np.where(has_bottom, -1.0, ends.min(axis=0) - _SLACK)
    return bottom, np.where(has_top, 1.0, ends.max(axis=0) + _SLACK)


@activation_range.register
def _(activation: SiLU, low, high):
    return _with_one_minimum(lambda z: z * logistic(z), -1.2784645427610738, low, high)


@activation_range.register
def _(activation: GELU, low, high):
    if activation.approximate:
        return _with_one_minimum(_gelu_by_tanh, -0.7524614220710162, low, high)
    return _with_one_minimum(_gelu, -0.7517915241756555, low, high)


def _gelu_by_tanh(z: np.ndarray) -> np.ndarray:
    return z * logistic(2 * np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))


def _gelu(z: np.ndarray) -> np.ndarray:
    return z * np.vectorize(math.erfc, otypes=[float])(-z / math.sqrt(2)) / 2


def _with_one_minimum(
    function: Callable[[np.ndarray], np.ndarray], lowest: float, low: np.ndarray, high: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Bounds of a function that falls up to `lowest` and rises from there."""
    with np.errstate(over="ignore", invalid="ignore"):
        # Far to the left such a function is 0.
        ends = np.stack([np.where(np.isneginf(z), 0.0, function(z)) for z in (low, high)])
    inside = (low <= lowest) & (high >= lowest)
    bottom = np.where(inside, function(np.array(lowest)), ends.min(axis=0))
    top = ends.max(axis=0)
    return bottom - _SLACK * (1 + np.abs(bottom)), top + _SLACK * (1 + np.abs(top))


@activation_range.register
def _(activation: Custom, low, high):
    return np.full_like(low, -np.inf), np.full_like(high, np.inf)  # nothing is known


@activation_range.register
def _(activation: Softmax, low, high):
    return np.zeros_like(low), np.ones_like(high)


@activation_range.register
def _(activation: Sigmoid, low, high):
    beta = activation.inverse_temperature
    return logistic(beta * low) * (1 - _SLACK), np.minimum(logistic(beta * high) * (1 + _SLACK), 1.0)


@activation_range.register
def _(activation: Tanh, low, high):
    return np.tanh(low) - _SLACK, np.tanh(high) + _SLACK


@activation_range.register
def _(activation: Concatenate, low, high):
    parts, start = [], 0
    for part, width in zip(activation.activations, activation.widths, strict=True):
        parts.append(activation_range(part, low[start : start + width], high[start : start + width]))
        start += width
    lows, highs = zip(*parts, strict=True)
    return np.concatenate(lows), np.concatenate(highs)
