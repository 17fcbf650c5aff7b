"""The `activation` argument of builders that multiply."""

from typing import Any

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
    known = (*(type(value) for value in named.values()), Power, Custom)
    if isinstance(activation, known):
        return activation  # pyright: ignore[reportReturnType]
    if callable(activation) and not isinstance(activation, AbstractActivation | type):
        return Custom(activation, getattr(activation, "__name__", "custom"))  # pyright: ignore[reportArgumentType]
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
