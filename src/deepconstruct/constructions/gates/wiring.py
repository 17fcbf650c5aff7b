"""From a circuit to its construction: layers, and a claim.

A level is one hidden layer. Its wires are linear in its units; the next level's weights are kept as
two factors, pattern times readout, so that wires are read before they are spread to units again.
"""

import dataclasses
import math
from typing import Any

import jax.numpy as jnp
import numpy as np

from ..._checks import check_scalar
from ..._static import to_jax
from ...activations import AbstractActivation, Identity, Square
from ...construction import Bound, Built, Claim, Construction
from ...construction.plans import Circuit, Operation
from ...linear import AbstractLinear, Composed, Sparse
from ...network import Label, Layer, Network
from .arguments import activation_ways, check_tolerance, ways_out
from .circuit import Unbuildable, Unit, gates_of
from .network import behind_softmax, readout_weight, shared_bias, with_softmax
from .propagation import circuit_error


def construct(
    owner: str,
    circuit: Circuit,
    activation: AbstractActivation,
    claim: Claim,
    *,
    tolerance: Any = None,
    at: str = "",
    lost: float = 0.0,
    softmax: bool = False,
) -> Construction:
    """The construction of a circuit.

    Scales are those of the least typical errors; where these break the tolerance, those of the
    least bounds.

    Args:
        owner: the builder.
        circuit: what is built.
        activation: of its gates.
        claim: target, domains, dtype and source; the numbers are filled in.
        tolerance: the largest error that will do.
        at: what messages say of the size.
        lost: what the circuit itself is off its target.
        softmax: whether its outputs are logits, and the target probabilities.

    Raises:
        ValueError: a circuit that the activation and the dtype don't allow, or a tolerance below the
            floor; with the ways out that there are.
    """
    dtype, classes = np.dtype(claim.dtype), len(circuit.outputs)
    limit = math.inf if tolerance is None else check_scalar(owner, "tolerance", tolerance, strict=True)

    def bounded(act: AbstractActivation, dtype: np.dtype, least: bool) -> tuple:
        units = gates_of(circuit, act, dtype, least=least)
        error, moved = circuit_error(circuit, units, dtype)
        if math.isfinite(error):
            error += lost
            return units, *(behind_softmax(error, moved, classes, dtype) if softmax else (error, moved))
        return units, error, moved

    def least_error(act: AbstractActivation, dtype: np.dtype) -> float:
        try:
            return bounded(act, dtype, True)[1]
        except Unbuildable:
            return math.inf

    ways = activation_ways(activation, dtype, least_error)
    what = f"{activation.name()} in {dtype.name}{at}"
    try:
        units, error, robustness = bounded(activation, dtype, False)
        if not error <= limit or not math.isfinite(error):
            units, error, robustness = bounded(activation, dtype, True)
        if not math.isfinite(error):
            raise Unbuildable(f"no error bound holds for {what}")
        layers = _layers(circuit, units, activation, dtype)
    except Unbuildable as reason:
        advice = "" if "scale the" in str(reason) else ways_out(ways)
        raise ValueError(f"{owner}: {reason}{'; ' if advice else ''}{advice}") from None
    check_tolerance(owner, limit, error, what, ways)
    is_proved = all(unit.gate.taylor.proved for row in units for unit in row)
    claim = dataclasses.replace(
        claim,
        error=Bound(absolute=error),
        robustness=robustness,
        status="proved" if is_proved else "estimate",
    )
    network = Network(layers)
    return Construction(with_softmax(network) if softmax else network, claim, Built(plan=circuit))


def _layers(
    circuit: Circuit, units: list[list[Unit]], activation: AbstractActivation, dtype: np.dtype
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
    bias = _stored(constants, dtype) if np.any(constants) else None
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
    return _stored(values, dtype)


def _stored(values: np.ndarray, dtype: np.dtype) -> Any:
    largest = float(np.abs(values).max(initial=0.0))
    if not largest < float(jnp.finfo(dtype).max) / 2**8:
        raise Unbuildable(
            f"coefficients of up to {largest:.3g} are beyond the range of {dtype.name}; scale the coefficients down"
        )
    return to_jax(values, dtype)


def _output_map(circuit: Circuit, readout: AbstractLinear | None, width: int, dtype: np.dtype) -> AbstractLinear:
    is_wires = all(output.terms == ((i, 1.0),) for i, output in enumerate(circuit.outputs))
    if readout is not None and is_wires and len(circuit.outputs) == width:
        return readout
    rows = [(i, wire, c) for i, output in enumerate(circuit.outputs) for wire, c in output.terms]
    sums = _sparse(rows, (len(circuit.outputs), width), dtype)
    return sums if readout is None else Composed(sums, readout)


def _level(row: list[Unit], width: int, dtype: np.dtype) -> tuple[Sparse, np.ndarray, Sparse]:
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


def _rows(unit: Unit, dtype: np.dtype) -> dict[Row, float]:
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
    return Sparse(np.array(rows, int), np.array(cols, int), _stored(np.array(values, float), dtype), shape)
