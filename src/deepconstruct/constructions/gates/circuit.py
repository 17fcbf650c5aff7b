"""Circuits of gates: levels of wires, copies of sums of wires below or products of two.

Every wire is given a gate, whose scale follows the range of what it sees.
"""

import dataclasses
import math
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from ...activations import AbstractActivation
from ...construction.plans import Circuit, Operation, Sum
from .arguments import degree
from .choice import choose, typical_share, why_none
from .gate import Gate
from .patterns import Patterns

# In circuits truncation, which has one sign, adds up over the gates, and rounding doesn't.
_SHARE = 1 / 6


def sum_error(part: Sum, bounds: Sequence[float], errors: Sequence[float], u: float, least: float) -> float:
    """What the errors of the wires of a sum and the rounding of its stored coefficients add up to.

    Coefficients below `least` may be flushed to zero.
    """
    total = _stored_error(part.constant, u, least)
    for wire, c in part.terms:
        total += abs(c) * errors[wire] + _stored_error(c, u, least) * (bounds[wire] + errors[wire])
    return total


def _stored_error(coefficient: float, u: float, least: float) -> float:
    """A coefficient is rounded when it is read and when it is scaled."""
    return abs(coefficient) * (2 * u if abs(coefficient) >= least else 1.0)


@dataclasses.dataclass(frozen=True)
class Unit:
    """One wire as it is built: its gate, the bounds of its inputs, and its rows of weights."""

    gate: Gate
    sums: Operation
    bounds: tuple[float, ...]

    @property
    def additions(self) -> int:
        return sum(len(part.terms) + (part.constant != 0) for part in self.sums)

    def bound(self) -> float:
        return math.prod(self.bounds)


class Unbuildable(Exception):
    """Why a circuit can't be built with an activation in a dtype; its builder says whose it is."""


def gates_of(
    circuit: Circuit, activation: AbstractActivation, dtype: np.dtype, *, least: bool = False
) -> list[list[Unit]]:
    """The gates of all wires, by level.

    Scales are those of the least typical errors, or of the least bounds.

    Raises:
        Unbuildable: no gate for two numbers, or values or weights beyond the range of the dtype.
    """
    units, bounds = [], list(circuit.inputs)
    for level in circuit.levels:
        units.append([_unit(operation, bounds, activation, dtype, least) for operation in level])
        bounds = [unit.bound() for unit in units[-1]]
    _check_largest(dtype, *circuit.inputs, *(output.bound(bounds) for output in circuit.outputs))
    return units


def _unit(
    operation: Operation, bounds: list[float], activation: AbstractActivation, dtype: np.dtype, least: bool
) -> Unit:
    patterns = Patterns(len(operation))
    share = 1.0 if least else _SHARE * typical_share(patterns.n)
    gate = choose(activation, patterns, dtype.name, ordered=False, share=share)
    if gate is None:
        reason = why_none(activation, patterns, dtype.name)
        raise Unbuildable(f"no error bound holds for {activation.name()} in {dtype.name}: {reason}")
    sizes = [part.bound(bounds) for part in operation]
    _check_largest(dtype, *sizes)
    if degree(activation):
        # Powers of two keep every weight exact.
        sizes = [2.0 ** math.ceil(math.log2(size)) if size else 1.0 for size in sizes]
    unit = Unit(gate, operation, tuple(size or 1.0 for size in sizes))
    _check_largest(dtype, unit.bound(), abs(gate.weight) * unit.bound())
    if not gate.scale / min(unit.bounds) < _largest(dtype):
        raise Unbuildable(
            f"values of up to {min(unit.bounds):.3g} need weights beyond the range of {dtype.name}; scale the inputs up"
        )
    return unit


def _largest(dtype: np.dtype) -> float:
    """The largest number that leaves room for sums."""
    return float(jnp.finfo(dtype).max) / 2**8


def _check_largest(dtype: np.dtype, *sizes: float) -> None:
    largest = max(sizes, default=0.0)
    if not largest < _largest(dtype):
        raise Unbuildable(f"values of up to {largest:.3g} are beyond the range of {dtype.name}; scale the inputs down")
