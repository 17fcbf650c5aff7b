"""Circuits of gates: levels of wires, copies of sums of wires below or products of two.

A level is one hidden layer. Its wires are linear in its units; the next level's weights are kept as
two factors, pattern times readout, so that wires are read before they are spread to units again.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from ..._arithmetic.rounding import gamma, unit_roundoff
from ..._checks import check_scalar
from ...activations import AbstractActivation, Identity, Square
from ...linear import AbstractLinear, Composed, Sparse
from ...network import Label, Layer, Network
from .accuracy import Accuracy
from .activation import degree
from .choice import choose, typical_share
from .gate import Gate
from .network import MARGIN, readout_weight, shared_bias
from .patterns import Patterns
from .tolerance import activation_ways, check_tolerance

_UP = 1 + 2.0**-40

# In circuits truncation, which has one sign, adds up over the gates, and rounding doesn't.
_SHARE = 1 / 6


@dataclasses.dataclass(frozen=True)
class Sum:
    """A linear combination of the wires below: pairs of wire and coefficient, and a constant."""

    terms: tuple[tuple[int, float], ...]
    constant: float = 0.0

    def bound(self, bounds: Sequence[float]) -> float:
        """The largest modulus, for wires of up to `bounds`."""
        return sum(abs(c) * bounds[wire] for wire, c in self.terms) + abs(self.constant)

    def error(self, bounds: Sequence[float], errors: Sequence[float], u: float) -> float:
        """What the errors of the wires and the rounding of the stored coefficients add up to."""
        # A coefficient is rounded when it is read and when it is scaled.
        wires = sum(abs(c) * (errors[wire] + 2 * u * (bounds[wire] + errors[wire])) for wire, c in self.terms)
        return wires + 2 * u * abs(self.constant)


Operation = tuple[Sum, ...]  # one sum: a copy; two: their product


@dataclasses.dataclass(frozen=True)
class Circuit:
    """Operations by level, and the sums of the last level's wires that are given out.

    Attributes:
        inputs: bounds of the inputs.
        levels: the operations of every level, one a wire.
        outputs: sums of the wires of the last level.
    """

    inputs: tuple[float, ...]
    levels: tuple[tuple[Operation, ...], ...]
    outputs: tuple[Sum, ...]


@dataclasses.dataclass(frozen=True)
class _Unit:
    """One wire as it is built: its gate, the bounds of its inputs, and its rows of weights."""

    gate: Gate
    sums: Operation
    bounds: tuple[float, ...]

    @property
    def additions(self) -> int:
        return sum(len(part.terms) + (part.constant != 0) for part in self.sums)

    def bound(self) -> float:
        return math.prod(self.bounds)


def build(
    circuit: Circuit, activation: AbstractActivation, dtype: np.dtype, *, tolerance: float = math.inf
) -> tuple[Network, Accuracy]:
    """The network of a circuit, and a bound of its errors.

    Scales are those of the least typical errors; where these break the tolerance, those of the
    least bounds.

    Raises:
        ValueError: an activation without a gate for two numbers in this dtype.
        OverflowError: values or weights beyond the range of the dtype.
    """
    units = _units(circuit, activation, dtype)
    accuracy = _accuracy(circuit, units, dtype)
    if accuracy.error > tolerance:
        units = _units(circuit, activation, dtype, least=True)
        accuracy = _accuracy(circuit, units, dtype)
    return Network(_layers(circuit, units, activation, dtype)), accuracy


def build_within(
    owner: str,
    circuit: Circuit,
    activation: AbstractActivation,
    dtype: np.dtype,
    tolerance: float | None,
    what: str,
    *,
    lost: float = 0.0,
) -> tuple[Network, Accuracy]:
    """`build`, refusing a tolerance that it can't keep; `what` names the choice that was made.

    `lost` is what the circuit itself is off its target.

    Raises:
        ValueError: a tolerance below the floor, with the ways out that reach it.
    """
    limit = math.inf if tolerance is None else check_scalar(owner, "tolerance", tolerance, strict=True) - lost
    try:
        network, accuracy = build(circuit, activation, dtype, tolerance=limit)
    except OverflowError as error:
        raise ValueError(f"{owner}: {error}; scale the inputs down") from None
    accuracy = dataclasses.replace(accuracy, error=accuracy.error + lost)
    if tolerance is not None:
        ways = activation_ways(activation, dtype, lambda act, dtype: error_of(circuit, act, dtype) + lost)
        check_tolerance(owner, tolerance, accuracy.error, what, ways)
    return network, accuracy


def error_of(circuit: Circuit, activation: AbstractActivation, dtype: np.dtype) -> float:
    """The least error that `build` would claim, without building."""
    try:
        return _accuracy(circuit, _units(circuit, activation, dtype, least=True), dtype).error
    except OverflowError:
        return math.inf


def _units(
    circuit: Circuit, activation: AbstractActivation, dtype: np.dtype, *, least: bool = False
) -> list[list[_Unit]]:
    units, bounds = [], list(circuit.inputs)
    for level in circuit.levels:
        units.append([_unit(operation, bounds, activation, dtype, least) for operation in level])
        bounds = [unit.bound() for unit in units[-1]]
    return units


def _unit(
    operation: Operation, bounds: list[float], activation: AbstractActivation, dtype: np.dtype, least: bool
) -> _Unit:
    patterns = Patterns(len(operation))
    share = 1.0 if least else _SHARE * typical_share(patterns.n)
    gate = choose(activation, patterns, dtype.name, ordered=False, share=share)
    if gate is None:
        raise ValueError(f"{activation.name()} has no gate for {len(operation)} numbers in {dtype.name}")
    sizes = [part.bound(bounds) for part in operation]
    if degree(activation):
        # Powers of two keep every weight exact.
        sizes = [2.0 ** math.ceil(math.log2(size)) if size else 1.0 for size in sizes]
    unit = _Unit(gate, operation, tuple(size or 1.0 for size in sizes))
    largest = float(jnp.finfo(dtype).max) / 2**8
    inner = max(gate.scale / bound for bound in unit.bounds)
    if not max(unit.bound(), inner, abs(gate.weight) * unit.bound()) < largest:
        raise OverflowError(f"values of up to {unit.bound():.3g} are beyond the range of {dtype.name}")
    return unit


# Layers -------------------------------------------------------------------------------------------


def _layers(
    circuit: Circuit, units: list[list[_Unit]], activation: AbstractActivation, dtype: np.dtype
) -> tuple[Layer, ...]:
    layers: list[Layer] = []
    readout: AbstractLinear | None = None
    width = len(circuit.inputs)
    for row in units:
        patterns, bias, wires = _level(row, width, dtype)
        linear = patterns if readout is None else Composed(patterns, readout)
        layers.append(Layer(linear, _bias(bias, dtype), activation, _label(wires, len(row))))
        readout, width = wires, len(row)
    constants = np.array([output.constant for output in circuit.outputs])
    bias = jnp.asarray(constants, dtype) if np.any(constants) else None
    layers.append(Layer(_output_map(circuit, readout, width, dtype), bias, Identity(), Label("readout")))
    return tuple(layers)


def _label(wires: Sparse, count: int) -> Label:
    """Units are in the order of their gates; where all gates have as many, any unit is traced to its gate."""
    sizes = np.bincount(wires.rows.array, minlength=count)
    alike = len(set(sizes.tolist())) == 1 and int(sizes.sum()) == wires.in_size
    return Label("gates", group=int(sizes[0]) if alike else 1)


def _bias(values: np.ndarray, dtype: np.dtype) -> Any:
    if np.all(values == values[0]):
        return shared_bias(values[0], len(values), dtype)
    return jnp.asarray(values, dtype)


def _output_map(circuit: Circuit, readout: AbstractLinear | None, width: int, dtype: np.dtype) -> AbstractLinear:
    is_wires = all(output.terms == ((i, 1.0),) for i, output in enumerate(circuit.outputs))
    if readout is not None and is_wires and len(circuit.outputs) == width:
        return readout
    rows = [(i, wire, c) for i, output in enumerate(circuit.outputs) for wire, c in output.terms]
    sums = _sparse(rows, (len(circuit.outputs), width), dtype)
    return sums if readout is None else Composed(sums, readout)


def _level(row: list[_Unit], width: int, dtype: np.dtype) -> tuple[Sparse, np.ndarray, Sparse]:
    """Patterns from wires to units, biases, and the readout from units to wires."""
    patterns: list[tuple[int, int, float]] = []
    readout: list[tuple[int, int, float]] = []
    biases: list[float] = []
    shared: dict[float, int] = {}  # a unit without inputs serves all gates of its bias
    for wire, unit in enumerate(row):
        for (weights, shift), share in _rows(unit, dtype).items():
            bias = unit.gate.center + shift
            if weights or bias not in shared:
                patterns += [(len(biases), source, weight) for source, weight in weights]
                biases.append(bias)
            index = len(biases) - 1 if weights else shared.setdefault(bias, len(biases) - 1)
            readout.append((wire, index, share))
    count = len(biases)
    return _sparse(patterns, (count, width), dtype), np.array(biases), _sparse(readout, (len(row), count), dtype)


# The weights of a unit over the wires below, and what its bias adds to the gate's own.
Row = tuple[tuple[tuple[int, float], ...], float]


def _rows(unit: _Unit, dtype: np.dtype) -> dict[Row, float]:
    """The distinct rows of a gate's units, with their readout weights.

    Units that see the same sum are one; so are, for an even activation, those that see opposite
    sums, and one that sees nothing and gives 0 is left out.
    """
    gate = unit.gate
    scales = np.array([gate.scale / bound for bound in unit.bounds]).astype(dtype).astype(float)
    weight = readout_weight(gate, scales)
    even = isinstance(gate.activation, Square) and gate.center == 0
    rows: dict[Row, float] = {}
    for pattern, sign in zip(*gate.patterns.table(), strict=True):
        weights, shift = _row(unit.sums, pattern * scales)
        opposite = tuple((wire, -value) for wire, value in weights), -shift
        if even and not weights and not shift:
            continue
        key = opposite if even and opposite in rows else (weights, shift)
        rows[key] = rows.get(key, 0.0) + float(sign) * weight
    return rows


def _row(sums: Operation, scales: np.ndarray) -> Row:
    total: dict[int, float] = {}
    for part, scale in zip(sums, scales, strict=True):
        for wire, coefficient in part.terms:
            total[wire] = total.get(wire, 0.0) + float(scale) * coefficient
    shift = sum(float(scale) * part.constant for part, scale in zip(sums, scales, strict=True))
    return tuple(sorted((wire, value) for wire, value in total.items() if value)), shift


def _sparse(entries: list[tuple[int, int, float]], shape: tuple[int, int], dtype: np.dtype) -> Sparse:
    rows, cols, values = zip(*entries, strict=True) if entries else ((), (), ())
    return Sparse(np.array(rows, int), np.array(cols, int), jnp.asarray(np.array(values), dtype), shape)


# Errors -------------------------------------------------------------------------------------------


def _accuracy(circuit: Circuit, units: list[list[_Unit]], dtype: np.dtype) -> Accuracy:
    """Errors at the box, and the chord to those of inputs off it by the radius.

    Truncation and what inputs are off by grow convexly with the distance, so the chord bounds them;
    rounding, which doesn't, is taken at the far end.
    """
    radius = MARGIN * min(circuit.inputs)
    far, inflations = _propagate(circuit, units, dtype, radius, None)
    near, _ = _propagate(circuit, units, dtype, 0.0, inflations)
    error, _ = _propagate(circuit, units, dtype, 0.0, None)
    gain = (far - near) / radius * _UP
    proved = all(unit.gate.taylor.proved for row in units for unit in row)
    if not math.isfinite(far):
        return Accuracy(error, 0.0, 0.0, 0.0, proved)
    return Accuracy(error, radius, gain, max(near - error, 0.0), proved)


def _propagate(
    circuit: Circuit, units: list[list[_Unit]], dtype: np.dtype, delta: float, inflations: list[float] | None
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
            error, inflation = _wire_error(unit, bounds, errors, u, fixed)
            above.append(error + 2 * unit.gate.patterns.units * tiny)
            found.append(inflation)
        bounds, errors = [unit.bound() for unit in row], above
    worst = 0.0
    for output in circuit.outputs:
        size = output.bound([b + e for b, e in zip(bounds, errors, strict=True)])
        rounding = gamma(len(output.terms) + 2, u) * size if len(output.terms) > 1 or output.constant else u * size
        worst = max(worst, output.error(bounds, errors, u) + rounding + 2 * len(output.terms) * tiny)
    return worst * _UP, found


def _wire_error(
    unit: _Unit, bounds: list[float], errors: list[float], u: float, fixed: float | None
) -> tuple[float, float]:
    """The error of one wire, and by how much its inputs may exceed their bounds."""
    off = [part.error(bounds, errors, u) for part in unit.sums]
    inflation = max(1 + e / b for e, b in zip(off, unit.bounds, strict=True))
    if not math.isfinite(inflation):
        return math.inf, inflation
    moved = math.prod(b + e for b, e in zip(unit.bounds, off, strict=True)) - unit.bound()
    sizes = [part.bound(bounds) for part in unit.sums]
    spread = max(1.0, *(size / b for size, b in zip(sizes, unit.bounds, strict=True)))
    truncation = unit.gate.truncation(inflation)
    rounding = unit.gate.rounding(inflation if fixed is None else fixed, additions=unit.additions, spread=spread)
    return moved + (truncation + rounding) * unit.bound(), inflation
