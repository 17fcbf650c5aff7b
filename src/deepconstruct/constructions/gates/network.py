"""The layers of one gate and the claim about it, and what a softmax makes of claims."""

import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from ..._arithmetic.rounding import unit_roundoff
from ..._arithmetic.softmax import softmax_error
from ..._bias import TiledBias
from ..._static import to_jax
from ...activations import Identity, Softmax
from ...construction import Bound, Claim, Robustness
from ...construction.plans import GatePlan
from ...domains import Box
from ...linear import Dense, SignPatterns, SignProduct
from ...network import Label, Layer, Network
from ...targets import Product
from .gate import Gate, GateError

# Inputs may be off a box by this share of its half width.
MARGIN = 1 / 16


def gate_plan(gate: Gate, bound: float, mix: float = 0.0) -> GatePlan:
    """The plan of a gate for inputs of up to `bound`."""
    return GatePlan(gate.patterns.n, gate.patterns.kind, gate.center, gate.scale / bound, mix)


def gate_layers(owner: str, gate: Gate, bound: float, dtype: Any) -> tuple[Layer, Layer]:
    """The hidden layer and the readout of a gate for inputs of up to `bound`.

    Raises:
        ValueError: scales, weights or products beyond the range of the dtype.
    """
    n, kind = gate.patterns.n, gate.patterns.kind
    with np.errstate(over="ignore", under="ignore"):
        scales = np.full(n, gate.scale / bound).astype(dtype)
    weight = readout_weight(gate, scales) if _is_held(gate.dtype, scales[0]) else 0.0
    if not _is_held(gate.dtype, weight):
        raise _beyond(owner, bound, n, gate.dtype)
    bias = shared_bias(gate.center, gate.patterns.units, dtype)
    if kind != "subsets":
        hidden = SignPatterns(to_jax(scales, dtype), fixed=kind == "fixed")
        readout = SignProduct(to_jax(weight, dtype), n - (kind == "fixed"))
        constant = None
    else:
        patterns, signs = gate.patterns.table()
        hidden = Dense(to_jax(patterns * scales.astype(float), dtype))
        readout = Dense(to_jax(signs[None] * weight, dtype))
        constant = to_jax(np.array([(-1) ** n * float(gate.taylor.coefficients[0]) * weight]), dtype)
    return (
        Layer(hidden, bias, gate.activation, Label("product", group=gate.patterns.units)),
        Layer(readout, constant, Identity(), Label("readout")),
    )


def product_size(owner: str, bound: float, n: int, dtype: np.dtype) -> float:
    """The largest product of `n` inputs of up to `bound`.

    Raises:
        ValueError: it is beyond the range of the dtype.
    """
    size = math.exp(min(max(n * math.log(bound), -800.0), 700.0))
    if not _is_held(dtype.name, size):
        raise _beyond(owner, bound, n, dtype.name)
    return bound**n


def _beyond(owner: str, bound: float, n: int, dtype: str) -> ValueError:
    return ValueError(
        f"{owner}: the product of {n} inputs of up to {bound:g} is beyond the range of {dtype}; "
        f"scale the inputs {'down' if bound > 1 else 'up'}, to a bound of about 1"
    )


def shared_bias(value: float, units: int, dtype: Any) -> TiledBias | None:
    """One bias for all units, none where it is 0."""
    return TiledBias(to_jax(np.array([value]), dtype), outer=units) if value else None


def _is_held(dtype: str, *values: float) -> bool:
    """Whether the dtype holds numbers of that size, with all digits and room for sums."""
    info = jnp.finfo(dtype)
    return all(float(info.tiny) < abs(float(value)) < float(info.max) / 2**8 for value in values)


def readout_weight(gate: Gate, scales: np.ndarray) -> float:
    """The weight of the units for scales as they are stored (infinite where it overflows)."""
    n = gate.patterns.n
    leading = math.factorial(n) * float(gate.taylor.coefficients[n])
    for scale in scales:
        leading *= float(scale)
    return 1 / (gate.patterns.repeats * leading) if leading else math.inf


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
    gain, rounding = slope * size / bound * (1 + 2**-40), max(beyond.total - at_box.total, 0.0) * size
    reaches = math.isfinite(beyond.total)
    return Claim(
        target=Product(n),
        domain=Box(n, -bound, bound),
        codomain=Box(1, -size, size),
        error=Bound(absolute=at_box.total * size + flushed),
        robustness=Robustness(MARGIN * bound, gain, rounding) if reaches else Robustness(),
        dtype=dtype,
        source=source,
        status="estimate" if estimate else "proved",
    )


def with_softmax(network: Network) -> Network:
    """Probabilities from a network of logits: a softmax as the activation of its readout."""
    *hidden, last = network.layers
    assert isinstance(last, Layer)
    return Network((*hidden, Layer(last.linear, last.bias, Softmax(), Label("softmax"))))


def probabilities(classes: int) -> Box:
    """Where probabilities lie; in floating point one may exceed 1 by rounding."""
    return Box(classes, 0.0, 1.0 + 2.0**-20)


def behind_softmax(error: float, robustness: Robustness, classes: int, dtype: Any) -> tuple[float, Robustness]:
    """Error and robustness of probabilities, from those of their logits: a softmax at least halves them."""
    moved = Robustness(robustness.radius, robustness.gain / 2, robustness.rounding / 2)
    return softmax_error(error, classes, unit_roundoff(dtype)), moved
