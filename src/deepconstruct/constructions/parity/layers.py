"""The layers of a parity tree: its gates, and what reads one level off another."""

import dataclasses
from typing import Any

import numpy as np

from ..._bias import TiledBias
from ..._static import to_jax
from ...activations import AbstractActivation, Identity, ReLU
from ...linear import BlockDiagonal, Dense, DirectSum, Kronecker, Sparse
from ...network import Label, Layer
from .gate import Gate, parity_gate


@dataclasses.dataclass(frozen=True)
class Plan:
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
        return to_jax(np.asarray(values), self.dtype)


@dataclasses.dataclass(frozen=True)
class Wires:
    """A group of `count` wires, each read off its own units by `weights` and `shift`."""

    weights: np.ndarray
    shift: float
    count: int


# A level is a list of groups (inputs a gate, number of gates); units and wires are ordered by
# group, and within a group of g gates unit a of gate q has the index a * g + q.
Level = list[tuple[int, int]]


def tree_levels(n: int, arity: int) -> list[Level]:
    """The groups of every level, bottom first; a remainder makes some gates one input larger."""
    levels, wires = [], n
    while wires > 1:
        gates = max(wires // arity, 1)
        small, larger = divmod(wires, gates)
        groups = [(small, gates - larger), (small + 1, larger)]
        levels.append([group for group in groups if group[1]])
        wires = gates
    return levels


def tree_layers(n: int, levels: list[Level], plan: Plan) -> tuple[Layer, ...]:
    signs = plan.encoding == "signs"
    if not levels:
        return (Layer(Dense(plan.array(np.ones((1, 1))))),)
    below = [Wires(np.array([-0.5]), 0.5, n) if signs else Wires(np.array([1.0]), 0.0, n)]
    layers = []
    for level in levels:
        gates = [plan.gate(arity) for arity, _ in level]
        layers.append(_sum_layer(level, gates, below, plan))
        if not plan.fused:
            layers.append(_output_layer(level, gates, plan))
        below = [Wires(*gate.wire, count) for gate, (_, count) in zip(gates, level, strict=True)]
    weights, shift = below[0].weights, below[0].shift
    if signs:
        weights, shift = -2 * weights, 1 - 2 * shift
    if len(weights) > 1 or weights[0] != 1 or shift != 0:
        bias = plan.array([shift]) if shift != 0 else None
        layers.append(Layer(Dense(plan.array(weights[None])), bias, Identity(), Label("readout")))
    return tuple(layers)


def _sum_layer(level: Level, gates: list[Gate], below: list[Wires], plan: Plan) -> Layer:
    """The units `act(s - t_j)` of all gates, reading the wires off the units below."""
    label = Label("xor", group=gates[0].arity, strided=True)
    if len(gates) > 1:
        label = Label("xor", uneven=tuple(level))
    thresholds = [_shifted_thresholds(gate, level, index, below) for index, gate in enumerate(gates)]
    if len(gates) == 1 and len(below) == 1:
        weights, (arity, count) = below[0].weights, level[0]
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


def _shifted_thresholds(gate: Gate, level: Level, index: int, below: list[Wires]) -> np.ndarray:
    """`t_j` less the shifts of the wires below: shape `(arity, gates of this group)`."""
    shifts = np.concatenate([np.full(wires.count, wires.shift) for wires in below])
    own = shifts[_wires(level, index)].sum(axis=0)
    return gate.thresholds[:, None] - own[None, :]


def _wires(level: Level, index: int) -> np.ndarray:
    """The wires of the gates of one group: shape `(arity, gates)`."""
    start = sum(arity * count for arity, count in level[:index])
    arity, count = level[index]
    return start + np.arange(arity * count).reshape(arity, count)


def _sparse_sums(level: Level, below: list[Wires], plan: Plan) -> Sparse:
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
    size = sum(len(wires.weights) * wires.count for wires in below)
    rows, cols, values = (np.concatenate(part) for part in (rows, cols, values))
    return Sparse(rows, cols, plan.array(values), (start, size))


def _wire_units(below: list[Wires]) -> tuple[np.ndarray, np.ndarray]:
    """For the u-th unit of every wire: its index (-1 where a wire has fewer) and its weight."""
    widest, total = max(len(group.weights) for group in below), sum(group.count for group in below)
    units, values = np.full((widest, total), -1), np.zeros((widest, total))
    wire = unit = 0
    for group in below:
        width, span = len(group.weights), slice(wire, wire + group.count)
        units[:width, span] = unit + np.arange(width * group.count).reshape(width, group.count)
        values[:width, span] = group.weights[:, None]
        wire, unit = wire + group.count, unit + width * group.count
    return units, values


def _output_layer(level: Level, gates: list[Gate], plan: Plan) -> Layer:
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
