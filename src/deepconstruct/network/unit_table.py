"""The units of a network as a table."""

import dataclasses
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from .._io.html import html_table
from .._io.tables import dataframe, text_table
from ..activations import groups
from .layer import Layer
from .queries import layer_sequence, network_of

_COLUMNS = ("layer", "unit", "gate", "label", "activation")
_SHOWN = 20


@dataclasses.dataclass(frozen=True)
class Unit:
    """One unit.

    Attributes:
        layer: its layer, counted as `layer_outputs` does, from 0.
        unit: its index within the layer.
        gate: the gate that it belongs to, counted within the layer; `None` in layers without a label.
        label: what the units of the layer are; empty without a label.
        activation: the name of its activation.
    """

    layer: int
    unit: int
    gate: int | None
    label: str
    activation: str


@dataclasses.dataclass(frozen=True, eq=False)
class Units:
    """All units of a network: a sequence of `Unit`, shown as a table."""

    layers: tuple[Layer, ...] = dataclasses.field(repr=False)

    def __len__(self) -> int:
        return sum(layer.out_size for layer in self.layers)

    def __iter__(self) -> Iterator[Unit]:
        for index, layer in enumerate(self.layers):
            columns = (values.tolist() for values in _columns(index, layer).values())
            yield from itertools.starmap(Unit, zip(*columns, strict=True))

    def to_dataframe(self) -> Any:
        """A `pandas.DataFrame` with a row a unit; it needs pandas."""
        parts = [_columns(index, layer) for index, layer in enumerate(self.layers)]
        return dataframe("units", {name: np.concatenate([part[name] for part in parts]) for name in _COLUMNS})

    def _shown(self) -> tuple[list[tuple], str]:
        rows = [dataclasses.astuple(unit) for unit in itertools.islice(self, _SHOWN)]
        rows = [tuple("" if value is None else value for value in row) for row in rows]
        more = len(self) - len(rows)
        return rows, f"... {more} more" if more else ""

    def __repr__(self) -> str:
        rows, more = self._shown()
        return "\n".join(filter(None, (text_table(_COLUMNS, rows), more)))

    def _repr_html_(self) -> str:
        rows, more = self._shown()
        return html_table(_COLUMNS, rows) + more


def units(network: Any) -> Units:
    """The units of a network: layer, unit, gate, label and activation of each.

    Args:
        network: a network or construction; repeated blocks are unrolled, as in `layer_outputs`.

    Returns:
        A table with a row a unit: iterate over it, or take `to_dataframe()`.

    Example:
        >>> import deepconstruct as dc
        >>> dc.units(dc.parity(4))
        layer  unit  gate  label    activation
            0     0     0  xor      relu
            0     1     1  xor      relu
            0     2     0  xor      relu
            0     3     1  xor      relu
            1     0     0  xor      relu
            1     1     0  xor      relu
            2     0     0  readout  identity
    """
    return Units(layer_sequence(network_of("units", network)))


def _columns(index: int, layer: Layer) -> dict[str, np.ndarray]:
    """The columns of one layer."""
    width, label = layer.out_size, layer.label
    named = groups(layer.activation, width)
    gates = np.full(width, None) if label is None else label.gates(width)
    return {
        "layer": np.full(width, index),
        "unit": np.arange(width),
        "gate": gates,
        "label": np.full(width, "" if label is None else label.name, object),
        "activation": np.repeat(np.array([part.name() for part, _ in named], object), [size for _, size in named]),
    }
