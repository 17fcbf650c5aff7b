"""Targets as folds: parities and products of bits and signs, as a forest over the inputs.

A node is the XOR or the AND of its children; leaves are the inputs, read as bits (a sign `s` is the bit `(1 - s) / 2`).
Parities of parities, and products of products, are one node. Every node has one parent at most: a target that uses
an input twice has no such forest.
"""

import dataclasses

import numpy as np

from ...domains import AbstractDomain, Bits, Product as ProductDomain, Signs, product
from ...targets import (
    AbstractTarget,
    BitsToSigns,
    Composed,
    Iterated,
    Parallel,
    Parity,
    Product,
    SignsToBits,
)

LEAF, XOR, AND = 0, 1, 2

_ITERATED = 2**12


class NoFold(Exception):
    """The target isn't made of folds, or not in a way that is known; the message says why."""


@dataclasses.dataclass(frozen=True)
class Wires:
    """Numbers that depend on one node each: `zero` where that is 0, `one` where it is 1."""

    node: np.ndarray
    zero: np.ndarray
    one: np.ndarray

    def part(self, start: int, stop: int) -> "Wires":
        return Wires(self.node[start:stop], self.zero[start:stop], self.one[start:stop])

    def are(self, zero: float, one: float) -> bool:
        return bool(np.all((self.zero == zero) & (self.one == one)))


@dataclasses.dataclass(frozen=True)
class Forest:
    """The nodes, inputs first, by parent (-1 for roots), kind and number of inputs below; and the outputs."""

    inputs: Wires
    parent: np.ndarray
    kind: np.ndarray
    leaves: np.ndarray
    outputs: Wires


def forest(target: AbstractTarget, domain: AbstractDomain) -> Forest:
    """The forest of a target.

    Raises:
        NoFold: it has none, or the domain isn't one of bits and signs.
    """
    wires = _inputs(domain)
    builder = _Builder(len(wires.node))
    outputs = builder.apply(target, wires)
    return builder.finished(wires, outputs)


def image(forest: Forest) -> AbstractDomain:
    """The outputs' values as a domain."""
    zero, one = forest.outputs.zero, forest.outputs.one
    bits = (np.minimum(zero, one) == 0) & (np.maximum(zero, one) == 1)
    signs = (np.minimum(zero, one) == -1) & (np.maximum(zero, one) == 1)
    if not np.all(bits | signs):
        raise NoFold("its values are neither bits nor signs")
    runs = np.flatnonzero(np.concatenate([[True], signs[1:] != signs[:-1], [True]]))
    kinds = [Signs if signs[start] else Bits for start in runs[:-1]]
    return product([kind(int(size)) for kind, size in zip(kinds, np.diff(runs), strict=True)])


def _inputs(domain: AbstractDomain) -> Wires:
    """The inputs, each a leaf."""
    parts = domain.domains if type(domain) is ProductDomain else (domain,)
    if not all(type(part) is Bits or type(part) is Signs for part in parts):
        raise NoFold(f"modules are about bits and signs; the domain is {domain}")
    signs = np.concatenate([np.full(part.size, type(part) is Signs) for part in parts])
    return Wires(np.arange(len(signs)), np.where(signs, 1.0, 0.0), np.where(signs, -1.0, 1.0))


class _Builder:
    def __init__(self, inputs: int):
        self.inputs = inputs
        self.leaf_parent = np.full(inputs, -1)
        self.parent: list[int] = []  # of the nodes behind the inputs
        self.kind: list[int] = []

    def apply(self, target: AbstractTarget, wires: Wires) -> Wires:
        """The outputs of a target on wires."""
        if type(target) is Composed:
            return self.apply(target.outer, self.apply(target.inner, wires))
        if type(target) is Iterated and target.times <= _ITERATED:
            for _ in range(target.times):
                wires = self.apply(target.target, wires)
            return wires
        if type(target) is Parallel:
            return self._parallel(target, wires)
        if type(target) not in (Parity, Product, BitsToSigns, SignsToBits):
            raise NoFold(f"modules need a parity or a product of bits, or some of them; {target.name} is neither")
        if target.n != len(wires.node):  # pyright: ignore[reportAttributeAccessIssue]
            raise NoFold(f"{target.name} is applied to {len(wires.node)} numbers")
        if type(target) is BitsToSigns:
            return Wires(wires.node, 1 - 2 * wires.zero, 1 - 2 * wires.one)
        if type(target) is SignsToBits:
            return Wires(wires.node, (1 - wires.zero) / 2, (1 - wires.one) / 2)
        return self._fold(target, wires)

    def _parallel(self, target: Parallel, wires: Wires) -> Wires:
        if sum(target.sizes) != len(wires.node):
            raise NoFold(f"{target.name} is applied to {len(wires.node)} numbers")
        stops = np.cumsum(target.sizes)
        spans = zip(target.targets, stops - target.sizes, stops, strict=True)
        parts = [self.apply(part, wires.part(start, stop)) for part, start, stop in spans]
        names = [field.name for field in dataclasses.fields(Wires)]
        return Wires(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    def _fold(self, target: AbstractTarget, wires: Wires) -> Wires:
        """Parities of bits, products of signs and products of bits."""
        of_bits = type(target) is Parity and target.encoding == "bits"
        ends = (0.0, 1.0) if of_bits else (1.0, -1.0)
        straight = (wires.zero == ends[0]) & (wires.one == ends[1])
        negated = (wires.zero == ends[1]) & (wires.one == ends[0])
        if np.all(straight | negated):
            flip = np.count_nonzero(negated) % 2
            return self._node(XOR, wires, ends[flip], ends[1 - flip])
        if not of_bits and wires.are(0.0, 1.0):
            return self._node(AND, wires, 0.0, 1.0)
        raise NoFold(f"{target.name} is applied to numbers of another encoding")

    def _node(self, kind: int, wires: Wires, zero: float, one: float) -> Wires:
        new = self.inputs + len(self.parent)
        self.parent.append(-1)
        self.kind.append(kind)
        leaves = wires.node[wires.node < self.inputs]
        self.leaf_parent[leaves] = new
        for node in wires.node[wires.node >= self.inputs].tolist():
            self.parent[node - self.inputs] = new
        return Wires(np.array([new]), np.array([zero]), np.array([one]))

    def finished(self, wires: Wires, outputs: Wires) -> Forest:
        """The forest in which no node has its parent's kind."""
        n, count = self.inputs, len(self.parent)
        stands_for = np.arange(n + count)
        for index in range(count - 1, -1, -1):  # parents come later
            parent = self.parent[index]
            if parent >= 0 and self.kind[parent - n] == self.kind[index]:
                stands_for[n + index] = stands_for[parent]
        parent = np.concatenate([self.leaf_parent, np.array(self.parent, int)])
        parent = np.where(parent >= 0, stands_for[parent], -1)
        leaves = np.concatenate([np.ones(n, int), np.zeros(count, int)])
        np.add.at(leaves, parent[:n][parent[:n] >= 0], 1)
        for index in range(n, n + count):
            if parent[index] >= 0 and stands_for[index] == index:
                leaves[parent[index]] += leaves[index]
        parent = np.where(stands_for == np.arange(n + count), parent, -1)
        kind = np.concatenate([np.full(n, LEAF), np.array(self.kind, int)])
        return Forest(wires, parent, kind, leaves, outputs)
