"""How errors grow through the levels of a circuit."""

import math
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from ..._arithmetic.rounding import growth, unit_roundoff
from ...construction import Robustness
from ...construction.plans import Circuit
from .circuit import Unit, sum_error
from .network import MARGIN

_UP = 1 + 2.0**-40


def circuit_error(circuit: Circuit, units: Sequence[Sequence[Unit]], dtype: np.dtype) -> tuple[float, Robustness]:
    """Errors at the box, and the chord to those of inputs off it by the radius.

    Truncation and what inputs are off by grow convexly with the distance, so the chord bounds them;
    rounding, which doesn't, is taken at the far end.
    """
    error, _ = _propagate(circuit, units, dtype, 0.0, None)
    radius = MARGIN * min(circuit.inputs)
    far, inflations = _propagate(circuit, units, dtype, radius, None)
    if not math.isfinite(far):
        return error, Robustness()
    near, _ = _propagate(circuit, units, dtype, 0.0, inflations)
    return error, Robustness(radius, (far - near) / radius * _UP, max(near - error, 0.0))


def _propagate(
    circuit: Circuit,
    units: Sequence[Sequence[Unit]],
    dtype: np.dtype,
    delta: float,
    inflations: list[float] | None,
) -> tuple[float, list[float]]:
    """The largest error of an output for inputs off by `delta`; rounding is that at `inflations`, if given.

    Every result may also be flushed to zero where it is below the least normal number.
    """
    u, tiny = unit_roundoff(dtype), float(jnp.finfo(dtype).tiny)
    bounds, errors = list(circuit.inputs), [delta + tiny] * len(circuit.inputs)
    found: list[float] = []
    for row in units:
        above = []
        for unit in row:
            fixed = None if inflations is None else inflations[len(found)]
            error, inflation = _wire_error(unit, bounds, errors, u, tiny, fixed)
            above.append(error + 2 * unit.gate.patterns.units * tiny)
            found.append(inflation)
        bounds, errors = [unit.bound() for unit in row], above
    worst = 0.0
    for output in circuit.outputs:
        size = output.bound([b + e for b, e in zip(bounds, errors, strict=True)])
        rounding = growth(len(output.terms) + 2, u) * size if len(output.terms) > 1 or output.constant else u * size
        worst = max(worst, sum_error(output, bounds, errors, u, tiny) + rounding + 2 * len(output.terms) * tiny)
    return worst * _UP, found


def _wire_error(
    unit: Unit, bounds: list[float], errors: list[float], u: float, tiny: float, fixed: float | None
) -> tuple[float, float]:
    """The error of one wire, and by how much its inputs may exceed their bounds."""
    # Weights below the least normal number may be lost, and those are coefficients times scales.
    off = [
        sum_error(part, bounds, errors, u, tiny * size / unit.gate.scale)
        for part, size in zip(unit.sums, unit.bounds, strict=True)
    ]
    inflation = max(1 + e / b for e, b in zip(off, unit.bounds, strict=True))
    if not math.isfinite(inflation):
        return math.inf, inflation
    moved = math.prod(b + e for b, e in zip(unit.bounds, off, strict=True)) - unit.bound()
    sizes = [part.bound(bounds) for part in unit.sums]
    spread = max(1.0, *(size / b for size, b in zip(sizes, unit.bounds, strict=True)))
    truncation = unit.gate.truncation(inflation)
    rounding = unit.gate.rounding(inflation if fixed is None else fixed, additions=unit.additions, spread=spread)
    return moved + (truncation + rounding) * unit.bound(), inflation
