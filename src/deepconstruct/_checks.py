"""Checks of arguments: every message says what was expected and what came."""

import difflib
import operator
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer


def check_size(owner: str, argument: str, value: Any, *, minimum: int = 1) -> int:
    """Return `value` as an int of at least `minimum`."""
    if isinstance(value, bool | np.bool_):
        raise TypeError(f"{owner}: {argument} must be an integer; got {value!r}")
    try:
        size = operator.index(value)
    except TypeError:
        raise TypeError(f"{owner}: {argument} must be an integer; got {value!r} ({type(value).__name__})") from None
    if size < minimum:
        raise ValueError(f"{owner}: {argument} must be at least {minimum}; got {size}")
    return size


def check_flag(owner: str, argument: str, value: Any) -> None:
    """Refuse what isn't `True` or `False`."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{owner}: {argument} must be True or False; got {value!r}")


def check_shape(owner: str, argument: str, shape: Any, length: int, *, minimum: int = 1) -> None:
    """Refuse what isn't a tuple of `length` sizes of at least `minimum`."""
    if not isinstance(shape, tuple) or len(shape) != length:
        raise ValueError(f"{owner}: {argument} must be {length} sizes; got {shape!r}")
    for size in shape:
        check_size(owner, argument, size, minimum=minimum)


def check_leaf(owner: str, argument: str, value: Any, shape: tuple[int, ...]) -> None:
    """Refuse what isn't an array of the given shape."""
    if getattr(value, "shape", None) != shape:
        found = getattr(value, "shape", type(value).__name__)
        raise ValueError(f"{owner}: {argument} must be an array of shape {shape}; got {found}")


def check_all(owner: str, argument: str, values: Any, kind: type) -> None:
    """Refuse what isn't a non-empty tuple of objects of one kind."""
    if not isinstance(values, tuple) or not values or not all(isinstance(value, kind) for value in values):
        raise ValueError(f"{owner}: {argument} must be a non-empty tuple of {kind.__name__}; got {values!r}")


def check_choice(owner: str, argument: str, value: Any, options: Iterable[str]) -> str:
    """Return `value` if it is one of `options`."""
    options = tuple(options)
    if not isinstance(value, str) or value not in options:
        expected = ", ".join(repr(option) for option in options)
        raise ValueError(f"{owner}: {argument} must be one of {expected}; got {value!r}{hint(value, options)}")
    return value


def hint(value: Any, options: Iterable[str]) -> str:
    """The end of a message about an unknown name: the known one that is nearest to it, if any is near."""
    near = difflib.get_close_matches(value.lower(), list(options), n=1) if isinstance(value, str) else []
    return f". Did you mean {near[0]!r}?" if near else ""


def check_scalar(owner: str, argument: str, value: Any, *, minimum: float = 0.0, strict: bool = False) -> float:
    """Return `value` as a finite float of at least (or above, if `strict`) `minimum`."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{owner}: {argument} must be a number; got {value!r}") from None
    if not np.isfinite(number) or number < minimum or (strict and number == minimum):
        relation = "above" if strict else "at least"
        raise ValueError(f"{owner}: {argument} must be finite and {relation} {minimum:g}; got {value!r}")
    return number


def check_dtype(owner: str, dtype: Any, *, kind: str = "real") -> np.dtype:
    """Return a floating dtype of the given kind that this process can hold.

    `None` means JAX's current default: 64 bits if `jax_enable_x64` is set, else 32.
    """
    default = complex if kind == "complex" else float
    try:
        resolved = np.dtype(jnp.result_type(default) if dtype is None else dtype)
    except TypeError:
        raise ValueError(f"{owner}: dtype must be a floating type, such as 'float32'; got {dtype!r}") from None
    wanted = np.complexfloating if kind == "complex" else np.floating
    # bfloat16 and the other extension types are no NumPy floats, but JAX knows them.
    if not jnp.issubdtype(resolved, wanted):
        raise ValueError(f"{owner}: dtype must be a {kind} floating type; got {resolved.name}")
    check_available(owner, resolved)
    return resolved


def check_available(owner: str, dtype: Any) -> None:
    """Refuse a 64-bit type without x64, where JAX would silently give 32 bits."""
    resolved = np.dtype(dtype)
    if jax.dtypes.canonicalize_dtype(resolved) != resolved:
        raise ValueError(
            f"{owner}: {resolved.name} needs 64-bit JAX, which is off; call "
            "jax.config.update('jax_enable_x64', True) first, or ask for a 32-bit dtype"
        )


def check_key(owner: str, key: Any) -> None:
    """Refuse what isn't one PRNG key (typed, or an old-style pair of 32-bit words)."""
    dtype, shape = getattr(key, "dtype", None), getattr(key, "shape", None)
    if dtype is not None:
        if jnp.issubdtype(dtype, jax.dtypes.prng_key) and shape == ():
            return
        if dtype == np.uint32 and shape == (2,):
            return
    what = type(key).__name__ if shape is None else f"an array of shape {shape}"
    raise TypeError(f"{owner}: key must be one PRNG key, such as jax.random.key(0); got {what}")


def is_concrete(array: Any) -> bool:
    """Whether the values of `array` can be looked at now (it is not being traced)."""
    return not isinstance(array, Tracer)


def check_finite(owner: str, what: str, tree: Any) -> None:
    """Refuse NaN and infinity in the concrete arrays of `tree`."""
    for leaf in jax.tree.leaves(tree):
        if not is_concrete(leaf):
            continue
        values = np.asarray(leaf)
        if not np.all(np.isfinite(values)):
            bad = np.asarray(values).ravel()
            first = bad[~np.isfinite(bad)][0]
            raise ValueError(f"{owner}: {what} must be finite; got {first}")
