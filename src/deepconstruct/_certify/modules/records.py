"""What a network is as a tree of gates: kinds of gates, and how many of each there are."""

import dataclasses
import functools

import numpy as np

from ...activations import AbstractActivation


class NotModular(Exception):
    """The network isn't a tree of gates that follows the target, or can't be followed; the message says why."""


@dataclasses.dataclass(frozen=True)
class Input:
    """An input: the numbers that stand for 0 and for 1."""

    zero: float
    one: float

    @property
    def units(self) -> int:
        return 1


@dataclasses.dataclass(frozen=True, eq=False)
class Gate:
    """A kind of gates.

    Attributes:
        children: the kinds of the gates that it reads.
        widths: how many units these have.
        rows: distinct rows of weights, shape `(sums, units of all children)`.
        sums: which of these sums every unit takes, shape `(units,)`.
        bias: of every unit.
        activations: of every unit.
        fold: how the target combines what its children stand for.
    """

    children: tuple[int, ...]
    widths: tuple[int, ...]
    rows: np.ndarray
    sums: np.ndarray
    bias: np.ndarray
    activations: tuple[AbstractActivation, ...]
    fold: int

    @property
    def units(self) -> int:
        return len(self.sums)

    @functools.cached_property
    def terms(self) -> list[tuple[int, np.ndarray, int]]:
        """What is read: kinds of gates with their columns of `rows`, and how many children there are of each."""
        found: dict[tuple[int, bytes], tuple[np.ndarray, int]] = {}
        start = 0
        for kind, width in zip(self.children, self.widths, strict=True):
            columns = np.ascontiguousarray(self.rows[:, start : start + width])
            key = kind, columns.tobytes()
            found[key] = columns, found.get(key, (columns, 0))[1] + 1
            start += width
        return [(kind, columns, count) for (kind, _), (columns, count) in found.items()]


@dataclasses.dataclass(frozen=True)
class Output:
    """Outputs alike: kind of gate and unit that they are, and what the target gives for 0 and for 1."""

    kind: int
    unit: int
    zero: float
    one: float


@dataclasses.dataclass(frozen=True)
class Wiring:
    """All kinds of gates, those that are read first.

    Attributes:
        kinds: inputs and gates.
        levels: for every stage of the network pairs of kind and number of gates.
        outputs: the kinds of outputs.
        index: which of them every output is.
    """

    kinds: tuple[Input | Gate, ...]
    levels: tuple[tuple[tuple[int, int], ...], ...]
    outputs: tuple[Output, ...]
    index: np.ndarray


@dataclasses.dataclass(frozen=True)
class Cut:
    """A layer of units cut into gates.

    Attributes:
        gate: of every unit.
        place: of every unit in its gate.
        kind: of every gate.
        node: of the target, which a gate stands for, or for some of whose children; -1 for constants.
        covered: how many inputs are below every gate.
    """

    gate: np.ndarray
    place: np.ndarray
    kind: np.ndarray
    node: np.ndarray
    covered: np.ndarray
