"""The layers of one gate, and the claim about it."""

import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from ..._bias import TiledBias
from ...activations import Identity
from ...construction import Claim
from ...domains import Box
from ...linear import Dense, SignPatterns, SignProduct
from ...network import Label, Layer
from ...targets import Product
from .accuracy import Accuracy
from .gate import Gate, GateError

# Inputs may be off a box by this share of its half width.
MARGIN = 1 / 16


def gate_layers(gate: Gate, bound: float, dtype: Any) -> tuple[Layer, Layer]:
    """The hidden layer and the readout of a gate for inputs of up to `bound`."""
    n, kind = gate.patterns.n, gate.patterns.kind
    with np.errstate(over="ignore"):
        scales = np.full(n, gate.scale / bound).astype(dtype)
    what = f"inputs of up to {bound:g}"
    check_range(what, gate.dtype, scales[0], math.exp(min(max(n * math.log(bound), -700), 700)))
    weight = readout_weight(gate, scales)
    check_range(what, gate.dtype, weight)
    bias = shared_bias(gate.center, gate.patterns.units, dtype)
    if kind != "subsets":
        hidden = SignPatterns(jnp.asarray(scales, dtype), fixed=kind == "fixed")
        readout = SignProduct(jnp.asarray(weight, dtype), n - (kind == "fixed"))
        constant = None
    else:
        patterns, signs = gate.patterns.table()
        hidden = Dense(jnp.asarray(patterns * scales, dtype))
        readout = Dense(jnp.asarray(signs[None] * weight, dtype))
        constant = jnp.asarray([(-1) ** n * float(gate.taylor.coefficients[0]) * weight], dtype)
    return (
        Layer(hidden, bias, gate.activation, Label("product", group=gate.patterns.units)),
        Layer(readout, constant, Identity(), Label("readout")),
    )


def shared_bias(value: float, units: int, dtype: Any) -> TiledBias | None:
    """One bias for all units, none where it is 0."""
    return TiledBias(jnp.asarray([value], dtype), outer=units) if value else None


def check_range(what: str, dtype: str, *values: float) -> None:
    """Refuse numbers that the dtype can't hold, or only with lost digits."""
    info = jnp.finfo(dtype)
    if not all(float(info.tiny) < abs(float(value)) < float(info.max) / 2**8 for value in values):
        raise ValueError(f"{what} give a product beyond the range of {dtype}; scale them to about 1")


def readout_weight(gate: Gate, scales: np.ndarray) -> float:
    """The weight of the units for scales as they are stored."""
    n = gate.patterns.n
    leading = math.factorial(n) * float(gate.taylor.coefficients[n])
    for scale in scales:
        leading *= float(scale)
    return 1 / (gate.patterns.repeats * leading)


def product_claim(
    error: Callable[[float], GateError], n: int, bound: float, dtype: str, source: str, *, estimate: bool
) -> Claim:
    """The claim of a network that multiplies `n` numbers of up to `bound`.

    `error(t)` bounds its errors on inputs of up to `t * bound`, over `bound^n`. What they are more at
    `1 + MARGIN` than at 1 is counted as rounding of moved inputs; the gain is that of the product,
    whose chord between 1 and `1 + MARGIN` bounds it.
    """
    size, far = bound**n, 1 + MARGIN
    at_box, beyond = error(1.0), error(far)
    slope = (far**n - 1) / MARGIN
    # Inputs and results below the least normal number may be flushed to zero.
    tiny = float(jnp.finfo(dtype).tiny)
    flushed = 4 * tiny * (1 + slope * size / bound)
    accuracy = Accuracy(
        error=at_box.total * size + flushed,
        radius=MARGIN * bound,
        gain=slope * size / bound * (1 + 2**-40),
        rounding=max(beyond.total - at_box.total, 0.0) * size,
        proved=not estimate,
    )
    return accuracy.claim(Product(n), Box(n, -bound, bound), Box(1, -size, size), np.dtype(dtype), source)
