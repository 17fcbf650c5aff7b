"""Running bounds: how far a running network may be off the one over the real numbers, layer by layer.

With the values go intervals that hold them over the reals, and a bound of what was rounded so far. All arrays
are `(batch, units)` in double precision: a batch of boxes goes through at once.
"""

import dataclasses
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
from ..linear import AbstractLinear, Butterfly, Composed, DirectSum, Stack
from ..linear.queries import concrete_entries
from ..network import Layer, Network, flat_layers
from .intervals import activation_range, bias_array
from .rounding import unit_roundoff
from .softmax import softmax_error

_DOUBLE = 2.0**-53


@dataclasses.dataclass(frozen=True)
class Enclosure:
    """Units over the reals lie in `[low, high]`; as floats they are off by at most `error`."""

    low: np.ndarray
    high: np.ndarray
    error: np.ndarray

    @property
    def moduli(self) -> np.ndarray:
        """The largest moduli of the floats."""
        return np.maximum(-self.low, self.high) + self.error

    def part(self, start: int, stop: int) -> "Enclosure":
        return Enclosure(self.low[:, start:stop], self.high[:, start:stop], self.error[:, start:stop])


def enclose(network: Network, low: np.ndarray, high: np.ndarray) -> Enclosure:
    """A network on boxes `[low, high]` of floats, shape `(batch, in)`, by interval arithmetic.

    Raises:
        TypeError: an activation or a map without a rule, or complex weights.
    """
    held = Enclosure(low, high, np.zeros_like(low, dtype=np.float64))
    for layer in flat_layers(network):
        held = through(layer, held, network.dtype)
    return held


def through(layer: Layer, held: Enclosure, dtype: Any) -> Enclosure:
    """The units of a layer from those before it."""
    sums = affine(layer, held, dtype)
    parts, start = [], 0
    for activation, width in groups(layer.activation, layer.out_size):
        parts.append(activated(activation, sums.part(start, start + width), dtype))
        start += width
    return _joined(parts)


def affine(layer: Layer, held: Enclosure, dtype: Any) -> Enclosure:
    """The pre-activations of a layer."""
    if jnp.issubdtype(dtype, jnp.complexfloating):
        raise TypeError("running bounds are about real weights")
    linear, bias = layer.linear, bias_array(layer)
    while isinstance(linear, Composed):
        held, linear = _mapped(linear.inner, held, np.zeros(linear.inner.out_size), dtype), linear.outer
    return _mapped(linear, held, bias, dtype)


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
        return _joined(parts)
    if isinstance(linear, Butterfly):
        raise TypeError("running bounds don't know how butterflies are merged")
    return _summed(linear, held, bias, dtype)


def _summed(linear: AbstractLinear, held: Enclosure, bias: np.ndarray, dtype: Any) -> Enclosure:
    """`W h + b`: per unit, with `n` terms that can be non-zero (one of which may be the bias),

        error = |W| e + u sum |w| |h| over the w that aren't powers of two + (n - 1) u (sum |w| |h| + |b|) + flushed

    up to factors `1 + O(n u)`: every partial sum is at most the sum of the moduli, itself rounded.
    """
    from scipy.sparse import csr_array

    info, u = jnp.finfo(dtype), unit_roundoff(dtype)
    tiny = float(info.tiny)
    rows, cols, stored = concrete_entries(linear)
    values = stored.astype(np.float64)
    shape = (linear.out_size, linear.in_size)

    def times(weights: np.ndarray, columns: np.ndarray) -> np.ndarray:
        return (csr_array((weights, (rows, cols)), shape=shape) @ columns.T).T

    moduli = held.moduli
    sizes = np.abs(values)
    mass = times(sizes, moduli)
    inexact = np.where(np.frexp(sizes)[0] == 0.5, 0.0, sizes)
    terms = times((values != 0).astype(float), (moduli > 0).astype(float)) + (bias != 0)
    additions = np.maximum(terms - 1, 0) * u
    # A subnormal weight or unit may be read as zero, a product or sum written as zero.
    flushed = tiny * (times(sizes + 2.0, (moduli > 0).astype(float)) + 2 * (bias != 0))
    subnormal = (sizes > 0) & (sizes < tiny)
    if np.any(subnormal):
        flushed = flushed + times(np.where(subnormal, sizes, 0.0), moduli)
    error = times(sizes, held.error) + u * times(inexact, moduli) + (additions + u**2 * terms) * (mass + np.abs(bias))
    # u^2 terms bound the products of both kinds of rounding for terms u <= 1/4; beyond, there is no bound.
    error = (error + additions**2 * 2 * (mass + np.abs(bias))) * (1 + 2 * u) + flushed
    error = np.where((terms + 1) * u <= 0.25, error, np.inf)
    largest = mass + np.abs(bias) + error
    error = np.where(largest < float(info.max), error, np.inf)  # else a sum may overflow

    positive, negative = np.maximum(values, 0), np.minimum(values, 0)
    low = times(positive, held.low) + times(negative, held.high) + bias
    high = times(positive, held.high) + times(negative, held.low) + bias
    # These sums themselves, in double precision: each is off by less than (n + 2) units of its moduli.
    own = (terms.max(initial=0) + 8) * _DOUBLE * (1 + 2.0**-20)
    slack = own * (mass + np.abs(bias))
    return Enclosure(low - slack, high + slack, error * (1 + 4 * own))


def activated(activation: AbstractActivation, sums: Enclosure, dtype: Any) -> Enclosure:
    """Units behind their activation."""
    low, high = activation_range(activation, sums.low, sums.high)
    wide = sums.low - sums.error, sums.high + sums.error
    error = sums.error if isinstance(activation, Identity | ReLU) else _error(activation, sums, wide, dtype)
    if isinstance(activation, ReLU):
        error = np.where(wide[1] <= 0, 0.0, error)
    return Enclosure(low, high, error)


@singledispatch
def _error(activation: AbstractActivation, sums: Enclosure, wide: tuple, dtype: Any) -> np.ndarray:
    """The error of units whose pre-activations, as floats, lie in `wide`: slope times error, plus evaluation."""
    height = np.maximum(*(np.abs(end) for end in activation_range(activation, *wide)))
    return _sum(activation.lipschitz() * sums.error, activation.ulps() * _ulp(height, dtype))


@_error.register
def _(activation: Step, sums, wide, dtype):
    return np.where((wide[0] > 0) | (wide[1] <= 0), 0.0, 1.0)


@_error.register
def _(activation: Square, sums, wide, dtype):
    return _error(Power(2), sums, wide, dtype)


@_error.register
def _(activation: Power, sums, wide, dtype):
    n, u = activation.n, unit_roundoff(dtype)
    moduli = np.maximum(np.abs(wide[0]), np.abs(wide[1]))
    with np.errstate(over="ignore"):
        rounded = (
            moduli**n * ((1 + u) ** (n - 1) - 1) + 2 * n * float(jnp.finfo(dtype).tiny) * np.maximum(moduli, 1) ** n
        )
        return _sum(n * moduli ** (n - 1) * sums.error, rounded)


@_error.register
def _(activation: Exp, sums, wide, dtype):
    with np.errstate(over="ignore"):
        height = np.exp(wide[1]) * (1 + 2.0**-50)
        return _sum(height * sums.error, activation.ulps() * _ulp(height, dtype))


@_error.register
def _(activation: GELU, sums, wide, dtype):
    # Beyond 1/2 the units in the last place are those of z.
    moduli = np.maximum(np.abs(wide[0]), np.abs(wide[1]))
    height = np.where(moduli <= 0.5, np.maximum(*(np.abs(end) for end in activation_range(activation, *wide))), moduli)
    return _sum(activation.lipschitz() * sums.error, activation.ulps() * _ulp(height, dtype))


@_error.register
def _(activation: Sigmoid, sums, wide, dtype):
    beta, u = activation.inverse_temperature, unit_roundoff(dtype)
    height = np.abs(activation_range(activation, *wide)[1])
    moduli = np.maximum(np.abs(wide[0]), np.abs(wide[1]))
    scaled = 0.0 if np.frexp(beta)[0] == 0.5 else 2 * u * (1 + u) * beta * moduli  # beta and the product are rounded
    return _sum(beta / 4 * sums.error + scaled / 4, activation.ulps() * _ulp(height, dtype))


@_error.register
def _(activation: Softmax, sums, wide, dtype):
    error = sums.error.max(axis=-1, keepdims=True)
    classes, u = sums.error.shape[-1], unit_roundoff(dtype)
    bounded = np.vectorize(lambda e: softmax_error(e, classes, u), otypes=[float])(error)
    return np.broadcast_to(bounded, sums.error.shape)


def _ulp(height: np.ndarray, dtype: Any) -> np.ndarray:
    """The unit in the last place of numbers up to `height`; what is below the normal numbers may be flushed."""
    info = jnp.finfo(dtype)
    with np.errstate(invalid="ignore"):
        return np.where(
            np.isfinite(height),
            np.maximum(np.ldexp(1.0, np.frexp(height)[1] - 1 - info.nmant), float(info.tiny)),
            np.inf,
        )


def _sum(passed: np.ndarray, made: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        total = (passed + made) * (1 + 2.0**-48)
    return np.where(np.isnan(total), np.inf, total)


def _joined(parts: list[Enclosure]) -> Enclosure:
    names = [field.name for field in dataclasses.fields(Enclosure)]
    return Enclosure(*(np.concatenate([getattr(part, name) for part in parts], axis=1) for name in names))
