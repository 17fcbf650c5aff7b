"""Activations by name, and as the functions of JAX that they are."""

from typing import Any

import jax
import jax.numpy as jnp

from .._checks import hint
from .base import AbstractActivation
from .layerwise import Softmax
from .polynomial import Identity, Power, ReLU, Square, Step
from .smooth import GELU, Exp, Sigmoid, SiLU, Sin, Softplus, Tanh

# What layers take by name. "gelu" is the one by the error function, as in most frameworks.
NAMED: dict[str, AbstractActivation] = {
    "identity": Identity(),
    "relu": ReLU(),
    "step": Step(),
    "square": Square(),
    "sigmoid": Sigmoid(),
    "tanh": Tanh(),
    "softplus": Softplus(),
    "exp": Exp(),
    "gelu": GELU(approximate=False),
    "gelu_tanh": GELU(approximate=True),
    "silu": SiLU(),
    "sin": Sin(),
    "softmax": Softmax(),
}

# The classes of this library's own activations of one kind; `Custom` holds a function of somebody's own.
OWN: tuple[type[AbstractActivation], ...] = (*dict.fromkeys(map(type, NAMED.values())), Power)

# Functions that users pass instead; `jax.nn.gelu` is the form by tanh.
_FUNCTIONS = (
    (jax.nn.relu, "relu"),
    (jax.nn.sigmoid, "sigmoid"),
    (jax.nn.softplus, "softplus"),
    (jax.nn.gelu, "gelu_tanh"),
    (jax.nn.silu, "silu"),
    (jax.nn.softmax, "softmax"),
    (jax.nn.tanh, "tanh"),
    (jnp.tanh, "tanh"),
    (jnp.exp, "exp"),
    (jnp.sin, "sin"),
    (jnp.square, "square"),
)


def as_activation(owner: str, activation: Any) -> AbstractActivation:
    """An activation from an object, a name, or one of the functions of JAX that have a name here."""
    if isinstance(activation, AbstractActivation):
        return activation
    if isinstance(activation, str) and activation in NAMED:
        return NAMED[activation]
    if callable(activation) and not isinstance(activation, type):
        for function, name in _FUNCTIONS:
            if activation is function:
                return NAMED[name]
        called = getattr(activation, "__name__", repr(activation))
        raise TypeError(
            f"{owner}: activation must be one of dc.activations; wrap the elementwise function {called} as "
            f"dc.activations.Custom({called}, {called!r})"
        )
    expected = ", ".join(repr(name) for name in NAMED)
    raise TypeError(
        f"{owner}: activation must be one of dc.activations, such as ReLU(), or one of {expected}; "
        f"got {activation!r}{hint(activation, NAMED)}"
    )


def resolve(owner: str, activation: Any, named: dict[str, AbstractActivation]) -> AbstractActivation:
    """Turn a builder's `activation` argument into an object that it supports."""
    if isinstance(activation, str) and activation in named:
        return named[activation]
    if any(type(activation) is type(known) for known in named.values()):
        return activation  # pyright: ignore[reportReturnType]
    expected = ", ".join(repr(name) for name in named)
    raise ValueError(
        f"{owner}: activation must be one of {expected}, or such an object; got {activation!r}{hint(activation, named)}"
    )
