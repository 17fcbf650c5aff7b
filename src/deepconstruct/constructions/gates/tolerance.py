"""Refusing a tolerance that can't be kept, with the ways out that keep it."""

from collections.abc import Callable, Iterable


def check_tolerance(
    owner: str, tolerance: float, floor: float, what: str, ways: Iterable[tuple[str, Callable[[], float]]]
) -> None:
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
