"""Blocks of layers that are repeated, and chains of layers and blocks."""

import itertools
from collections.abc import Iterable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Inexact

from .._checks import check_available, check_size
from .inputs import is_template
from .layer import Layer, run_on_last_axis
from .running import run_layers


class Repeat(eqx.Module):
    """A block of layers applied `times` times, each time with weights of its own.

    Every leaf of `layers` has a leading axis of length `times`; the block runs in `lax.scan`, so
    that compile time doesn't grow with depth.

    Args:
        layers: the block; its last `out_size` equals its first `in_size`.
        times: how often, at least 1.
    """

    layers: tuple[Layer, ...]
    times: int = eqx.field(static=True)

    def __check_init__(self):
        check_size("Repeat", "times", self.times)
        check_chain("Repeat", self.layers)
        if self.in_size != self.out_size:
            raise ValueError(f"Repeat: the block must keep its size; got {self.in_size} to {self.out_size}")
        for leaf in jax.tree.leaves(self.layers):
            shape = jnp.shape(leaf)
            if shape[:1] != (self.times,):
                raise ValueError(f"Repeat: every leaf must be stacked {self.times} times; got one of shape {shape}")

    @classmethod
    def copies(cls, layers: tuple[Layer, ...], times: int) -> "Repeat":
        """The same layers `times` times."""
        return cls(jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (times, *jnp.shape(leaf))), layers), times)

    @property
    def in_size(self) -> int:
        return self.layers[0].in_size

    @property
    def out_size(self) -> int:
        return self.layers[-1].out_size

    def __call__(self, x: Any) -> Inexact[Array, "*batch out"]:
        """Run the block on the last axis; the rules for `x` are those of a network."""
        if is_template(self, x):
            return self  # pyright: ignore[reportReturnType]
        return run_on_last_axis("Repeat", self, x)

    def apply(self, x: Inexact[Array, "before size after"]) -> Inexact[Array, "before out after"]:
        """Run all repetitions along the middle axis."""

        def block(carry, layers):
            return run_layers(layers, carry), None

        return jax.lax.scan(block, x, self.layers, length=self.times)[0]

    def unrolled(self) -> tuple[Layer, ...]:
        """The same layers one after another, without the scan."""
        return tuple(layer for index in range(self.times) for layer in repetition(self.layers, index))

    def dense(self, dtype: Any) -> "Repeat":
        """The same with dense matrices and bias vectors."""
        block = jax.vmap(lambda layers: tuple(layer.dense(dtype) for layer in layers), axis_size=self.times)
        return Repeat(block(self.layers), self.times)


def repetition(layers: tuple[Layer, ...], index: int | slice) -> tuple[Layer, ...]:
    """Stacked layers in one repetition; with a slice in several, still stacked."""
    return jax.tree.map(lambda leaf: leaf[index], layers)


def block_layers(parts: Iterable[Layer | Repeat]) -> tuple[Layer, ...]:
    """All layers, those of a repeated block once, with their stacked leaves."""
    return tuple(layer for part in parts for layer in (part.layers if isinstance(part, Repeat) else (part,)))


def check_chain(owner: str, layers: Any) -> None:
    if not isinstance(layers, tuple) or not layers:
        raise ValueError(f"{owner}: layers must be a non-empty tuple; got {layers!r}")
    for layer in layers:
        if not isinstance(layer, Layer | Repeat):
            raise TypeError(f"{owner}: layers must be Layer or Repeat; got {type(layer).__name__}")
        for leaf in jax.tree.leaves(layer):
            dtype = getattr(leaf, "dtype", None)
            if dtype is None or not jnp.issubdtype(dtype, jnp.inexact):
                raise TypeError(f"{owner}: every weight must be a floating array; got {leaf!r}")
            check_available(owner, dtype)
    for index, (first, second) in enumerate(itertools.pairwise(layers)):
        if first.out_size != second.in_size:
            raise ValueError(
                f"{owner}: layer {index} gives {first.out_size} features but layer {index + 1} takes {second.in_size}"
            )
