"""Vectors of domains and membership in NumPy: nothing is rounded to a network's dtype."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from .._arithmetic.exactness import are_floats
from .._checks import double_precision
from ..domains import AbstractDomain, Bits, Box, Points, Product, Signs, Space

# Targets are evaluated with a few roundings, and may leave a box by them.
_ROOM = 2.0**-46


def vectors(domain: AbstractDomain, indices: np.ndarray) -> np.ndarray:
    """The vectors numbered `indices` of a finite domain, as they are: shape `(len(indices), size)`."""
    if type(domain) is Bits:
        return ((indices[:, None] >> np.arange(domain.n, dtype=indices.dtype)) & 1).astype(np.int8)
    if type(domain) is Signs:
        return 1 - 2 * vectors(Bits(domain.n), indices)
    if type(domain) is Points:
        return domain.array.array[indices]
    if type(domain) is Product:
        parts = []
        for part in domain.domains:
            count = part.cardinality
            assert count is not None
            parts.append(vectors(part, indices % count))
            indices = indices // count
        return np.concatenate(parts, axis=1)
    with double_precision():
        return np.asarray(domain.enumerate(jnp.asarray(indices.astype(np.uint32))))


def are_runnable(domain: AbstractDomain, dtype: Any) -> bool:
    """Whether a dtype holds all vectors of a finite domain."""
    if type(domain) is Points:
        return are_floats(domain.array.array, dtype)
    if type(domain) is Product:
        return all(are_runnable(part, dtype) for part in domain.domains)
    return True


def outside(domain: AbstractDomain, x: np.ndarray, *, room: float = _ROOM) -> np.ndarray:
    """Which vectors don't lie in a domain; at the faces of a box with some room."""
    if type(domain) is Product:
        parts = [outside(part, x[..., start:stop], room=room) for (start, stop), part in domain.spans()]
        return np.logical_or.reduce(parts)
    if type(domain) is Box:
        margin = room * (abs(domain.low) + abs(domain.high))
        return ~np.all((x >= domain.low - margin) & (x <= domain.high + margin), axis=-1)
    if type(domain) is Bits or type(domain) is Signs:
        return ~np.all((x == 1) | (x == (0 if type(domain) is Bits else -1)), axis=-1)
    if type(domain) is Space:
        real = domain.field == "complex" or ~np.iscomplexobj(x) | (np.imag(x) == 0)
        return ~np.all(np.isfinite(x) & real, axis=-1)
    if type(domain) is Points:
        return ~_listed(domain.array.array, x)
    with double_precision():
        return ~np.asarray(domain.contains(jnp.asarray(x.astype(complex if np.iscomplexobj(x) else float))))


def are_drawn(domain: AbstractDomain, x: np.ndarray) -> np.ndarray:
    """Which vectors that a domain drew lie in it: those of lists and boxes may have been rounded out of it."""
    if type(domain) is Product:
        return np.logical_and.reduce([are_drawn(part, x[..., start:stop]) for (start, stop), part in domain.spans()])
    if type(domain) is Box or type(domain) is Points:
        return ~outside(domain, x, room=0.0)
    return np.ones(x.shape[:-1], bool)


def _listed(points: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Which rows are among the points; rows of bytes are compared, in double precision."""
    if np.iscomplexobj(x):
        return np.all(np.imag(x) == 0, axis=-1) & _listed(points, np.real(x))
    with np.errstate(over="ignore", under="ignore"):
        narrow = np.ascontiguousarray(x.astype(np.float64) + 0.0)  # no negative zeros
    rows, size = narrow.reshape(-1, x.shape[-1]), 8 * x.shape[-1]
    known = np.ascontiguousarray(points + 0.0).view(f"V{size}").ravel()
    found = np.isin(rows.view(f"V{size}").ravel(), known).reshape(x.shape[:-1])
    return found & np.all(narrow == x, axis=-1)
