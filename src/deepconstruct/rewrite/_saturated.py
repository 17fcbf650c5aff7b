"""Sigmoids that stand for steps: how steep they are, and how far off they may be."""

import math
from fractions import Fraction
from typing import Any

import jax.numpy as jnp
import numpy as np

from .._arithmetic.rounding import unit_roundoff
from .._arithmetic.running import Enclosure, activated, affine, joined, start
from ..activations import Sigmoid, groups
from ..domains import AbstractDomain
from ..network import Network, flat_layers


def gain_for(target: Sigmoid, dtype: Any) -> Fraction:
    """A power of two by which integers are multiplied, so that sigmoids of halves are off by less than a rounding."""
    beta, info, least = target.inverse_temperature, jnp.finfo(dtype), 4 - math.log(unit_roundoff(dtype))
    if not float(info.tiny) <= beta <= float(info.max):
        raise ValueError(
            f"change_activation: the inverse temperature must be a normal number of {np.dtype(dtype).name}; got {beta}"
        )
    return Fraction(2) ** math.ceil(math.log2(2 * least) - math.log2(beta))


def off_by(network: Network, domain: AbstractDomain, gain: float) -> float:
    """How far outputs may be off those of gates, where sigmoids stand for steps, in any order of operations."""
    low, high = domain.box()
    held = start(network, low[None], high[None], domain.steps())
    for layer in flat_layers(network):
        sums, first, parts = affine(layer, held, network.dtype), 0, []
        for kind, width in groups(layer.activation, layer.out_size):
            part = sums.part(first, first + width)
            is_gate = isinstance(kind, Sigmoid)
            parts.append(
                _saturated(kind, part, gain, network.dtype) if is_gate else activated(kind, part, network.dtype)
            )
            first += width
        held = joined(parts)
    return float(np.max(held.error, initial=0.0))


def _saturated(activation: Sigmoid, sums: Enclosure, gain: float, dtype: Any) -> Enclosure:
    """Sigmoids as bits: their exact sums are at least half the gain from 0, and floats off by an error.

    So the floats' sigmoids are off a bit by `exp(-beta (gain / 2 - error))` at most, and by what evaluation rounds.
    """
    info, shape = jnp.finfo(dtype), sums.error.shape
    error = np.where(np.isfinite(sums.error), sums.error, np.inf).astype(float)
    distance = activation.inverse_temperature * (gain / 2 - error) * (1 - 8 * unit_roundoff(dtype))
    evaluated = activation.ulps() * float(info.eps) + float(info.tiny)
    off = np.where(distance > 0, np.exp(-np.maximum(distance, 0)) * (1 + 2.0**-20) + evaluated, np.inf)
    return Enclosure(np.zeros(shape), np.ones(shape), off, np.ones(shape[1]))
