"""Interval bounds of what every layer can hold."""

from functools import singledispatch

import numpy as np

from .._bias import bias_vector
from ..activations import AbstractActivation, Concatenate, Identity, ReLU, Sigmoid, Square, Step, Tanh
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
    ends = np.stack([low * low, high * high])
    bottom = np.where((low <= 0) & (high >= 0), 0.0, ends.min(axis=0))
    return bottom * (1 - _SLACK), ends.max(axis=0) * (1 + _SLACK)


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
