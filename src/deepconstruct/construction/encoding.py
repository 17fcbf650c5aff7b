"""Short names of contents: what makes a network or a claim the one that it is."""

import dataclasses
import hashlib
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from .._static import StaticArray
from ..network import Network
from .claim import Claim


def digest(value: Network | Claim) -> str:
    """A hash of classes, static fields and arrays: equal for equal contents, whatever the object."""
    hasher = hashlib.blake2b(digest_size=16)
    for part in _encoded(value):
        hasher.update(len(part).to_bytes(8, "big") + part)
    return hasher.hexdigest()


def _encoded(value: Any) -> Iterator[bytes]:
    if isinstance(value, StaticArray):
        value = value.array
    if isinstance(value, jax.Array | np.ndarray):
        array = np.ascontiguousarray(np.asarray(value))
        yield repr((array.dtype.name, array.shape)).encode()
        yield array.tobytes()
    elif dataclasses.is_dataclass(value):
        yield f"{type(value).__module__}.{type(value).__qualname__}".encode()
        for field in dataclasses.fields(value):
            yield field.name.encode()
            yield from _encoded(getattr(value, field.name))
    elif isinstance(value, tuple | list):
        yield f"{len(value)} of".encode()
        for part in value:
            yield from _encoded(part)
    elif callable(value):
        yield f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', repr(type(value)))}".encode()
    else:
        yield f"{type(value).__name__} {value!r}".encode()
