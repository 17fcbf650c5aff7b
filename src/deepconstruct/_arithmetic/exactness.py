"""When a network on a finite grid computes without any rounding, in any order of operations.

If all inputs of a layer are multiples of a power of two `q` and all weights of `r`, every product
and partial sum is a multiple of `q r`; where their moduli also stay below `q r 2^p`, with `p` the
digits of the dtype, each of them is a float and nothing rounds.
"""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np

from ..activations import Identity, ReLU, Step, groups
from ..domains import AbstractDomain, Bits, Points, Product, Signs
from ..linear.queries import concrete_entries
from ..network import Layer, Network, flat_layers
from .intervals import bias_array


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
        rows, cols, values = concrete_entries(layer.linear)
        bias = bias_array(layer)
        step = min(step * _quantum(values), _quantum(bias))
        moduli = np.bincount(rows, np.abs(values) * moduli[cols], layer.out_size) + np.abs(bias)
        if not _fits(moduli, step, dtype):
            return False
        start = 0
        for activation, width in groups(layer.activation, layer.out_size):
            if isinstance(activation, Step):
                moduli[start : start + width] = 1.0
                step = min(step, 1.0)
            elif not isinstance(activation, ReLU | Identity):
                return False
            start += width
    return True


def _grid(domain: AbstractDomain) -> float | None:
    if isinstance(domain, Bits | Signs):
        return 1.0
    if isinstance(domain, Points):
        return _quantum(domain.array.array)
    if isinstance(domain, Product):
        steps = [_grid(part) for part in domain.domains]
        return None if None in steps else min(steps)  # pyright: ignore[reportArgumentType]
    return None


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
