"""Answer keys: what every unit of a disguised network is."""

import dataclasses
from collections.abc import Hashable, Iterator, Mapping
from typing import Any

from .._io.html import html_table
from .._io.tables import dataframe, text_table
from ..construction import Construction

_COLUMNS = ("layer", "unit", "kind", "of", "gate", "label", "group")
_SHOWN = 20

DECOYS = ("dead", "cancelling", "active")


@dataclasses.dataclass(frozen=True)
class Answer:
    """What one unit of a disguised network is.

    Attributes:
        layer: its layer, counted as `layer_outputs` does, from 0.
        unit: its index within the layer.
        kind: `"unit"` of the original; `"part"` of one that was split; a decoy: `"dead"` (gives 0),
            `"cancelling"` (two that cancel each other), `"active"` (three in their linear range, or two steps
            that are always 1, that cancel); `"mixed"`: of a layer whose units were mixed.
        of: the unit of the same layer of the original; `None` for decoys and mixed ones.
        gate: its gate in the original, counted within the layer: the unit itself in layers without a label.
        label: of the original's layer; empty without one.
        group: the number of the group of a decoy: its members together give nothing.
    """

    layer: int
    unit: int
    kind: str
    of: int | None = None
    gate: int | None = None
    label: str = ""
    group: int | None = None

    @property
    def is_decoy(self) -> bool:
        """Whether it is there to mislead."""
        return self.kind in DECOYS


@dataclasses.dataclass(frozen=True, eq=False)
class AnswerKey:
    """What every hidden unit of a disguised network is: a sequence of `Answer`, shown as a table.

    Attributes:
        strength: the name of the strength.
        original: what was disguised.
        answers: a row a hidden unit.
    """

    strength: str
    original: Construction = dataclasses.field(repr=False)
    answers: tuple[Answer, ...] = dataclasses.field(repr=False)

    def __len__(self) -> int:
        return len(self.answers)

    def __iter__(self) -> Iterator[Answer]:
        return iter(self.answers)

    @property
    def is_reversible(self) -> bool:
        """Whether nothing was mixed or retrained, so that simplifying undoes the disguise."""
        return self.strength != "retrained" and all(answer.kind != "mixed" for answer in self)

    @property
    def truth(self) -> Mapping[tuple[int, int], Hashable]:
        """The right answer to `dc.score`: places and their gates as `(layer, gate)`, `None` for decoys.

        Units of mixed layers have none.
        """
        return {
            (row.layer, row.unit): None if row.is_decoy else (row.layer, row.gate)
            for row in self
            if row.kind != "mixed"
        }

    @property
    def decoys(self) -> tuple[tuple[tuple[int, int], ...], ...]:
        """The places of decoys, group by group: replacing all of a group by 0 changes nothing."""
        groups: dict[int, list[tuple[int, int]]] = {}
        for row in self:
            if row.group is not None:
                groups.setdefault(row.group, []).append((row.layer, row.unit))
        return tuple(tuple(groups[number]) for number in sorted(groups))

    def places(self, layer: int, unit: int) -> tuple[tuple[int, int], ...]:
        """Where a unit of the original is: replacing all of its parts by 0 does what it does there.

        Raises:
            ValueError: the original has no such hidden unit, or its layer was mixed.
        """
        found = tuple((row.layer, row.unit) for row in self if (row.layer, row.of) == (layer, unit))
        if not found:
            raise ValueError(f"AnswerKey: no unit stands for unit {unit} of layer {layer} of the original")
        return found

    def to_dataframe(self) -> Any:
        """A `pandas.DataFrame` with a row a unit; it needs pandas."""
        return dataframe("AnswerKey", {name: [getattr(row, name) for row in self] for name in _COLUMNS})

    def _shown(self) -> tuple[list[tuple], str]:
        rows = [dataclasses.astuple(row) for row in self.answers[:_SHOWN]]
        more = len(self) - len(rows)
        return [tuple("" if value is None else value for value in row) for row in rows], (
            f"... {more} more" if more else ""
        )

    def __repr__(self) -> str:
        rows, more = self._shown()
        title = f"AnswerKey of {self.original.name}, {self.strength}"
        return "\n".join(filter(None, (title, text_table(_COLUMNS, rows), more)))

    def _repr_html_(self) -> str:
        rows, more = self._shown()
        return html_table(_COLUMNS, rows) + more
