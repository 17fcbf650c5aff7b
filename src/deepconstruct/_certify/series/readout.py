"""A hidden layer and its readout as they are stored: as exact rows of units, and as they round on a box."""

import dataclasses
import itertools
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from ..._arithmetic.intervals import bias_array
from ...activations import AbstractActivation, Identity, groups
from ...linear import AbstractLinear, Butterfly, Composed, DirectSum, SignPatterns, SignProduct, Stack, as_matrix
from ...linear.queries import concrete_entries
from ...network import Network, flat_layers
from ...network.running import UNITS_HELD
from .gates import fractions, one_power
from .powers import powers_read
from .rounding import Cell, Format, Held, activated, halved, joined, mixed_differences, pre_activations, summed
from .terms import Units

# Dense rows of units are listed up to so many numbers.
_MOST_NUMBERS = 2**20

Row = dict[int, Fraction]


def why_not_read(network: Network) -> str | None:
    """Why a network isn't one hidden layer with a linear readout whose rounding is known here."""
    layers = flat_layers(network)
    if len(layers) != 2 or type(layers[1].activation) is not Identity:
        return f"they take one hidden layer and a linear readout; the network has {len(layers)} layers"
    hidden, readout = layers
    if any(holds(hidden.linear, kind) for kind in (Composed, Butterfly)) or holds(readout.linear, Butterfly):
        return "they don't know the rounding of hidden layers of two factors, or of butterflies"
    if holds(readout.linear, SignProduct) and hidden.out_size > 2**UNITS_HELD:
        return f"they take up to 2^{UNITS_HELD} units that are added up in pairs; got {hidden.out_size}"
    if max(hidden.in_size, readout.out_size) * hidden.out_size > _MOST_NUMBERS:
        return f"they take layers of up to 2^20 weights; got {hidden.in_size} x {hidden.out_size}"
    return None


def holds(linear: AbstractLinear, kind: type) -> bool:
    """Whether a map is of a kind, or one of the maps that it is made of."""
    if isinstance(linear, Composed):
        return kind is Composed or holds(linear.outer, kind) or holds(linear.inner, kind)
    parts = linear.parts if isinstance(linear, Stack | DirectSum) else ()
    return isinstance(linear, kind) or any(holds(part, kind) for part in parts)


@dataclasses.dataclass(frozen=True)
class Shallow:
    """A network of one hidden layer in double precision.

    Attributes:
        weights, biases, activations: of the units.
        rows: of the readout, as exact numbers by unit; constants: its biases.
        readout: the last layer.
        in_order: whether inputs are added one after another, and the bias last.
    """

    weights: np.ndarray
    biases: np.ndarray
    activations: Sequence[AbstractActivation]
    rows: list[Row]
    constants: np.ndarray
    readout: AbstractLinear
    in_order: bool

    @classmethod
    def of(cls, network: Network) -> "Shallow":
        hidden, readout = flat_layers(network)
        kinds = [kind for kind, width in groups(hidden.activation, hidden.out_size) for _ in range(width)]
        return cls(
            np.asarray(as_matrix(hidden.linear), np.float64),
            bias_array(hidden),
            kinds,
            _rows(readout.linear),
            bias_array(readout),
            readout.linear,
            _in_order(hidden.linear),
        )

    @property
    def power(self) -> int | None:
        """The degree of activations that are all one power."""
        return one_power(self.activations)

    def units(self, output: int) -> Units:
        """What one output is of the units."""
        row = self.rows[output]
        readout = [row.get(k, Fraction(0)) for k in range(len(self.weights))]
        constant = Fraction(float(self.constants[output]))
        return Units(self.activations, self.weights, fractions(self.biases), readout, constant)

    def rounding(self, cell: Cell, form: Format) -> np.ndarray:
        """How far every output is off itself over the reals."""
        sums = pre_activations(self.weights, self.biases, cell, form, self.in_order)
        held = activated(self.activations, sums, form)

        def differences(start: int, stop: int) -> np.ndarray:
            part = slice(start, stop)
            return mixed_differences(
                self.activations[part], self.weights[part], self.biases[part], cell, sums.part(start, stop)
            )

        found = _read(self.readout, held, self.constants, form, differences, 0).error
        if self.power is None or isinstance(self.readout, Composed | DirectSum | Stack):
            return found
        matrix = np.asarray(as_matrix(self.readout), np.float64)
        ordered = self.in_order and isinstance(self.readout, SignProduct) and not np.any(self.constants)
        corners = [
            powers_read(self.power, self.weights, self.biases, row, float(constant), cell, form, ordered=ordered)
            for row, constant in zip(matrix, self.constants, strict=True)
        ]
        return np.minimum(found, corners)


def _in_order(linear: AbstractLinear) -> bool:
    parts = linear.parts if isinstance(linear, Stack | DirectSum) else (linear,)
    return all(isinstance(part, SignPatterns) for part in parts)


def _rows(linear: AbstractLinear) -> list[Row]:
    """The rows of a map as exact numbers."""
    if isinstance(linear, Composed):
        inner = _rows(linear.inner)
        return [_combined(row, inner) for row in _rows(linear.outer)]
    if isinstance(linear, Stack):
        return [row for part in linear.parts for row in _rows(part)]
    if isinstance(linear, DirectSum):
        starts = itertools.accumulate((part.in_size for part in linear.parts), initial=0)
        parts = zip(starts, linear.parts, strict=False)
        return [{k + start: value for k, value in row.items()} for start, part in parts for row in _rows(part)]
    found: list[Row] = [{} for _ in range(linear.out_size)]
    rows, cols, values = concrete_entries(linear)
    for row, col, value in zip(rows.tolist(), cols.tolist(), values.astype(np.float64).tolist(), strict=True):
        found[row][col] = Fraction(value)
    return found


def _combined(row: Row, inner: list[Row]) -> Row:
    found: Row = {}
    for k, factor in row.items():
        for unit, value in inner[k].items():
            found[unit] = found.get(unit, Fraction(0)) + factor * value
    return found


def _read(linear: AbstractLinear, held: Held, bias: np.ndarray, form: Format, differences: Any, start: int) -> Held:
    """A readout of numbers that are held; `differences(start, stop)` is known where they are units, else `None`."""
    if isinstance(linear, Composed):
        inner = _read(linear.inner, held, np.zeros(linear.inner.out_size), form, differences, start)
        return _read(linear.outer, inner, bias, form, None, 0)
    if isinstance(linear, Stack | DirectSum):
        parts, first, row = [], 0, 0
        for part in linear.parts:
            mine = held if isinstance(linear, Stack) else held.part(first, first + part.in_size)
            shift = 0 if isinstance(linear, Stack) else first
            parts.append(_read(part, mine, bias[row : row + part.out_size], form, differences, start + shift))
            first, row = first + part.in_size, row + part.out_size
        return joined(parts)
    if isinstance(linear, SignProduct):
        unknown = np.full(linear.n, np.inf)
        known = unknown if differences is None else differences(start, start + linear.in_size)
        return _plus(halved(float(np.asarray(linear.weight)), held, known, form), float(bias[0]), form)
    matrix = np.asarray(as_matrix(linear), np.float64)
    outputs = [summed(row, float(constant), held, form) for row, constant in zip(matrix, bias, strict=True)]
    return Held(*(np.array(column) for column in zip(*outputs, strict=True)))


def _plus(output: tuple[float, float, float], bias: float, form: Format) -> Held:
    """A finished sum, and a bias."""
    low, high, error = output
    if bias:
        low, high = (end + bias for end in (low, high))
        slack = (abs(low) + abs(high) + abs(bias)) * 2.0**-50
        low, high = low - slack, high + slack
        error = (error + float(form.half((max(-low, high) + error) * (1 + 2.0**-30))) + form.tiny) * (1 + 2.0**-50)
    return Held(np.array([low]), np.array([high]), np.array([error]))
