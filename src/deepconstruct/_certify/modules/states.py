"""States of a gate, from those of the gates that it reads.

These depend on disjoint inputs, so that all combinations of their states are all that can occur.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from ...activations import AbstractActivation, Identity, Step
from ...domains.floats import quanta
from .floats import Floats
from .ranges import joint_range
from .records import Gate, Input, NotModular, Output, Wiring
from .sums import Sums, added, near, nothing, times
from .units import States, Units
from .wide import EPS, WIDE, is_exact_sum, plus_outward, plus_up

# Covers the roundings of bounds, of a few operations each, in at least double precision.
_UP = 1 + 2.0**-40


def input_states(kind: Input, floats: Floats) -> States:
    """An input as a gate of one unit without a bias."""
    values = np.array([[kind.zero], [kind.one]], WIDE)
    zero = np.zeros_like(values)
    low, high = -plus_outward(-values, zero + floats.offset), plus_outward(values, zero + floats.offset)
    sums = Sums(np.array([0, 1]), low, high, zero + floats.slope, zero, zero, zero)
    reached = zero + floats.slope * floats.reach
    ends = -plus_outward(-low, reached), plus_outward(high, reached)
    step = np.array([0.0 if floats.offset or floats.slope else 1.0])
    return States(sums, np.zeros(1, int), np.zeros(1), (Identity(),), zero, *ends, step)


def gate_states(gate: Gate, below: Sequence[States], floats: Floats) -> States:
    """The states of a gate from those of all kinds that it may read."""
    _check_weights(gate, floats)
    total, grid, on_grid = nothing(len(gate.rows), gate.fold), np.full(len(gate.rows), np.inf), True
    for kind, columns, count in gate.terms:
        terms, own = near(read(below[kind], columns, floats)), _grid(columns, below[kind].step)
        on_grid = on_grid & np.all((np.fmod(terms.low, own) == 0) & (np.fmod(terms.high, own) == 0), axis=0)
        total, grid = added(total, times(terms, count, gate.fold), gate.fold), np.minimum(grid, own)
    exact = floats.holds(grid, np.maximum(total.rise, total.fall).max(axis=0))
    # Terms and units are added up in extended precision, which rounds off the grid.
    slack = np.where(exact & on_grid, 0.0, (gate.rows.shape[1] + 64) * EPS * (total.rise + total.fall) * _UP)
    if all(_is_input(below[kind]) for kind, _, _ in gate.terms) and is_exact_sum(gate.rows):
        slack = np.zeros_like(slack)  # of zeros and ones
    total = dataclasses.replace(total, low=total.low - slack, high=total.high + slack)
    return Units(gate, total, np.where(exact, grid, 0.0), floats).states()


def _is_input(states: States) -> bool:
    """Whether these are bits or signs, at most moved by a slope."""
    sums, plain = states.sums, isinstance(states.activations[0], Identity) and not np.any(states.bias)
    points = np.array_equal(sums.low, sums.high) and np.all((sums.low == 0) | (np.abs(sums.low) == 1))
    return len(states.step) == 1 and plain and bool(points) and not np.any(states.error)


def read(states: States, weights: np.ndarray, floats: Floats) -> Sums:
    """The terms of sums that come from one gate: `weights` has shape `(sums, units)`."""
    weights = weights.astype(WIDE)
    sizes, sums = np.abs(weights).T, states.sums
    up, down = np.maximum(weights, 0).T, np.maximum(-weights, 0).T
    rise_of, fall_of = np.maximum(states.high, 0), np.maximum(-states.low, 0)
    rounding = np.where(np.frexp(sizes)[0] == 0.5, 0, sizes)
    low, high, slope = (np.zeros((sums.count, len(weights)), WIDE) for _ in range(3))
    for column, activation, units in _groups(states):
        r = weights[:, units]
        if isinstance(activation, Step):
            pos, neg = up[units], down[units]
            part = (
                states.low[:, units] @ pos - states.high[:, units] @ neg,
                states.high[:, units] @ pos - states.low[:, units] @ neg,
                np.zeros_like(slope),
            )
        else:
            box = (sums.low[:, column], sums.high[:, column], sums.slope[:, column])
            part = joint_range(activation, r, states.bias[units], *box, floats.reach)
        low, high, slope = low + part[0], high + part[1], plus_up(slope, part[2])
    error = states.error @ sizes
    return Sums(
        sums.label, low - error, high + error, slope,
        rise_of @ up + fall_of @ down, fall_of @ up + rise_of @ down, np.maximum(rise_of, fall_of) @ rounding,
        has_label=sums.has_label,
    )  # fmt: skip


def _groups(states: States) -> list[tuple[int, AbstractActivation, np.ndarray]]:
    """Units that share a sum and an activation."""
    found: dict[tuple, list] = {}
    for unit, (column, activation) in enumerate(zip(states.of_unit.tolist(), states.activations, strict=True)):
        found.setdefault((column, activation), []).append(unit)
    return [(column, activation, np.array(units)) for (column, activation), units in found.items()]


def _check_weights(gate: Gate, floats: Floats) -> None:
    for values in (gate.rows, gate.bias):
        if np.any((values != 0) & (np.abs(values) < floats.tiny)):
            raise NotModular("some weights are subnormal")


def _grid(columns: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """The grid of the terms of every sum: 0 where a unit that is read has none, infinite where all are zero."""
    return np.where(columns != 0, quanta(columns) * steps, np.inf).min(axis=1, initial=np.inf)


def output_errors(tree: Wiring, states: list[States], floats: Floats) -> list[tuple[np.floating, np.floating]]:
    """For every kind of outputs the largest error, and by how much it grows with `delta`."""
    return [_output_error(output, states[output.kind], floats) for output in tree.outputs]


def _output_error(output: Output, states: States, floats: Floats) -> tuple[np.floating, np.floating]:
    found = read(states, (np.arange(len(states.step)) == output.unit)[None].astype(float), floats)
    slack = 0.0 if states.step[output.unit] > 0 else (len(states.step) + 64) * EPS * (found.rise + found.fall) * _UP
    wanted = np.where(found.label == 1, output.one, output.zero)[:, None]
    off = np.maximum(plus_outward(found.high, -wanted), plus_outward(-found.low, wanted)) + slack * (1 + 4 * EPS)
    return off.max(), found.slope.max()
