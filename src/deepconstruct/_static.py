"""Arrays as static fields: read-only, hashable, interned; and arrays of either library."""

import hashlib
import weakref
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

_interned: "weakref.WeakValueDictionary[tuple, StaticArray]" = weakref.WeakValueDictionary()


class StaticArray:
    """A read-only NumPy array that may sit in the static part of a pytree.

    A plain array there breaks JAX's comparison of two equal structures, since `a == b` is an
    array. Equal contents give the same object, so that comparison and hashing are by identity.
    """

    __slots__ = ("__weakref__", "array")
    array: np.ndarray

    def __new__(cls, values: Any) -> "StaticArray":
        array = np.array(values, order="C")
        digest = hashlib.blake2b(array.tobytes(), digest_size=16).digest()
        key = (array.dtype.str, array.shape, digest)
        found = _interned.get(key)
        if found is None:
            found = super().__new__(cls)
            array.setflags(write=False)
            found.array = array
            _interned[key] = found
        return found

    def __reduce__(self) -> tuple:
        return StaticArray, (self.array,)

    def __copy__(self) -> "StaticArray":
        return self

    def __deepcopy__(self, memo: dict) -> "StaticArray":
        return self

    def __repr__(self) -> str:
        return f"StaticArray({self.array.dtype}, shape={self.array.shape})"


def to_jax(values: Any, dtype: Any = None) -> jax.Array:
    """An array of JAX with memory of its own.

    NumPy's numbers are rounded by NumPy and put there: `jnp.asarray` compiles a function for every shape.
    """
    if not isinstance(values, np.ndarray | np.generic):
        return jnp.asarray(values, dtype)
    with np.errstate(over="ignore"):
        # A copy in any case: JAX keeps NumPy's memory where it can.
        return jax.device_put(np.array(values, dtype))


def check_static(owner: str, argument: str, value: Any, dtype: Any, dimensions: int) -> np.ndarray:
    """The array of a static field, if it has that dtype and so many axes."""
    if not isinstance(value, StaticArray) or value.array.dtype != dtype or value.array.ndim != dimensions:
        raise ValueError(
            f"{owner}: {argument} must be a static array of {np.dtype(dtype)} with {dimensions} axes; got {value!r}"
        )
    return value.array


def namespace(x: Any) -> Any:
    """NumPy or JAX, whichever the array belongs to."""
    return x.__array_namespace__() if hasattr(x, "__array_namespace__") else jnp


def inexact(x: Any) -> Any:
    """The array, or its floats in the default precision if it holds integers or Booleans."""
    if jnp.issubdtype(x.dtype, np.inexact):
        return x
    return x.astype(float if isinstance(x, np.ndarray) else jnp.result_type(float))


def like(x: Any, constant: Any) -> Any:
    """A constant in the kind and precision of `x`, with as many axes."""
    values = namespace(x).asarray(constant, dtype=x.dtype)
    return values.reshape((1,) * (x.ndim - values.ndim) + values.shape)
