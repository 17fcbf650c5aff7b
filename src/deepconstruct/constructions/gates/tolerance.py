"""Refusing a tolerance that can't be kept, with the ways out that keep it."""

from collections.abc import Callable, Iterable

import numpy as np

from ...activations import AbstractActivation, Square

Way = tuple[str, Callable[[], float]]


def activation_ways(
    act: AbstractActivation, dtype: np.dtype, error: Callable[[AbstractActivation, np.dtype], float]
) -> list[Way]:
    """More digits, the exact activation, or both; `error(activation, dtype)` is what they reach."""
    double = np.dtype("float64")
    ways: list[Way] = []
    if dtype != double:
        ways.append(("dtype='float64'", lambda: error(act, double)))
    if not isinstance(act, Square):
        ways.append(("activation='square'", lambda: error(Square(), dtype)))
        if dtype != double:
            ways.append(("activation='square' and dtype='float64'", lambda: error(Square(), double)))
    return ways


def check_tolerance(owner: str, tolerance: float, floor: float, what: str, ways: Iterable[Way]) -> None:
    """Raise if the least error bound `floor` is above `tolerance`.

    Args:
        owner: the builder.
        tolerance: what was asked for.
        floor: the least bound that `what` reaches.
        what: such as `"sigmoid in float32"`.
        ways: descriptions of other arguments, and functions that give the error bounds they reach.
    """
    if floor <= tolerance:
        return
    reached = [(text, error()) for text, error in ways]
    offered = [f"{text} (error {error:.2g})" for text, error in reached if error <= tolerance]
    advice = f"use {', or '.join(offered)}" if offered else "no other choice of arguments reaches it"
    raise ValueError(f"{owner}: tolerance {tolerance:g} is below the floor of {floor:.2g} for {what}; {advice}")
