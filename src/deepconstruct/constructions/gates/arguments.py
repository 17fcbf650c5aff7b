"""What builders that multiply are asked for: an activation, and a tolerance."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..._arithmetic.custom import check_function
from ...activations import (
    GELU,
    AbstractActivation,
    Custom,
    Exp,
    Identity,
    Power,
    ReLU,
    Sigmoid,
    SiLU,
    Sin,
    Softplus,
    Square,
    Step,
    Tanh,
)

NAMED: dict[str, AbstractActivation] = {
    "sigmoid": Sigmoid(),
    "tanh": Tanh(),
    "softplus": Softplus(),
    "gelu": GELU(approximate=False),
    "gelu_tanh": GELU(approximate=True),
    "silu": SiLU(),
    "exp": Exp(),
    "sin": Sin(),
    "square": Square(),
}


def resolve_smooth(owner: str, activation: Any, *, degree: int = 2) -> AbstractActivation:
    """A smooth activation from a name, an object, or any elementwise JAX function.

    `degree` is that of a power that multiplies so many numbers exactly.

    Raises:
        TypeError: a function that JAX can't run or differentiate.
        ValueError: an activation that can't multiply, or a function that isn't elementwise.
    """
    named = {**NAMED, "power": Power(degree)}
    if isinstance(activation, str) and activation in named:
        return named[activation]
    if isinstance(activation, ReLU | Step | Identity) or activation in ("relu", "step", "identity"):
        name = activation if isinstance(activation, str) else activation.name()
        raise ValueError(
            f"{owner}: {name} can't multiply: a smooth activation with a curvature is needed, "
            "such as 'sigmoid' or 'square'"
        )
    if type(activation) in {*(type(value) for value in named.values()), Power}:
        return activation  # pyright: ignore[reportReturnType]
    if callable(activation) and not isinstance(activation, AbstractActivation | type):
        activation = Custom(activation, getattr(activation, "__name__", "custom"))  # pyright: ignore[reportArgumentType]
    if type(activation) is Custom:
        check_function(owner, activation)
        return activation
    expected = ", ".join(repr(name) for name in named)
    raise ValueError(
        f"{owner}: activation must be one of {expected}, such an object, or an elementwise JAX function; "
        f"got {activation!r}"
    )


def degree(activation: AbstractActivation) -> int:
    """The degree of a power, 0 for any other activation."""
    if isinstance(activation, Square):
        return 2
    return activation.n if isinstance(activation, Power) else 0


# A description of other arguments, and a function that gives the error bound they reach.
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
        ways: other arguments, and the error bounds that they reach.
    """
    if floor <= tolerance:
        return
    advice = ways_out(ways, tolerance) or "no other choice of arguments reaches it"
    raise ValueError(f"{owner}: tolerance {tolerance:g} is below the floor of {floor:.2g} for {what}; {advice}")


def ways_out(ways: Iterable[Way], tolerance: float = math.inf) -> str:
    """Those ways that keep a tolerance (or have a finite bound at all), as advice; empty if there are none."""
    reached = [(text, error()) for text, error in ways]
    offered = [f"{text} (error {error:.2g})" for text, error in reached if error <= tolerance and math.isfinite(error)]
    return f"use {', or '.join(offered)}" if offered else ""
