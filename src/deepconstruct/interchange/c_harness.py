"""The program that tests a network in C: inputs, expected outputs, and how far off they may be."""

import dataclasses
from typing import Any

import jax
import numpy as np

from .._arithmetic.rounding import underflow
from .._checks import as_numbers, check_scalar
from ..construction import Construction, as_network
from .c_activations import literal

_COUNT = 16
# How far outputs of a network without a claim may be off, relatively.
_CLOSE = {"float32": 1e-4, "float64": 1e-10}


@dataclasses.dataclass(frozen=True, eq=False)
class Cases:
    """Inputs `(count, in)` of the network's dtype; expected outputs and how far off they may be, `(count, out)`."""

    inputs: np.ndarray
    expected: np.ndarray
    allowed: np.ndarray


def checked_cases(network: Any, inputs: Any, tolerance: float | None) -> Cases:
    """What a network or construction is tested on."""
    dtype, size = as_network("to_c", network).dtype, network.in_size
    x = _drawn(network, dtype) if inputs is None else np.asarray(as_numbers("to_c", "inputs", inputs), dtype)
    if x.ndim != 2 or x.shape[1] != size or not len(x) or not np.isfinite(x).all():
        raise ValueError(f"to_c: inputs must be finite numbers of shape (count, {size}); got shape {x.shape}")
    if isinstance(network, Construction):
        expected, allowed = _claimed(network, x)
    else:
        expected = np.asarray(network(x), np.float64)
        allowed = _CLOSE[dtype.name] * (1 + np.abs(expected))
    if tolerance is not None:
        allowed = np.full(expected.shape, check_scalar("to_c", "tolerance", tolerance))
    if not np.isfinite(expected).all():
        raise ValueError("to_c: outputs must be finite at all inputs of the test; pass other inputs")
    return Cases(x, expected, allowed)


def _drawn(network: Any, dtype: np.dtype) -> np.ndarray:
    if isinstance(network, Construction):
        return network.claim.domain.probe(jax.random.key(0), (_COUNT,), dtype=dtype)
    return np.random.default_rng(0).normal(size=(_COUNT, network.in_size)).astype(dtype)


def _claimed(construction: Construction, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The target's values, and what the claim allows; as claims suppose that nothing underflows, a little more."""
    claim = construction.claim
    inside = np.asarray(claim.domain.contains(x))
    if not inside.all():
        raise ValueError(f"to_c: inputs must lie in {claim.domain}, which the claim is about; got {x[~inside][0]}")
    wanted = claim.target.wide(x)
    norms = np.linalg.norm(wanted.astype(np.float64), axis=-1, keepdims=True)
    allowed = np.asarray(claim.error.absolute) + claim.error.relative * norms + underflow(construction.in_size, x.dtype)
    expected = wanted.astype(np.float64)
    # Doubles hold the target's values up to a rounding of theirs.
    return expected, np.broadcast_to(allowed, expected.shape) + np.abs(expected) * 2.0**-52


def harness(name: str, cases: Cases, real: str) -> str:
    """The text of the program."""
    inputs = _rows(cases.inputs, cases.inputs.dtype)
    expected, allowed = (_rows(part, np.dtype("float64")) for part in (cases.expected, cases.allowed))
    count, size, upper = len(cases.inputs), cases.expected.shape[1], name.upper()
    return f"""/* Written by deepconstruct: exits with 0 if the network gives what is expected. */
#include <math.h>
#include <stdio.h>
#include "{name}.h"

static const {real} inputs[{count}][{upper}_INPUTS] = {inputs};

static const double expected[{count}][{upper}_OUTPUTS] = {expected};

static const double allowed[{count}][{upper}_OUTPUTS] = {allowed};

int main(void)
{{
    static {real} output[{size}];
    int row, unit, failures = 0;
    for (row = 0; row < {count}; row++) {{
        {name}(inputs[row], output);
        for (unit = 0; unit < {size}; unit++)
            if (!(fabs(output[unit] - expected[row][unit]) <= allowed[row][unit])) {{
                printf("input %d, output %d: %.17g instead of %.17g, allowed %.3g\\n", row, unit,
                       (double)output[unit], expected[row][unit], allowed[row][unit]);
                failures++;
            }}
    }}
    printf("%d of %d outputs are wrong\\n", failures, {count * size});
    return failures != 0;
}}
"""


def _rows(values: np.ndarray, dtype: np.dtype) -> str:
    rows = [", ".join(literal(value, dtype) for value in row) for row in values]
    return "{\n    {" + "},\n    {".join(rows) + "},\n}"
