"""Biases that aren't one free number a unit: tied ones, and those of some units only."""

import abc
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Inexact

from ._checks import as_numbers, check_leaf, check_shape, check_size, widest
from ._static import to_jax


class AbstractBias(eqx.Module):
    """A bias vector with its own free parameters."""

    @property
    @abc.abstractmethod
    def size(self) -> int:
        """The number of units."""

    @property
    @abc.abstractmethod
    def leaf_shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shapes of the leaves, as those of a linear map."""

    @abc.abstractmethod
    def vector(self) -> Inexact[Array, " size"]:
        """The bias of every unit."""


class TiledBias(AbstractBias):
    """`values` for one gate, shared by all: value `a` goes to the units `(p, a, q)`.

    The units are read as an array `(outer, len(values), inner)`, as those of a `Kronecker` map.
    """

    values: Inexact[Array, " block"]
    shape: tuple[int, int, int] = eqx.field(static=True)

    def __init__(self, values: Inexact[Array, " block"], *, outer: int = 1, inner: int = 1):
        self.values = to_jax(as_numbers("TiledBias", "values", values))
        self.shape = (
            check_size("TiledBias", "outer", outer),
            len(self.values),
            check_size("TiledBias", "inner", inner),
        )

    def __check_init__(self):
        check_shape("TiledBias", "shape", self.shape, 3)
        check_leaf("TiledBias", "values", self.values, self.shape[1:2])

    @property
    def size(self) -> int:
        outer, block, inner = self.shape
        return outer * block * inner

    @property
    def leaf_shapes(self):
        return ((self.shape[1],),)

    def vector(self):
        return jnp.broadcast_to(self.values[None, :, None], self.shape).reshape(self.size)


class JoinedBias(AbstractBias):
    """Biases of consecutive groups of units; `None` for a group that has none."""

    parts: tuple[Array | AbstractBias | None, ...]
    sizes: tuple[int, ...] = eqx.field(static=True)

    def __check_init__(self):
        check_shape("JoinedBias", "sizes", self.sizes, len(self.parts))
        for part, size in zip(self.parts, self.sizes, strict=True):
            check_bias("JoinedBias", part, size)
        if all(part is None for part in self.parts):
            raise ValueError("JoinedBias: one of the parts must be a bias; got none")

    @property
    def size(self) -> int:
        return sum(self.sizes)

    @property
    def leaf_shapes(self):
        pairs = zip(self.parts, self.sizes, strict=True)
        return tuple(shape for part, size in pairs for shape in bias_shapes(part, size))

    def vector(self):
        vectors = [bias_vector(part) for part in self.parts]
        dtype = widest(*[vector for vector in vectors if vector is not None])
        filled = [
            jnp.zeros(size, dtype) if vector is None else vector.astype(dtype)
            for vector, size in zip(vectors, self.sizes, strict=True)
        ]
        return jnp.concatenate(filled)


def check_bias(owner: str, bias: Any, size: int) -> None:
    """Refuse what isn't the bias of `size` units."""
    if isinstance(bias, AbstractBias):
        found = (bias.size,)
    elif bias is None or getattr(bias, "shape", None) == (size,):
        return
    else:
        found = getattr(bias, "shape", type(bias).__name__)
    if found != (size,):
        raise ValueError(f"{owner}: bias must have shape ({size},); got {found}")


def bias_vector(bias: Array | AbstractBias | None) -> Array | None:
    """The bias of every unit, or `None` where a layer has no bias."""
    return bias.vector() if isinstance(bias, AbstractBias) else bias


def bias_shapes(bias: Any, size: int) -> tuple[tuple[int, ...], ...]:
    """The shapes that the leaves of a bias have, in a layer of `size` units."""
    if isinstance(bias, AbstractBias):
        return bias.leaf_shapes
    return () if bias is None else ((size,),)


def join_biases(biases: list[Array | AbstractBias | None], sizes: list[int]) -> Array | AbstractBias | None:
    """The bias of several layers side by side, without trainable zeros for those without one."""
    if all(bias is None for bias in biases):
        return None
    if all(isinstance(bias, Array) for bias in biases):
        dtype = widest(*biases)
        return jnp.concatenate([bias.astype(dtype) for bias in biases])  # pyright: ignore[reportOptionalMemberAccess,reportAttributeAccessIssue]
    return JoinedBias(tuple(biases), tuple(sizes))
