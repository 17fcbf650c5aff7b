"""What networks and layers are called with, and how."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .._checks import as_numbers, cast, check_available, check_axis, is_concrete, widest


def dtype_of(tree: Any) -> np.dtype:
    """The dtype of the weights (JAX's default real one where there are none)."""
    dtypes = {leaf.dtype for leaf in jax.tree.leaves(tree) if hasattr(leaf, "dtype")}  # labels have none
    if len(dtypes) == 1:
        return np.dtype(dtypes.pop())  # as it is: without x64, JAX would take 64 bits for 32
    return widest(*(dtypes or [float]))


def prepared(owner: str, size: int, dtype: np.dtype, x: Any, axis: Any) -> tuple[Array, int]:
    """The input as an array of the dtype of the weights, and the axis of its features counted from the first."""
    check_available(owner, dtype)
    x, axis = as_numbers(owner, "inputs", x), check_axis(owner, axis)
    if not -x.ndim <= axis < x.ndim or x.shape[axis] != size:
        raise ValueError(f"{owner}: expected {size} features on axis {axis}; got an array of shape {x.shape}")
    if jnp.iscomplexobj(x) and not jnp.issubdtype(dtype, jnp.complexfloating):
        raise TypeError(
            f"{owner}: complex input to a network of {dtype.name} weights; pass the real part, "
            "or stack real and imaginary parts for a network made by dc.realify"
        )
    return cast(x, dtype), axis % x.ndim


def compiled(run: Callable) -> Callable:
    """`run(part, x, *sizes)` as one compiled function; inside of another it stays as it is.

    Called as it is, every one of its operations would be compiled alone, which takes ten times as long.
    """
    # By its signature: what checks annotations wraps functions in others of their own.
    sizes = range(2, len(inspect.signature(run).parameters))
    whole = jax.jit(run, static_argnums=tuple(sizes))

    @wraps(run)
    def called(part: Any, x: Array, *sizes: Any) -> Any:
        known = all(map(is_concrete, jax.tree.leaves((part, x))))
        return (whole if known else run)(part, x, *sizes)

    return called


def is_template(module: Any, x: Any) -> bool:
    """Whether `module` is a tree of labels or masks that is called on the tree of weights beside it.

    Optax calls whatever is callable where it takes a tree of labels or a function that makes one.
    """
    if type(x) is not type(module):
        return False
    return not all(jnp.issubdtype(getattr(leaf, "dtype", bool), jnp.inexact) for leaf in jax.tree.leaves(module))
