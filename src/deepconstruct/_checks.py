"""Checks of arguments: every message says what was expected and what came."""

import difflib
import operator
import os
from collections.abc import Iterable
from functools import lru_cache
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
        raise ValueError(f"{owner}: {argument} must be at least {minimum}; got {digits(size)}")
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


def check_axis(owner: str, axis: Any) -> int:
    """Return `axis` as an int."""
    try:
        return operator.index(axis)
    except TypeError:
        raise TypeError(f"{owner}: axis must be one integer; got {axis!r}") from None


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


def widest(*given: Any) -> np.dtype:
    """The dtype that holds those of several arrays, or several dtypes, whatever JAX is told of mixing them."""
    with jax.numpy_dtype_promotion("standard"):
        return np.dtype(jnp.result_type(*given))


def check_available(owner: str, dtype: Any) -> None:
    """Refuse a 64-bit type without x64, where JAX would silently give 32 bits."""
    resolved = np.dtype(dtype)
    if jax.dtypes.canonicalize_dtype(resolved) != resolved:
        raise ValueError(
            f"{owner}: {resolved.name} needs 64-bit JAX, which is off; call "
            "jax.config.update('jax_enable_x64', True) first, or ask for a 32-bit dtype"
        )


def double_precision() -> Any:
    """A context in which JAX has 64 bits, whatever the configuration says; its name moved between versions."""
    return jax.enable_x64(True) if hasattr(jax, "enable_x64") else jax.experimental.enable_x64(True)  # pyright: ignore[reportAttributeAccessIssue]


def check_weights(owner: str, tree: Any) -> None:
    """Refuse 64-bit arrays that have left the x64 scope in which they were made."""
    for leaf in jax.tree.leaves(tree):
        check_available(owner, leaf.dtype)


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


def as_numbers(owner: str, what: str, values: Any) -> Any:
    """Return what users pass as numbers, as an array that JAX takes; text and objects are refused.

    Arrays of JAX stay as they are. NumPy's come in the byte order of this machine, and those of
    extended precision in double precision, the widest that JAX has.
    """
    if isinstance(values, jax.Array) or hasattr(values, "__jax_array__"):
        array = jnp.asarray(values)
    else:
        array = _as_numpy(owner, what, values)
    if not (array.dtype == bool or jnp.issubdtype(array.dtype, np.number)):
        raise TypeError(f"{owner}: {what} must be numbers; got {_kind_of(values, array.dtype)}")
    return array


def cast(numbers: Any, dtype: Any) -> jax.Array:
    """What `as_numbers` gave, as an array of JAX; numbers beyond the dtype become infinite without a warning."""
    with np.errstate(over="ignore"):
        return jnp.asarray(numbers, dtype)


def _kind_of(values: Any, dtype: Any) -> str:
    if isinstance(values, str | bytes):
        return f"{values!r}, a text"
    kinds = {"O": "objects", "U": "texts", "S": "texts"}
    kind = kinds.get(getattr(dtype, "kind", ""), dtype)
    return f"{type(values).__name__} of {kind}" + "; convert it to floats first" * (kind == "objects")


def _as_numpy(owner: str, what: str, values: Any) -> Any:
    try:
        array = np.asarray(values)
    except jax.errors.TracerArrayConversionError:
        return jnp.asarray(values)  # a list with traced numbers in it
    except ValueError as error:
        raise ValueError(f"{owner}: {what} must be an array; got nested lists of unequal lengths ({error})") from None
    for wide, double in ((np.longdouble, np.float64), (np.clongdouble, np.complex128)):
        if array.dtype == wide:
            return array.astype(double)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def check_allocation(owner: str, what: str, entries: int, dtype: Any = np.float64) -> None:
    """Refuse arrays of so many entries that this machine's memory can't hold them, before any is made."""
    needed, held = entries * np.dtype(dtype).itemsize, memory()
    if needed > held:
        raise ValueError(f"{owner}: {what} would take {_bytes(needed)}, but this machine has {_bytes(held)} of memory")


@lru_cache(maxsize=1)
def memory() -> int:
    """The bytes of memory of this machine; a terabyte where it doesn't tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return 2**40


def digits(number: int) -> str:
    """An integer for messages: as it is, or in powers of two where it has too many digits."""
    return str(number) if abs(number) < 2**64 else f"about 2^{number.bit_length() - 1}"


def _bytes(count: int) -> str:
    """A number of bytes for messages; sizes that no float holds as a power of two."""
    if count >= 2**80:
        return f"more than 2^{count.bit_length() - 1} bytes"
    power = min(max(count.bit_length() - 1, 0) // 10, 7)
    return f"{count / 1024**power:.3g} {('bytes', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB', 'ZiB')[power]}"


def is_concrete(array: Any) -> bool:
    """Whether the values of `array` can be looked at now (it is not being traced)."""
    return not isinstance(array, Tracer)


def known(array: Any) -> Any:
    """`array` as NumPy's where its values are known, so that nothing is compiled to compute with it."""
    return np.asarray(array) if is_concrete(array) else array


def library(*arrays: Any) -> Any:
    """NumPy if all arrays are its own, else `jax.numpy`."""
    return np if all(isinstance(array, np.ndarray) for array in arrays) else jnp


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
