"""How units are wired: layers are cut into gates that read disjoint parts of what is below.

A gate is a connected component of a layer: units that read the same gates below, or are linked by units that do. So
every gate below is read by one gate at most, which is what the proof rests on; it follows from the entries of the
stored maps, not from how the network was built. Gates alike in weights, biases, activations and in what they read are
one kind, and a kind is looked at once.
"""

import dataclasses

import numpy as np

from ...activations import AbstractActivation
from ...network import Network, flat_layers
from .folds import Forest
from .grouping import Layout, components, gate, signatures
from .records import Cut, Gate, Input, NotModular, Output, Wiring
from .rows import distinct_rows
from .stages import Stage, equal_block, stages

_KINDS = 4096
_UNITS = 2**13  # of one gate


def wiring(network: Network, forest: Forest) -> Wiring:
    """The gates of a network.

    Raises:
        NotModular: the target isn't computed along such gates, or there are too many kinds.
    """
    return _Tracer(forest).trace(network)


class _Tracer:
    def __init__(self, forest: Forest):
        self.forest = forest
        self.kinds: list[Input | Gate] = []
        self.activations: list[AbstractActivation] = []

    def trace(self, network: Network) -> Wiring:
        cut, levels = self._inputs(), []
        for layer in flat_layers(network):
            for stage in stages(layer):
                first = len(self.kinds)
                cut = self._regular(stage, cut) or self._general(stage, cut)
                counts = np.bincount(cut.kind - first, minlength=len(self.kinds) - first)
                levels.append(tuple((first + index, count) for index, count in enumerate(counts.tolist())))
        return Wiring(tuple(self.kinds), tuple(levels), *self._outputs(cut))

    def _inputs(self) -> Cut:
        wires = self.forest.inputs
        self.kinds += [Input(0.0, 1.0), Input(1.0, -1.0)]  # bits and signs
        n, kind = len(wires.node), (wires.one < 0).astype(np.int64)
        return self._lifted(Cut(np.arange(n), np.zeros(n, np.int64), kind, wires.node, np.ones(n, np.int64)))

    def _lifted(self, cut: Cut) -> Cut:
        """Gates with all inputs of a node below them stand for one child of its parent."""
        node, forest = cut.node, self.forest
        while True:
            safe = np.maximum(node, 0)
            up = np.where((node >= 0) & (cut.covered == forest.leaves[safe]), forest.parent[safe], -1)
            if np.all(up < 0):
                return dataclasses.replace(cut, node=node)
            node = np.where(up >= 0, up, node)

    def _outputs(self, cut: Cut) -> tuple[tuple[Output, ...], np.ndarray]:
        """Every output must have all inputs of its node below it."""
        wanted, gates = self.forest.outputs, cut.gate
        if not np.all((cut.node[gates] == wanted.node) & (cut.covered[gates] == self.forest.leaves[wanted.node])):
            raise NotModular("an output doesn't read the inputs that the target reads there, or others too")
        rows = np.stack([cut.kind[gates].astype(float), cut.place.astype(float), wanted.zero, wanted.one], axis=1)
        distinct, index = np.unique(rows, axis=0, return_inverse=True)
        outputs = tuple(Output(int(kind), int(unit), zero, one) for kind, unit, zero, one in distinct.tolist())
        return outputs, index.reshape(-1)

    def _indices(self, stage: Stage) -> np.ndarray:
        """The activation of every unit by its place in the list of those that there are."""
        parts = []
        for activation, width in stage.activations:
            if activation not in self.activations:
                self.activations.append(activation)
            parts.append(np.full(width, self.activations.index(activation)))
        return np.concatenate(parts)

    def _general(self, stage: Stage, below: Cut) -> Cut:
        """The gates of any map."""
        entries = rows, cols, _ = stage.entries()
        parts = components(rows, below.gate[cols], stage.linear.out_size, len(below.kind))
        layout = Layout(stage, self._indices(stage), below, *parts, entries)
        if np.bincount(layout.of_unit).max() > _UNITS:
            raise NotModular("a gate has too many units")
        node, covered = _combined(layout)
        orders = layout.orders()
        place, child_place = layout.places(*orders)
        folds, kind = self.forest.kind[np.maximum(node, 0)], np.full(layout.gates, -1)
        for found in signatures(layout, place, orders, child_place, folds):
            firsts, index = distinct_rows(found.rows)
            if len(self.kinds) + len(firsts) > _KINDS:
                raise NotModular(f"there are more than {_KINDS} kinds of gates")
            kind[found.chosen] = len(self.kinds) + index
            self.kinds += [found.gate(found.rows[first], self.kinds, self.activations) for first in firsts.tolist()]
        return self._lifted(Cut(layout.of_unit, place, kind, node, covered))

    def _regular(self, stage: Stage, below: Cut) -> Cut | None:
        """The gates of equal blocks, which are the blocks; `None` where they aren't all alike."""
        equal = equal_block(stage)
        if equal is None:
            return None
        (outer, out_block, in_block, inner), weights, bias = equal
        gates, places = (part.reshape(outer, in_block, inner) for part in (below.gate, below.place))
        first = (gates[0, :, :1] == gates[0, :, 0]).argmax(axis=1)
        heads = np.flatnonzero(first == np.arange(in_block))
        kinds, nodes = below.kind[gates[:, heads]], below.node[gates[:, heads]]
        sizes = [self.kinds[kind].units for kind in kinds[0, :, 0].tolist()]
        folds = self.forest.kind[nodes[:, 0]]
        if not _alike(gates, places, kinds, first) or sum(sizes) != in_block:
            return None
        if np.any(nodes != nodes[:, :1]) or np.any(nodes < 0) or np.any(folds != folds[0, 0]):
            return None
        # Columns child by child, as its units are numbered.
        columns = np.lexsort((places[0, :, 0], np.searchsorted(heads, first)))
        activations = (stage.activations[0][0],) * out_block
        self.kinds.append(
            gate(kinds[0, :, 0].tolist(), sizes, weights[:, columns], bias, activations, int(folds[0, 0]))
        )
        shape = (outer, out_block, inner)
        owner = np.broadcast_to(np.arange(outer * inner).reshape(outer, 1, inner), shape).reshape(-1)
        place = np.broadcast_to(np.arange(out_block)[:, None], shape).reshape(-1)
        covered = below.covered[gates[:, heads]].sum(axis=1).reshape(-1)
        kind = np.full(outer * inner, len(self.kinds) - 1)
        return self._lifted(Cut(owner, place, kind, nodes[:, 0].reshape(-1), covered))


def _alike(gates: np.ndarray, places: np.ndarray, kinds: np.ndarray, first: np.ndarray) -> bool:
    """Whether all blocks read gates of the same kinds in the same way.

    All arrays are `(outer, units of a block, inner)`; `first` is where the gate of a unit comes up first in a block.
    Every unit below is read by one block. So a block with as many units as its gates have in all, each of which was
    found to stand where it does in the first block, holds these gates as a whole and shares none with another.
    """
    same_gates = np.array_equal(gates, gates[:, first])
    same_places = bool(np.all(places == places[:1, :, :1]))
    return same_gates and same_places and bool(np.all(kinds == kinds[:1, :, :1]))


def _combined(layout: Layout) -> tuple[np.ndarray, np.ndarray]:
    """Node and inputs of every gate: what it reads must belong to one node; constants (-1) belong to any."""
    read = np.flatnonzero(layout.of_child >= 0)
    owner, nodes = layout.of_child[read], layout.below.node[read]
    top = np.full(layout.gates, -1)
    np.maximum.at(top, owner, nodes)
    if np.any((nodes >= 0) & (nodes != top[owner])):
        raise NotModular("a gate reads what the target combines elsewhere")
    return top, np.bincount(owner, layout.below.covered[read], layout.gates).astype(np.int64)
