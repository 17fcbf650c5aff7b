"""Parity as a tree of small gates."""

import dataclasses
import math
from typing import Any

import numpy as np

from ..._arithmetic.rounding import holds_grid, unit_roundoff
from ..._checks import check_allocation, check_choice, check_dtype, check_size, digits
from ...activations import AbstractActivation, ReLU, Sigmoid, Step, resolve
from ...construction import Bound, Built, Claim, Construction, Robustness, Tree, builder
from ...construction.entry import Entry, formula, sizes
from ...domains import Bits, Signs
from ...network import Network
from ...targets import Parity
from .error import LIMIT, relu_rounding, sigmoid_error, sigmoid_robustness
from .gate import Gate, parity_gate
from .layers import Level, Plan, tree_layers, tree_levels

_ACTIVATIONS = {"relu": ReLU(), "step": Step(), "sigmoid": Sigmoid(10.0)}
_SOURCE = "Nye & Saxe (2018), Fig. 1 left"


@builder
def parity(
    n: int,
    *,
    activation: str | AbstractActivation = "relu",
    encoding: str = "bits",
    arity: int = 2,
    readout: str = "calibrated",
    fused: bool = True,
    tied: bool = False,
    dtype: Any = None,
) -> Construction:
    """The parity of `n` bits, as a tree of XOR gates.

    Every level pairs wire `i` with wire `i + h`, `h` being half the wires (parity doesn't care
    which, and contiguous halves run fastest); where the wires don't divide evenly, some gates take
    one input more, so that no wire is passed through.

    Args:
        n: the number of bits, at least 1; `parity(1)` is the identity.
        activation: `"relu"`, `"step"` or `"sigmoid"` (inverse temperature 10), or such an object.
        encoding: `"bits"`: `{0, 1}` in and out; `"signs"`: `{-1, +1}`, a bit `b` being `1 - 2 b`,
            so that the output is the product of the inputs.
        arity: inputs a gate, at least 2.
        readout: for sigmoids. `"calibrated"` scales and shifts each gate so that it is exact on
            bits for every inverse temperature; `"raw"` takes the plain difference of its units.
        fused: whether a gate's readout is merged into the next level. `False` gives every gate an
            output unit of its own: the three-neuron XOR.
        tied: whether the gates of a level share one block of weights (untied: every synapse is a
            parameter of its own). Needs levels of equal gates, as for `n` a power of `arity`.
        dtype: a real floating dtype; JAX's default if `None`.

    Returns:
        A construction `(*batch, n) -> (*batch, 1)`.

    Raises:
        ValueError: `n` below 1, `arity` below 2, unknown names, `tied` for an uneven tree, a
            64-bit dtype without x64, sums that the dtype doesn't hold (ReLU gates of arity 64 in
            float16), or a sigmoid network whose error bound exceeds 0.25 (the message gives the
            least inverse temperature that works).
        TypeError: `n` or `arity` isn't an integer.

    *Exactness*: ReLU and step networks are exact, bit for bit, in every dtype, since all values
    are small integers or halves. Sigmoid networks have the error bound of their claim; calibrated
    ones only round, and with `readout="raw"` and inverse temperature 10 wires are off by 0.014.
    Inputs off by `delta` cost ReLU networks at most `n delta`; step networks nothing up to
    `1 / (2 k)` with `k` the inputs of a bottom gate; sigmoid networks contract them within the
    claim's radius.

    *Cost*: `n = 2^k`, fused: depth `k`, `2 (n - 1)` neurons, `6 n - 6` synapses, width `n`. Any
    `n`, arity 2: depth `floor(log2 n)`. Unfused `n = 2^k`: depth `2 k`, `3 (n - 1)` neurons.

    *Source*: Nye & Saxe (2018), Fig. 1 left, with inverse temperature 10. Departures: the paper
    prints no weights; the calibrated readout, the ReLU and step gates and trees for any `n` are
    ours, and `fused=False, readout="raw"` is the network that its figure suggests.

    Example:
        >>> import deepconstruct as dc
        >>> dc.parity(5)([[1, 0, 1, 1, 0], [1, 1, 1, 1, 0]]).tolist()
        [[1.0], [0.0]]
    """
    n = check_size("parity", "n", n)
    arity = check_size("parity", "arity", arity, minimum=2)
    act = resolve("parity", activation, _ACTIVATIONS)
    check_choice("parity", "encoding", encoding, ("bits", "signs"))
    check_choice("parity", "readout", readout, ("calibrated", "raw"))
    resolved = check_dtype("parity", dtype)
    check_allocation("parity", f"the weights of n={digits(n)}", n * min(n, arity), resolved)
    levels = tree_levels(n, arity)
    if tied and any(len(level) > 1 for level in levels):
        raise ValueError(f"parity: tied=True needs levels of equal gates; n={n} with arity={arity} has uneven ones")
    plan = Plan(act, readout, fused, encoding, tied, resolved)
    _check_sums(n, arity, levels, plan)
    claim = _claim(n, levels, plan)
    wiring = Tree(tuple(tuple(level) for level in levels))
    return Construction(Network(tree_layers(n, levels, plan)), claim, Built(plan=wiring))


def _claim(n: int, levels: list[Level], plan: Plan) -> Claim:
    signs = plan.encoding == "signs"
    kinds = [[plan.gate(arity) for arity, _ in level] for level in levels]
    error, radius, gain, rounding = _exactness(n, kinds, plan)
    if signs:  # a bit off by delta is a sign off by 2 delta, in and out
        error, radius, rounding = 2 * error, 2 * radius, 2 * rounding
    domain = Signs if signs else Bits
    return Claim(
        target=Parity(n, plan.encoding),
        domain=domain(n),
        codomain=domain(1),
        error=Bound(absolute=error),
        robustness=Robustness(radius, gain, rounding),
        dtype=plan.dtype.name,
        source=_SOURCE,
    )


def _exactness(n: int, kinds: list[list[Gate]], plan: Plan) -> tuple[float, float, float, float]:
    """`(error, radius, gain, rounding)` of the bits inside."""
    if not kinds:
        return 0.0, math.inf, 1.0, 0.0
    if isinstance(plan.activation, Step):
        k = max(gate.arity for gate in kinds[0])
        return 0.0, max(1 / (2 * k) - 4 * k * unit_roundoff(plan.dtype), 0.0), 0.0, 0.0
    if isinstance(plan.activation, ReLU):
        rounding = relu_rounding(kinds, plan.dtype.name)
        return (0.0, 1.0, float(n), rounding) if math.isfinite(rounding) else (0.0, 0.0, 0.0, 0.0)
    if not math.isfinite(sigmoid_error(kinds, 0.0, plan.dtype.name)):
        _refuse(n, kinds, plan)
    offset = 0.5 if plan.encoding == "signs" else 0.0
    return *sigmoid_robustness(kinds, plan.dtype.name, offset=offset), 0.0


def _check_sums(n: int, arity: int, levels: list[Level], plan: Plan) -> None:
    """Refuse ReLU and step trees whose sums, in any order, the dtype doesn't hold."""
    if isinstance(plan.activation, Sigmoid) or _holds_sums(levels, plan):
        return
    ways = []
    if not isinstance(plan.activation, Step) and _holds_sums(levels, dataclasses.replace(plan, activation=Step())):
        ways.append("activation='step'")
    wider = [name for name in ("float32", "float64") if _holds_sums(levels, _with_dtype(plan, name))]
    ways += [f"dtype='{name}'" for name in wider[:1]]
    smaller = [k for k in range(2, min(arity, 64)) if _holds_sums(tree_levels(n, k), plan)]
    ways += [f"arity={smaller[-1]}"] if smaller else []
    raise ValueError(
        f"parity: sums of {plan.activation.name()} gates of arity {arity} are too large for {plan.dtype.name}; "
        f"use {', or '.join(ways)}"
    )


def _with_dtype(plan: Plan, name: str) -> Plan:
    return dataclasses.replace(plan, dtype=np.dtype(name))


def _holds_sums(levels: list[Level], plan: Plan) -> bool:
    signs = plan.encoding == "signs"
    step = 0.5 if signs or isinstance(plan.activation, Step) else 1.0
    largest = _largest_sum([[plan.gate(k) for k, _ in level] for level in levels], signs=signs)
    return holds_grid(plan.dtype, step, largest)


def _largest_sum(kinds: list[list[Gate]], *, signs: bool) -> float:
    """The largest modulus of a partial sum, in any order, on bits."""
    above, below, shift = (0.5, 0.5, 0.5) if signs else (1.0, 0.0, 0.0)
    largest = 1.0
    for gates in kinds:
        for gate in gates:
            bias = gate.arity * shift - gate.thresholds
            largest = max(largest, gate.arity * above + max(bias.max(), 0.0), gate.arity * below - min(bias.min(), 0.0))
        parts = np.array([gate.partial_sums() for gate in gates]).max(axis=0)
        # An unfused gate adds its wire up itself, and hands on 0 or 1. A sign is -2 times a wire, plus 1.
        largest = max(largest, float(parts.max()) * (2 if signs else 1) + 1)
        above, below = (1.0, 0.0) if gates[0].output is not None else (float(parts[0]), float(parts[1]))
        shift = 0.0
    return largest


def _refuse(n: int, kinds: list[list[Gate]], plan: Plan) -> None:
    assert isinstance(plan.activation, Sigmoid)
    beta = plan.activation.inverse_temperature

    def fails(beta: float) -> bool:
        warm = [
            [parity_gate(gate.arity, Sigmoid(beta), plan.readout, fused=plan.fused) for gate in level]
            for level in kinds
        ]
        return not math.isfinite(sigmoid_error(warm, 0.0, plan.dtype.name))

    low, high = beta, 2.0 * beta
    while fails(high):
        low, high = high, 2 * high
        if high > 2**20:
            levels = [[(gate.arity, 1) for gate in level] for level in kinds]
            exact = [act for act in (ReLU(), Step()) if _holds_sums(levels, dataclasses.replace(plan, activation=act))]
            ways = " or ".join([*(act.name() for act in exact), *([] if exact else ["a smaller arity"])])
            raise ValueError(f"parity: no sigmoid works for n={n} in {plan.dtype.name}; use {ways}")
    while high - low > 1e-3 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if fails(middle) else (low, middle)
    raise ValueError(
        f"parity: a sigmoid of inverse temperature {beta:g} with the {plan.readout} readout loses the parity of "
        f"n={n} bits (error bound above {LIMIT}); use Sigmoid({math.ceil(high * 100) / 100:g}) or more"
    )


def tree_synapses(n: int, arity: int = 2) -> int:
    """Synapses of the fused tree: at each level a gate of `k` inputs has `k` units, which see all units of its wires.

    Level by level: `larger` gates of `small + 1` inputs stand behind `gates - larger` of `small`, so that the
    larger wires of the level below, of which there are `longer`, go to larger gates as far as these reach.
    """
    if n == 1:
        return 1
    total, wires, units, longer = 0, n, 1, 0
    while wires > 1:
        gates = max(wires // arity, 1)
        small, larger = divmod(wires, gates)
        total += units * (small**2 * (gates - larger) + (small + 1) ** 2 * larger)
        total += small * longer + min(longer, (small + 1) * larger)
        wires, units, longer = gates, small, larger
    return total + units + longer


def _binary_synapses(n: int) -> int:
    """`6 n - 10 + 4 s + p - 3 b - 2 c` for `n > 1` with `s` ones and `p` pairs of adjacent ones in its binary
    digits, of which `b` is the lowest and `c` the second highest: `tree_synapses` in closed form.
    """
    if n == 1:
        return 1
    second = n >> (n.bit_length() - 2) & 1
    return 6 * n - 10 + 4 * n.bit_count() + (n & n >> 1).bit_count() - 3 * (n & 1) - 2 * second


def _is_even_tree(n: int) -> bool:
    odd = n // (n & -n)
    return odd == 1 or odd == 3


_BINARY = formula("6 n - 6 for n = 2^k", _binary_synapses)
_TIED = formula(
    "6 n - 6 for n = 2^k", _binary_synapses, where="levels of equal gates, n = 2^k or 3 2^k", holds=_is_even_tree
)
# Bottom gates see k inputs and so do output units: k (k + 1) a gate, whatever n, where all gates have two inputs but
# one a level, which has three for a bit that is set.
_UNFUSED = formula("6 n - 6 for n > 1", lambda n: max(6 * n - 6, 1))
_TERNARY = formula("(15 n - 21) / 2 for n = 3^k", lambda n: tree_synapses(n, 3))
_SIZES = sizes("n", 2, 3, 7, 8, 16)

ENTRIES = (
    Entry(
        "parity", "parity of n bits, tree of ReLU gates", parity, {"n": 16}, sizes("n", 1, 2, 3, 7, 8, 16, 37), _BINARY
    ),
    Entry(
        "parity_step", "parity of n bits, tree of threshold gates", parity, {"n": 16}, _SIZES, _BINARY,
        fixed={"activation": "step"},
    ),
    Entry(
        "parity_sigmoid", "parity of n bits, calibrated sigmoids", parity, {"n": 16}, _SIZES, _BINARY,
        fixed={"activation": "sigmoid"},
    ),
    Entry(
        "parity_unfused", "parity of n bits, the three-neuron sigmoid XOR", parity, {"n": 16}, _SIZES, _UNFUSED,
        fixed={"activation": "sigmoid", "fused": False, "readout": "raw"},
    ),
    Entry(
        "parity_signs", "product of n signs, tree of ReLU gates", parity, {"n": 16}, _SIZES, _BINARY,
        fixed={"encoding": "signs"},
    ),
    Entry(
        "parity_tied", "parity of n bits, one shared gate a level", parity, {"n": 16}, sizes("n", 2, 3, 6, 16), _TIED,
        fixed={"tied": True},
    ),
    Entry(
        "parity_ternary", "parity of n bits, three-input gates", parity, {"n": 9}, sizes("n", 3, 5, 9), _TERNARY,
        fixed={"arity": 3},
    ),
)  # fmt: skip
