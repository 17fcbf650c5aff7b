"""What a family gives: a network, a box, what must not happen there, and who is right."""

import dataclasses
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from ._matrices import Matrices

# The half of the unit in the last place of floats of 32 bits, relative.
UNIT = Fraction(1, 2**24)


@dataclasses.dataclass(frozen=True)
class Problem:
    """A network of one output on a box.

    Attributes:
        layers: its matrices.
        low, high: the ends of the box.
        unsafe: what must not happen: any of these pairs of `">="` or `"<="` and a number, about the output.
        rounding: how far a run in floats of 32 bits is off the network over the reals, on the box, at most.
        volume: the share of the box whose points are unsafe: `"exact"`, `"at most"` or `"at least"`, and a number.
        pieces: what is known of its linear regions, as text.
    """

    layers: Matrices
    low: tuple[Fraction, ...]
    high: tuple[Fraction, ...]
    unsafe: tuple[tuple[str, Fraction], ...]
    rounding: Fraction
    volume: tuple[str, Fraction]
    pieces: str


@dataclasses.dataclass(frozen=True)
class Family:
    """A family of problems.

    Attributes:
        summary: a line about it.
        argument: why the answer is right where it is `"holds"`.
        draw: `(difficulty, holds, generator)` to parameters: plain numbers, fractions as texts.
        build: parameters to the problem; its rounding is that of units written up to `copies` times, which is 1 if none
            is given.
        bounds: parameters to numbers between which the output lies on the whole box, over the reals; computed in
            rational numbers from the parameters alone.
        witness: parameters to an unsafe point, for those that fail.
    """

    summary: str
    argument: str
    draw: Callable[[int, bool, np.random.Generator], dict[str, Any]]
    build: Callable[..., Problem]
    bounds: Callable[[dict[str, Any]], tuple[Fraction | None, Fraction]]
    witness: Callable[[dict[str, Any]], tuple[Fraction, ...]]


def is_unsafe(value: Fraction, unsafe: tuple[tuple[str, Fraction], ...], slack: Fraction = Fraction(0)) -> bool:
    """Whether an output is unsafe, by at least `slack`."""
    return any(value - end >= slack if sense == ">=" else end - value >= slack for sense, end in unsafe)


def margin_of(low: Fraction | None, high: Fraction, unsafe: tuple[tuple[str, Fraction], ...]) -> Fraction:
    """How far all numbers from `low` (if there is one) to `high` stay from what is unsafe; 0 or less if they don't."""
    gaps = [end - high if sense == ">=" else (Fraction(0) if low is None else low - end) for sense, end in unsafe]
    return min(gaps)


def texts(values: Any) -> list[Any]:
    """Fractions as texts, in nested lists."""
    return [texts(value) if isinstance(value, list | tuple) else str(Fraction(value)) for value in values]


def fractions(values: Any) -> list[Fraction]:
    """What `texts` gave, of one list."""
    return [Fraction(value) for value in values]


def sum_rounding(terms: int, mass: Fraction) -> Fraction:
    """How far a float sum of so many exact terms is off, whose moduli add up to `mass`: in any order."""
    count = max(terms - 1, 0)
    return Fraction(count) * UNIT * mass * Fraction(1025, 1024)
