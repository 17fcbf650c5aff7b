"""Plans: what a builder knew of its own wiring, as plain numbers.

Like origins they are memories, not proofs: whoever follows one checks it against the weights.
"""

import dataclasses
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


def _check_counts(owner: str, levels: Any, depth: int) -> None:
    """Refuse what aren't tuples of tuples, so deep, of numbers of at least 1."""

    def good(value: Any, depth: int) -> bool:
        if depth == 0:
            return type(value) is int and value >= 1
        return isinstance(value, tuple) and all(good(part, depth - 1) for part in value)

    if not good(levels, depth):
        raise TypeError(f"{owner}: levels must be tuples of positive integers; got {levels!r}")
