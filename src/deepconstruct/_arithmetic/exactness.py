"""When a network on a finite grid computes without any rounding, in any order of operations.

If all inputs of a layer are multiples of a power of two `q` and all weights of `r`, every product
and partial sum is a multiple of `q r`; where their moduli also stay below `q r 2^p`, with `p` the
digits of the dtype, each of them is a float and nothing rounds.
"""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np

from ..activations import Identity, Power, ReLU, Square, Step, groups
from ..domains import AbstractDomain
from ..linear import SignPatterns
from ..linear.composed import factors
from ..linear.queries import concrete_entries
from ..network import Layer, Network, flat_layers
from .intervals import bias_array

_LARGEST_PATTERNS = 12


def is_exact_on(network: Network, domain: AbstractDomain) -> bool:
    """Whether no operation of the network rounds on any vector of the domain (proved, or False)."""
    step = _grid(domain)
    if step is None:
        return False
    low, high = domain.box()
    return _stays_exact(flat_layers(network), step, np.maximum(np.abs(low), np.abs(high)), network.dtype)


def is_exact_after_step(network: Network) -> bool:
    """Whether nothing rounds behind the first layer of step units, whatever the input."""
    layers = flat_layers(network)
    for index, layer in enumerate(layers):
        if isinstance(layer.activation, Step):
            return _stays_exact(layers[index + 1 :], 1.0, np.ones(layer.out_size), network.dtype)
    return False


def _stays_exact(layers: tuple[Layer, ...], step: float, moduli: np.ndarray, dtype: Any) -> bool:
    """Follow the grid `step` and the largest moduli through the layers."""
    for layer in layers:
        bias = bias_array(layer)
        for linear in factors(layer.linear):
            if isinstance(linear, SignPatterns) and linear.n > _LARGEST_PATTERNS:
                return False  # its entries would fill the memory
            rows, cols, values = concrete_entries(linear)
            step *= _quantum(values)
            moduli = np.bincount(rows, np.abs(values) * moduli[cols], linear.out_size)
            if not _fits(moduli, step, dtype):
                return False
        step, moduli = min(step, _quantum(bias)), moduli + np.abs(bias)
        if not _fits(moduli, step, dtype):
            return False
        found = _through_activation(layer, step, moduli)
        if found is None:
            return False
        step, moduli = found
        if not _fits(moduli, step, dtype):
            return False
    return True


def _through_activation(layer: Layer, step: float, moduli: np.ndarray) -> tuple[float, np.ndarray] | None:
    """Grid and moduli behind the activations, or `None` where they leave every grid."""
    moduli, start, finest = moduli.copy(), 0, step
    for activation, width in groups(layer.activation, layer.out_size):
        part = slice(start, start + width)
        start += width
        if isinstance(activation, Step):
            moduli[part], finest = 1.0, min(finest, 1.0)
        elif isinstance(activation, Square | Power):
            power = activation.n if isinstance(activation, Power) else 2
            moduli[part], finest = moduli[part] ** power, min(finest, step**power)
        elif not isinstance(activation, ReLU | Identity):
            return None
    return finest, moduli


def _grid(domain: AbstractDomain) -> float | None:
    finest = float(domain.steps().min())
    return None if finest == 0 else min(finest, 1.0) if math.isinf(finest) else finest


def _quantum(values: np.ndarray) -> float:
    """The largest power of two of which all values are multiples (1 if all are zero)."""
    values = np.asarray(values, dtype=np.float64)
    values = values[values != 0]
    if len(values) == 0:
        return 1.0
    mantissa, exponent = np.frexp(values)
    digits = np.abs(np.ldexp(mantissa, 53)).astype(np.int64)
    lowest = digits & -digits
    return float(np.ldexp(lowest.astype(float), exponent - 53).min())


def _fits(moduli: np.ndarray, step: float, dtype: Any) -> bool:
    info = jnp.finfo(dtype)
    return bool(np.all(moduli < step * 2.0 ** (info.nmant + 1))) and math.isfinite(step) and step >= float(info.tiny)
