"""Gates that are alike, found by rows of integers that describe them."""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from ...activations import AbstractActivation
from .records import Cut, Gate, Input, NotModular
from .rows import bits, distinct_rows, ranks
from .stages import Stage

# Gates with more weights, zeros included, aren't looked at.
_WEIGHTS = 2**24


def components(rows: np.ndarray, children: np.ndarray, units: int, count: int) -> tuple[int, np.ndarray, np.ndarray]:
    """The connected components of units and the `children` that they read: their number, that of every unit and child.

    Children that nobody reads have the number -1.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    size = units + count
    graph = coo_array((np.ones(len(rows)), (rows, units + children)), shape=(size, size))
    _, labels = connected_components(graph, directed=False)
    found, of_unit = np.unique(labels[:units], return_inverse=True)
    new = np.full(int(labels.max(initial=0)) + 1, -1)
    new[found] = np.arange(len(found))
    of_unit, of_child = of_unit.reshape(-1).astype(np.int64), new[labels[units:]]
    # The proof rests on this alone: whoever reads a child belongs to the one gate that the child belongs to.
    if np.any(of_unit[rows] != of_child[children]):
        raise NotModular("gates share what they read")
    return len(found), of_unit, of_child


def gate(
    children: Sequence[int],
    widths: Sequence[int],
    weights: np.ndarray,
    bias: np.ndarray,
    activations: tuple[AbstractActivation, ...],
    fold: int,
) -> Gate:
    """A gate by the weights of every unit, `(units, units of all children)`."""
    first, sums = distinct_rows(bits(weights))
    return Gate(tuple(children), tuple(widths), weights[first], sums, bias, activations, fold)


@dataclasses.dataclass(frozen=True)
class Layout:
    """A stage cut into gates: the gate of every unit, and that which reads every gate below (-1 for none)."""

    stage: Stage
    activations: np.ndarray
    below: Cut
    gates: int
    of_unit: np.ndarray
    of_child: np.ndarray
    entries: tuple[np.ndarray, np.ndarray, np.ndarray]

    def orders(self) -> tuple[np.ndarray, np.ndarray]:
        """Units and children gate by gate, in an order by which gates alike mostly look alike."""
        _, cols, values = self.entries
        child = self.below.gate[cols]
        read = np.flatnonzero(self.of_child >= 0)
        weight = np.bincount(child, values, len(self.of_child))[read]
        units = np.lexsort((self.stage.bias, self.activations, self.of_unit))
        return units, read[np.lexsort((weight, self.below.kind[read], self.of_child[read]))]

    def places(self, units: np.ndarray, children: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The places of units and children in their gates, given their orders."""
        unit_place, child_place = np.zeros(len(self.of_unit), np.int64), np.zeros(len(self.of_child), np.int64)
        unit_place[units] = ranks(self.of_unit[units])
        child_place[children] = ranks(self.of_child[children])
        return unit_place, child_place


@dataclasses.dataclass(frozen=True)
class Signatures:
    """Gates with equal numbers of units, children and entries: which ones, and a row of integers for each."""

    chosen: np.ndarray
    rows: np.ndarray
    units: int
    children: int
    radices: tuple[int, int]

    def gate(self, row: np.ndarray, kinds: Sequence[Input | Gate], activations: Sequence) -> Gate:
        """The gate that a row describes."""
        fold, row = int(row[-1]), row[:-1]
        ends = np.cumsum([self.units, self.units, self.children])
        bias, active, children, rest = np.split(row, ends)
        keys, values = np.split(rest, 2)
        unit, child, place = _digits(keys, self.radices)
        sizes = np.array([kinds[kind].units for kind in children.tolist()], int)
        if self.units * int(sizes.sum()) > _WEIGHTS:
            raise NotModular("a gate is too large")
        starts = np.cumsum(sizes) - sizes
        weights = np.zeros((self.units, int(sizes.sum())))
        weights[unit, starts[child] + place if len(child) else child] = values.view(np.float64)
        functions = tuple(activations[index] for index in active.tolist())
        return gate(children.tolist(), sizes.tolist(), weights, bias.view(np.float64), functions, fold)


def signatures(
    layout: Layout, unit_place: np.ndarray, orders: tuple, child_place: np.ndarray, folds: np.ndarray
) -> Iterator[Signatures]:
    """Rows that describe all gates of a stage: equal rows, equal gates."""
    (rows, cols, values), below, stage = layout.entries, layout.below, layout.stage
    units, children = orders
    child, gate_of = below.gate[cols], layout.of_unit[rows]
    radices = int(child_place.max(initial=0)) + 1, int(below.place.max(initial=0)) + 1
    key = (unit_place[rows] * radices[0] + child_place[child]) * radices[1] + below.place[cols]
    span = (int(unit_place.max(initial=0)) + 1) * radices[0] * radices[1]
    if layout.gates * span >= 2**62:
        raise NotModular("the gates of a map are too large")
    order = np.argsort(gate_of * span + key)
    owners = (layout.of_unit, layout.of_child[children], gate_of)
    counts = [np.bincount(owner, minlength=layout.gates) for owner in owners]
    starts = [np.cumsum(count) - count for count in counts]
    sizes, group = np.unique(np.stack(counts, axis=1), axis=0, return_inverse=True)
    per_unit = (bits(stage.bias[units]), layout.activations[units])
    per_entry = (key[order], bits(values[order]))
    for index, size in enumerate(sizes.tolist()):
        chosen = np.flatnonzero(group.reshape(-1) == index)
        at = [start[chosen, None] + np.arange(count) for start, count in zip(starts, size, strict=True)]
        parts = [*(part[at[0]] for part in per_unit), below.kind[children][at[1]], *(part[at[2]] for part in per_entry)]
        yield Signatures(chosen, np.concatenate([*parts, folds[chosen, None]], axis=1), size[0], size[1], radices)


def _digits(keys: np.ndarray, radices: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rest, place = np.divmod(keys, radices[1])
    return *np.divmod(rest, radices[0]), place
