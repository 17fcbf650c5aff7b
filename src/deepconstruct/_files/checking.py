"""The checks that classes have, on objects that no constructor made."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..network import Network, Repeat


def check_modules(value: Any) -> None:
    """Run the checks of an object and of the modules inside it, the inner ones first.

    Raises:
        ValueError: one of them fails.
        TypeError: likewise.
    """
    if isinstance(value, tuple):
        for part in value:
            check_modules(part)
    if isinstance(value, eqx.Module):
        for field in dataclasses.fields(value):  # pyright: ignore[reportArgumentType]
            check_modules(_inside(value, field.name))
    for name in ("__check_init__", "__post_init__"):
        if hasattr(value, name):
            getattr(value, name)()


def _inside(module: eqx.Module, name: str) -> Any:
    """A field; of a repeated block, whose leaves have one more axis, the layers of the first repetition."""
    part = getattr(module, name)
    return jax.tree.map(_first, part) if isinstance(module, Repeat) and name == "layers" else part


def stack_of(network: Network) -> tuple[int, ...]:
    """The leading axes that the leaves of an ensemble have before those of one network."""
    shapes = [np.shape(leaf) for leaf in jax.tree.leaves(network)]
    for count in range(min(map(len, shapes), default=0) + 1):
        try:
            check_network(network, shapes[0][:count] if shapes else ())
        except (TypeError, ValueError, IndexError, AttributeError):
            continue
        return shapes[0][:count] if shapes else ()
    return ()


def check_network(network: Network, stack: tuple[int, ...]) -> None:
    """Run all checks of a network, or of one of an ensemble, but for that of finite weights.

    Raises:
        ValueError: one of them fails, or a leaf lacks the leading axes of the ensemble.
        TypeError: likewise.
    """
    for leaf in jax.tree.leaves(network):
        shape = np.shape(leaf)
        if shape[: len(stack)] != stack:
            raise ValueError(f"every weight of the ensemble must have the leading axes {stack}; got shape {shape}")
    check_modules(jax.tree.map(lambda leaf: _stand_in(leaf, np.shape(leaf)[len(stack) :]), network))


def is_finite(network: Network) -> bool:
    """Whether no weight is NaN or infinite."""
    floats = [
        leaf for leaf in jax.tree.leaves(network) if jnp.issubdtype(getattr(leaf, "dtype", np.bool_), jnp.inexact)
    ]
    return all(bool(np.isfinite(np.asarray(leaf)).all()) for leaf in floats)


def _stand_in(leaf: Any, shape: tuple[int, ...]) -> Any:
    """A leaf of that shape, whose zeros take no room."""
    return np.broadcast_to(np.zeros((), leaf.dtype), shape) if hasattr(leaf, "dtype") else leaf


def _first(leaf: Any) -> Any:
    return np.asarray(leaf)[0]
