"""Arrays as static fields: read-only, hashable, interned by content."""

import hashlib
import weakref
from typing import Any

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


def check_static(owner: str, argument: str, value: Any, dtype: Any, dimensions: int) -> np.ndarray:
    """The array of a static field, if it has that dtype and so many axes."""
    if not isinstance(value, StaticArray) or value.array.dtype != dtype or value.array.ndim != dimensions:
        raise ValueError(
            f"{owner}: {argument} must be a static array of {np.dtype(dtype)} with {dimensions} axes; got {value!r}"
        )
    return value.array
