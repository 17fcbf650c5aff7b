"""Parity as a tree of small gates."""

import dataclasses
import math
from typing import Any

import jax.numpy as jnp
import numpy as np

from ..._arithmetic.rounding import unit_roundoff
from ..._bias import TiledBias
from ..._checks import check_choice, check_dtype, check_size
from ...activations import AbstractActivation, Identity, ReLU, Sigmoid, Step, resolve
from ...construction import Bound, Claim, Construction
from ...domains import Bits, Signs
from ...linear import BlockDiagonal, Dense, DirectSum, Kronecker, Sparse
from ...network import Label, Layer, Network
from ...targets import Parity
from .error import LIMIT, relu_rounding, sigmoid_error, sigmoid_robustness
from .gate import Gate, parity_gate

_ACTIVATIONS = {"relu": ReLU(), "step": Step(), "sigmoid": Sigmoid(10.0)}
_SOURCE = "Nye & Saxe (2018), Fig. 1 left"


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
            64-bit dtype without x64, or a sigmoid network whose error bound exceeds 0.25 (the
            message gives the least inverse temperature that works).
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
    levels = _levels(n, arity)
    if tied and any(len(level) > 1 for level in levels):
        raise ValueError(f"parity: tied=True needs levels of equal gates; n={n} with arity={arity} has uneven ones")
    plan = _Plan(act, readout, fused, encoding, tied, resolved)
    claim = _claim(n, levels, plan)
    return Construction(Network(_layers(n, levels, plan)), claim)


@dataclasses.dataclass(frozen=True)
class _Plan:
    """What all levels have in common."""

    activation: AbstractActivation
    readout: str
    fused: bool
    encoding: str
    tied: bool
    dtype: np.dtype

    def gate(self, arity: int) -> Gate:
        return parity_gate(arity, self.activation, self.readout, fused=self.fused)

    def array(self, values: Any) -> Any:
        return jnp.asarray(np.asarray(values), self.dtype)


# A level is a list of groups (inputs a gate, number of gates); units and wires are ordered by
# group, and within a group of g gates unit a of gate q has the index a * g + q.
_Level = list[tuple[int, int]]


def _levels(n: int, arity: int) -> list[_Level]:
    """The groups of every level, bottom first; a remainder makes some gates one input larger."""
    levels, wires = [], n
    while wires > 1:
        gates = max(wires // arity, 1)
        small, larger = divmod(wires, gates)
        groups = [(small, gates - larger), (small + 1, larger)]
        levels.append([group for group in groups if group[1]])
        wires = gates
    return levels


def _layers(n: int, levels: list[_Level], plan: _Plan) -> tuple[Layer, ...]:
    signs = plan.encoding == "signs"
    if not levels:
        return (Layer(Dense(plan.array(np.ones((1, 1))))),)
    # How to read wires off the units below: for every group (weights, shift, wires).
    below = [(np.array([-0.5]), 0.5, n) if signs else (np.array([1.0]), 0.0, n)]
    layers = []
    for level in levels:
        gates = [plan.gate(arity) for arity, _ in level]
        layers.append(_sum_layer(level, gates, below, plan))
        if not plan.fused:
            layers.append(_output_layer(level, gates, plan))
        below = [(*gate.wire, count) for gate, (_, count) in zip(gates, level, strict=True)]
    weights, shift, _ = below[0]
    if signs:
        weights, shift = -2 * weights, 1 - 2 * shift
    if len(weights) > 1 or weights[0] != 1 or shift != 0:
        bias = plan.array([shift]) if shift != 0 else None
        layers.append(Layer(Dense(plan.array(weights[None])), bias, Identity(), Label("readout")))
    return tuple(layers)


def _sum_layer(level: _Level, gates: list[Gate], below: list, plan: _Plan) -> Layer:
    """The units `act(s - t_j)` of all gates, reading the wires off the units below."""
    label = Label("xor", group=gates[0].arity, strided=True) if len(gates) == 1 else Label("xor")
    thresholds = [_shifted_thresholds(gate, level, index, below) for index, gate in enumerate(gates)]
    if len(gates) == 1 and len(below) == 1:
        (weights, _, _), (arity, count) = below[0], level[0]
        block = np.broadcast_to(np.repeat(weights, arity), (arity, len(weights) * arity))
        biases = -thresholds[0][:, 0]
        if plan.tied:
            linear = Kronecker(plan.array(block), inner=count)
            return Layer(linear, TiledBias(plan.array(biases), inner=count), plan.activation, label)
        blocks = np.broadcast_to(block[None, :, :, None], (1, *block.shape, count))
        bias = np.broadcast_to(biases[:, None], (arity, count)).reshape(arity * count)
        return Layer(BlockDiagonal(plan.array(blocks)), plan.array(bias), plan.activation, label)
    bias = np.concatenate([-t.ravel() for t in thresholds])
    return Layer(_sparse_sums(level, below, plan), plan.array(bias), plan.activation, label)


def _shifted_thresholds(gate: Gate, level: _Level, index: int, below: list) -> np.ndarray:
    """`t_j` less the shifts of the wires below: shape `(arity, gates of this group)`."""
    shifts = np.concatenate([np.full(count, shift) for _, shift, count in below])
    own = shifts[_wires(level, index)].sum(axis=0)
    return gate.thresholds[:, None] - own[None, :]


def _wires(level: _Level, index: int) -> np.ndarray:
    """The wires of the gates of one group: shape `(arity, gates)`."""
    start = sum(arity * count for arity, count in level[:index])
    arity, count = level[index]
    return start + np.arange(arity * count).reshape(arity, count)


def _sparse_sums(level: _Level, below: list, plan: _Plan) -> Sparse:
    """The sums of uneven levels, where gates or wires are of two kinds."""
    unit_of, weight_of = _wire_units(below)
    rows, cols, values, start = [], [], [], 0
    for index, (arity, count) in enumerate(level):
        wires = _wires(level, index)
        for unit in range(arity):
            for wire in wires:
                for units, weights in zip(unit_of, weight_of, strict=True):
                    present = units[wire] >= 0
                    rows.append((start + unit * count + np.arange(count))[present])
                    cols.append(units[wire][present])
                    values.append(weights[wire][present])
        start += arity * count
    size = sum(len(weights) * count for weights, _, count in below)
    rows, cols, values = (np.concatenate(part) for part in (rows, cols, values))
    return Sparse(rows, cols, plan.array(values), (start, size))


def _wire_units(below: list) -> tuple[np.ndarray, np.ndarray]:
    """For the u-th unit of every wire: its index (-1 where a wire has fewer) and its weight."""
    widest, total = max(len(weights) for weights, _, _ in below), sum(count for _, _, count in below)
    units, values = np.full((widest, total), -1), np.zeros((widest, total))
    wire = unit = 0
    for weights, _, count in below:
        span = slice(wire, wire + count)
        units[: len(weights), span] = unit + np.arange(len(weights) * count).reshape(len(weights), count)
        values[: len(weights), span] = weights[:, None]
        wire, unit = wire + count, unit + len(weights) * count
    return units, values


def _output_layer(level: _Level, gates: list[Gate], plan: _Plan) -> Layer:
    """The output units of unfused gates: `act(sum_j w_j h_j + c - theta)`."""
    parts, biases = [], []
    for gate, (arity, count) in zip(gates, level, strict=True):
        assert gate.output is not None
        bias = gate.shift - gate.output[0]
        if plan.tied:
            parts.append(Kronecker(plan.array(gate.weights[None]), inner=count))
        else:
            blocks = np.broadcast_to(gate.weights[None, None, :, None], (1, 1, arity, count))
            parts.append(BlockDiagonal(plan.array(blocks)))
        biases.append(np.full(count, bias))
    linear = parts[0] if len(parts) == 1 else DirectSum(tuple(parts))
    label = Label("xor output")
    if isinstance(gates[0].activation, ReLU):
        return Layer(linear, None, plan.activation, label)
    if plan.tied:
        return Layer(linear, TiledBias(plan.array(biases[0][:1]), inner=level[0][1]), plan.activation, label)
    return Layer(linear, plan.array(np.concatenate(biases)), plan.activation, label)


def _claim(n: int, levels: list[_Level], plan: _Plan) -> Claim:
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
        radius=radius,
        gain=gain,
        rounding=rounding,
        dtype=plan.dtype.name,
        source=_SOURCE,
    )


def _exactness(n: int, kinds: list[list[Gate]], plan: _Plan) -> tuple[float, float, float, float]:
    """`(error, radius, gain, rounding)` of the bits inside."""
    if not kinds:
        return 0.0, math.inf, 1.0, 0.0
    if isinstance(plan.activation, Step):
        k = max(gate.arity for gate in kinds[0])
        return 0.0, 1 / (2 * k) - 4 * k * unit_roundoff(plan.dtype), 0.0, 0.0
    if isinstance(plan.activation, ReLU):
        return 0.0, 1.0, float(n), relu_rounding(kinds, plan.dtype.name)
    if not math.isfinite(sigmoid_error(kinds, 0.0, plan.dtype.name)):
        _refuse(n, kinds, plan)
    offset = 0.5 if plan.encoding == "signs" else 0.0
    return *sigmoid_robustness(kinds, plan.dtype.name, offset=offset), 0.0


def _refuse(n: int, kinds: list[list[Gate]], plan: _Plan) -> None:
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
            raise ValueError(f"parity: no sigmoid works for n={n} in {plan.dtype.name}; use relu or step")
    while high - low > 1e-3 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if fails(middle) else (low, middle)
    raise ValueError(
        f"parity: a sigmoid of inverse temperature {beta:g} with the {plan.readout} readout loses the parity of "
        f"n={n} bits (error bound above {LIMIT}); use Sigmoid({math.ceil(high * 100) / 100:g}) or more"
    )
