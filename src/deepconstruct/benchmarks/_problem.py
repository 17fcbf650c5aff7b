"""What a family gives: a network, a box, and what must not happen there."""

import dataclasses
from collections.abc import Callable
from fractions import Fraction

import numpy as np

from ._matrices import Matrices


@dataclasses.dataclass(frozen=True)
class Problem:
    """A network of one output on a box.

    Attributes:
        layers: its matrices.
        low, high: the ends of the box.
        unsafe: what must not happen: any of these pairs of `">="` or `"<="` and a number, about the output.
        witness: an unsafe point of the box; `None` if there is none.
        volume: the share of the box whose points are unsafe: `"exact"`, `"at most"` or `"at least"`, and a number.
        pieces: what is known of its linear regions, as text.
    """

    layers: Matrices
    low: tuple[Fraction, ...]
    high: tuple[Fraction, ...]
    unsafe: tuple[tuple[str, Fraction], ...]
    witness: tuple[Fraction, ...] | None
    volume: tuple[str, Fraction]
    pieces: str

    @property
    def box(self) -> tuple[np.ndarray, np.ndarray]:
        """The ends of the box, which are floats of 32 bits."""
        low, high = (np.array([float(end) for end in ends], np.float32) for ends in (self.low, self.high))
        return low, high


@dataclasses.dataclass(frozen=True)
class Family:
    """A family of problems.

    Attributes:
        summary: a line about it.
        argument: why the answer is right where the property holds.
        draw: `(difficulty, holds, generator)` to a problem.
    """

    summary: str
    argument: str
    draw: Callable[[int, bool, np.random.Generator], Problem]


def unit_box(size: int) -> tuple[tuple[Fraction, ...], tuple[Fraction, ...]]:
    """From 0 to 1 in every coordinate."""
    return (Fraction(0),) * size, (Fraction(1),) * size
