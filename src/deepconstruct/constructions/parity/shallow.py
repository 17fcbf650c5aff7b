"""Parity in one hidden layer: by counting, or as a disjunctive normal form."""

import bisect
import math
from typing import Any

import numpy as np

from ..._arithmetic.rounding import growth, holds_grid, unit_roundoff
from ..._checks import check_allocation, check_choice, check_dtype, check_size, digits
from ..._static import to_jax
from ...activations import AbstractActivation, Identity, ReLU, Step, resolve
from ...construction import Claim, Construction, Robustness, builder
from ...construction.entry import Entry, formula, sizes
from ...domains import Bits
from ...linear import Dense
from ...linear.signs import bit_table
from ...network import Label, Layer, Network
from ...targets import Parity
from ..grouping import in_groups
from .gate import parity_gate

_ACTIVATIONS = {"relu": ReLU(), "step": Step()}
_LARGEST_DNF = 20


@builder
def parity_shallow(
    n: int, *, kind: str = "count", activation: str | AbstractActivation = "relu", dtype: Any = None
) -> Construction:
    """The parity of `n` bits in one hidden layer.

    Args:
        n: the number of bits, at least 1.
        kind: `"count"`: `n` units on the sum of the bits, one threshold each; `"dnf"`: one AND
            unit for each of the `2^(n-1)` odd inputs, whose outputs are added.
        activation: `"relu"` or `"step"`.
        dtype: a real floating dtype; JAX's default if `None`.

    Returns:
        A construction `(*batch, n) -> (*batch, 1)`.

    Raises:
        ValueError: `n` below 1; more than 20 bits for `"dnf"` (it would have `2^(n-1)` units); unknown
            names.
        TypeError: `n` isn't an integer.

    *Exactness*: exact on all `2^n` inputs, bit for bit, in any order of summation.

    *Cost*: `"count"`: depth 1, `n` neurons, `n^2 + n` synapses. `"dnf"`: depth 1, `2^(n-1)`
    neurons, `(n + 1) 2^(n-1)` synapses. From an `n` on at which the dtype doesn't hold the sums of
    `"count"` (with ReLU units 5793 in float32 and 64 in float16, with step units 1025 in float16 and 129
    in bfloat16), bits are counted in groups, and the groups' parities in turn: two layers more.

    *Source*: Nye & Saxe (2018), introduction, say that a shallow network needs `O(2^n)` neurons;
    that holds for AND/OR units, or bounded fan-in or weights. With threshold or ReLU units that
    count, half as many neurons as in the tree do.

    Example:
        >>> import deepconstruct as dc
        >>> dc.parity_shallow(3)([[1, 1, 1], [1, 0, 1]]).tolist()
        [[1.0], [0.0]]
    """
    n = check_size("parity_shallow", "n", n)
    check_choice("parity_shallow", "kind", kind, ("count", "dnf"))
    act = resolve("parity_shallow", activation, _ACTIVATIONS)
    resolved = check_dtype("parity_shallow", dtype)
    if kind == "count":
        check_allocation("parity_shallow", f"the weights of n={digits(n)}", n * n, resolved)
        most = _most_counted(n, act, resolved)
        if most < n:
            return in_groups(lambda m: parity_shallow(m, activation=act, dtype=resolved), n, most, Parity(n))
    hidden, readout = _count(n, act) if kind == "count" else _dnf(n, act)
    weights, biases = hidden
    layers = (
        Layer(
            Dense(to_jax(weights, resolved)),
            to_jax(biases, resolved),
            act,
            Label("threshold" if kind == "count" else "and"),
        ),
        Layer(Dense(to_jax(readout, resolved)), None, Identity(), Label("readout")),
    )
    return Construction(Network(layers), _claim(n, kind, act, resolved))


def _count(n: int, activation: AbstractActivation) -> tuple[tuple, np.ndarray]:
    gate = parity_gate(n, activation, "raw", fused=True)
    return (np.ones((n, n)), -gate.thresholds), gate.weights[None]


def _most_counted(n: int, activation: AbstractActivation, dtype: np.dtype) -> int:
    """How many of `n` bits can be counted so that the dtype holds all sums, in any order."""
    return bisect.bisect_left(range(1, n + 1), True, key=lambda m: not _holds_sums(m, activation, dtype))


def _holds_sums(n: int, activation: AbstractActivation, dtype: Any) -> bool:
    return holds_grid(dtype, 1.0 if isinstance(activation, ReLU) else 0.5, _largest_sum(n, activation))


def _largest_sum(n: int, activation: AbstractActivation) -> float:
    """Of the bits or, with ReLU units, of all positive terms of the readout, which may be added first."""
    if not isinstance(activation, ReLU):
        return float(n)
    heights, weights = np.arange(n, 0.0, -1), np.where(np.arange(n) == 0, 1.0, 2.0)
    return float(np.sum((heights * weights)[::2]))


def _dnf(n: int, activation: AbstractActivation) -> tuple[tuple, np.ndarray]:
    if n > _LARGEST_DNF:
        raise ValueError(
            f"parity_shallow: kind='dnf' has 2^(n-1) units, so n must be at most {_LARGEST_DNF}; got {digits(n)}"
        )
    table = bit_table(n).astype(int)
    odd = table[table.sum(axis=1) % 2 == 1]
    slack = 1.0 if isinstance(activation, ReLU) else 0.5
    return (2.0 * odd - 1, slack - odd.sum(axis=1)), np.ones((1, len(odd)))


def _claim(n: int, kind: str, activation: AbstractActivation, dtype: np.dtype) -> Claim:
    u = unit_roundoff(dtype)
    radius, gain, rounding = 1 / (2 * n) - 4 * n * u, 0.0, 0.0
    if isinstance(activation, ReLU):
        # Within 1/n of a vertex only its own unit, or those of its n neighbours, are active.
        radius, gain = (1.0, float(n)) if kind == "count" else (1 / n, float(n * n))
        units, tallest = (n, 2.0 * n) if kind == "count" else (2 ** (n - 1), 3.0)
        rounding = 2 * units * tallest * (growth(2 * n + 4, u) + growth(units + 2, u))
    bounded = math.isfinite(rounding) and radius > 0
    return Claim(
        target=Parity(n),
        domain=Bits(n),
        codomain=Bits(1),
        robustness=Robustness(radius, gain, rounding) if bounded else Robustness(),
        dtype=dtype.name,
        source="Nye & Saxe (2018), introduction",
    )


_COUNT = formula("n^2 + n", lambda n: n * n + n)
_DNF = formula("(n + 1) 2^(n-1)", lambda n: (n + 1) * 2 ** (n - 1))

ENTRIES = (
    Entry(
        "parity_count", "parity of n bits by counting, one hidden layer", parity_shallow,
        {"n": 16}, sizes("n", 1, 2, 3, 7, 16), _COUNT,
    ),
    Entry(
        "parity_dnf", "parity of n bits as a disjunctive normal form", parity_shallow,
        {"n": 8}, sizes("n", 1, 2, 3, 7), _DNF, fixed={"kind": "dnf"},
    ),
)  # fmt: skip
