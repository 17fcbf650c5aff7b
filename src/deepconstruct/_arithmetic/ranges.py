"""Ranges of activations on intervals that are little wider than they must be, in double or extended precision.

They trust NumPy's exponential, logarithm, hyperbolic tangent and powers to within 8 units in the last place of
the precision that they are given. Softmax is that of the last axis.
"""

from functools import singledispatch

import numpy as np

from ..activations import AbstractActivation, Exp, Identity, Power, ReLU, Sigmoid, Softmax, Softplus, Square, Step, Tanh
from .intervals import activation_range
from .logistic import logistic

TRUSTED = "NumPy's exp, log, tanh and powers to within 8 units in the last place"

# More than what is lost where a result falls below the normal numbers.
_LEAST = 2.0**-1000

Ends = tuple[np.ndarray, np.ndarray]


@singledispatch
def tight_range(activation: AbstractActivation, low: np.ndarray, high: np.ndarray) -> Ends:
    """Bounds of an activation on intervals `[low, high]`.

    Raises:
        TypeError: an activation without a rule.
    """
    return activation_range(activation, -rounded_up(-low), rounded_up(high))


@tight_range.register(Identity)
@tight_range.register(ReLU)
@tight_range.register(Step)
def _(activation, low, high):
    return activation_range(activation, low, high)


@tight_range.register
def _(activation: Square, low, high):
    return tight_range(Power(2), low, high)


@tight_range.register
def _(activation: Power, low, high):
    ends = np.stack([low**activation.n, high**activation.n])
    bottom, top = ends.min(axis=0), ends.max(axis=0)
    if activation.n % 2 == 0:
        bottom = np.where((low <= 0) & (high >= 0), 0.0, bottom)
    some = (low != 0) | (high != 0)
    bottom, top = bottom - _loss(bottom) * some, top + _loss(top) * some
    return (np.maximum(bottom, 0), top) if activation.n % 2 == 0 else (bottom, top)


@tight_range.register
def _(activation: Exp, low, high):
    return _widened(np.exp(low), np.exp(high))


@tight_range.register
def _(activation: Softplus, low, high):
    zero = np.zeros((), low.dtype)
    return _widened(np.logaddexp(zero, low), np.logaddexp(zero, high))


@tight_range.register
def _(activation: Tanh, low, high):
    bottom, top = np.tanh(low), np.tanh(high)
    return np.maximum(bottom - _loss(bottom), -1), np.minimum(top + _loss(top), 1)


@tight_range.register
def _(activation: Sigmoid, low, high):
    # The rounding of the argument itself is relative to its size.
    low, high = activation.inverse_temperature * low, activation.inverse_temperature * high
    bottom, top = logistic(low), logistic(high)
    bottom = np.maximum(bottom - _loss(bottom, 1 + np.abs(low)), 0)
    return bottom, np.minimum(top + _loss(top, 1 + np.abs(high)), 1)


@tight_range.register
def _(activation: Softmax, low, high):
    # A probability is largest where its own logit is, and the others are least.
    return _probabilities(low, high, -1.0), _probabilities(high, low, 1.0)


def _probabilities(own: np.ndarray, others: np.ndarray, side: float) -> np.ndarray:
    """`1 / (1 + sum_j exp(others_j - own))` over the other units `j`, rounded to one side."""
    classes = own.shape[-1]
    gaps = others[..., None, :] - own[..., :, None]
    # What a difference was rounded shows relative to its size; beyond 2^14 its exponential is 0 or infinite.
    odds = np.where(np.eye(classes, dtype=bool), 0.0, np.exp(gaps))
    sizes = np.minimum(np.abs(gaps), 2.0**14).max(axis=-1)
    share = 1 / (1 + odds.sum(axis=-1))
    found = share + side * _loss(share, 1 + classes + sizes)
    return np.clip(found, 0, 1)


def rounded_up(values: np.ndarray) -> np.ndarray:
    """Double precision, rounded up."""
    narrow = values.astype(np.float64)
    return np.where(narrow < values, np.nextafter(narrow, np.inf), narrow)


def _widened(bottom: np.ndarray, top: np.ndarray) -> Ends:
    """Values that aren't negative, with what was rounded."""
    return np.maximum(bottom - _loss(bottom), 0), top + _loss(top)


def _loss(values: np.ndarray, terms: np.ndarray | float = 1.0) -> np.ndarray:
    return np.abs(values) * terms * 16 * float(np.finfo(values.dtype).eps) + _LEAST
