"""Plans: what a builder knew of its own wiring, as plain numbers.

Like origins they are memories, not proofs: whoever follows one checks it against the weights.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any


@dataclasses.dataclass(frozen=True)
class Tree:
    """A tree of gates.

    Attributes:
        levels: bottom first; each a tuple of groups `(inputs a gate, number of gates)`. Wires and gates
            are ordered by group, and gate `q` of a group of `g` takes the group's wires `q`, `q + g`,
            `q + 2 g` and so on.

    Example:
        >>> import deepconstruct as dc
        >>> dc.parity(7).origin.plan
        Tree(levels=(((2, 2), (3, 1)), ((3, 1),)))
    """

    levels: tuple[tuple[tuple[int, int], ...], ...]

    def __post_init__(self):
        _check_counts("Tree", self.levels, depth=3)


@dataclasses.dataclass(frozen=True)
class Blocks:
    """Levels of blocks of neighboring wires, each a gate of gates.

    Attributes:
        levels: bottom first; the number of wires of every block. Blocks of the first, third, ... level
            are ORs of ANDs, those between ANDs of ORs.

    Example:
        >>> import deepconstruct as dc
        >>> dc.parity_bounded_depth(8, 3).origin.plan
        Blocks(levels=((3, 3, 2), (3,)))
    """

    levels: tuple[tuple[int, ...], ...]

    def __post_init__(self):
        _check_counts("Blocks", self.levels, depth=2)


@dataclasses.dataclass(frozen=True)
class Sum:
    """A linear combination of the wires below: pairs of wire and coefficient, and a constant."""

    terms: tuple[tuple[int, float], ...]
    constant: float = 0.0

    def bound(self, bounds: Sequence[float]) -> float:
        """The largest modulus, for wires of up to `bounds`."""
        return sum(abs(c) * bounds[wire] for wire, c in self.terms) + abs(self.constant)


Operation = tuple[Sum, ...]  # one sum: a copy; two: their product


@dataclasses.dataclass(frozen=True)
class Circuit:
    """Operations by level, and the sums of the last level's wires that are given out.

    Attributes:
        inputs: bounds of the inputs.
        levels: the operations of every level, one a wire: one sum, which is copied, or two, whose
            product it is.
        outputs: sums of the wires of the last level.

    Example:
        >>> import deepconstruct as dc
        >>> plan = dc.product_tree(4).origin.plan
        >>> [len(level) for level in plan.levels], plan.outputs
        ([2, 1], (Sum(terms=((0, 1.0),), constant=0.0),))
    """

    inputs: tuple[float, ...]
    levels: tuple[tuple[Operation, ...], ...]
    outputs: tuple[Sum, ...]


@dataclasses.dataclass(frozen=True)
class GatePlan:
    """How one gate is wired: units `f(bias + scale * pattern)`, one a pattern.

    Attributes:
        n: how many numbers it multiplies.
        kind: of patterns: `"signs"`, `"fixed"` or `"subsets"`.
        bias: of all units.
        scale: of the inputs.
        mix: the share of a second gate of twice the scale, 0 where there is none.
    """

    n: int
    kind: str
    bias: float
    scale: float
    mix: float = 0.0


def _check_counts(owner: str, levels: Any, depth: int) -> None:
    """Refuse what aren't tuples of tuples, so deep, of numbers of at least 1."""

    def good(value: Any, depth: int) -> bool:
        if depth == 0:
            return type(value) is int and value >= 1
        return isinstance(value, tuple) and all(good(part, depth - 1) for part in value)

    if not good(levels, depth):
        raise TypeError(f"{owner}: levels must be tuples of positive integers; got {levels!r}")
