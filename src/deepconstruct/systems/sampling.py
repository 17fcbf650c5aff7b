"""Random points of a fractal, and points that leave it at a given level."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Inexact, Int, PRNGKeyArray

from .._static import StaticArray
from .tracking import nearest, wide_inverses

Maps = tuple[np.ndarray, np.ndarray]


# Random numbers are drawn as words of bits, all at once: every call of the generator is compiled for itself.


def word_type(dtype: Any) -> Any:
    """Unsigned integers with as many bits as numbers of `dtype` need."""
    return jnp.uint64 if jnp.finfo(dtype).bits == 64 else jnp.uint32


def choose(bits: Array, weights: np.ndarray) -> Int[Array, "*shape"]:
    """Numbers below `len(weights)` from random bits, with probabilities proportional to `weights`."""
    if np.all(weights == weights[0]):
        return (bits % bits.dtype.type(len(weights))).astype(np.int32)
    size = 2.0 ** jnp.iinfo(bits.dtype).bits
    ends = [int(share * size) for share in (np.cumsum(weights)[:-1] / np.sum(weights))]
    return sum((bits >= bits.dtype.type(end)).astype(np.int32) for end in ends)  # pyright: ignore[reportReturnType]


def between_one_and_minus_one(bits: Array, dtype: Any) -> Inexact[Array, "*shape"]:
    """Uniform numbers of `[-1, 1]` from random bits."""
    width, kind = (11, jnp.float64) if bits.dtype == jnp.uint64 else (8, jnp.float32)
    half = kind(2.0 ** (jnp.iinfo(bits.dtype).bits - width - 1))
    return ((bits >> bits.dtype.type(width)).astype(kind) / half - kind(1)).astype(dtype)


@functools.partial(jax.jit, static_argnames=("maps", "level", "weights", "inner", "outer", "ends", "dtype"))
def points_leaving(
    key: PRNGKeyArray,
    maps: tuple[StaticArray, StaticArray],
    stops: Int[Array, " num"],
    level: int,
    *,
    weights: StaticArray,
    inner: float = 0.0,
    outer: float = 0.0,
    ends: StaticArray | None = None,
    dtype: Any,
) -> Inexact[Array, "num d"]:
    """Points that are in `K_(j-1)` and not in `K_j` for `j` in `stops`, or in `K_level` where `j > level`.

    A word of maps is drawn, and a point of its cell, uniform among those that fit; what doesn't
    fit is drawn again.

    Args:
        key: a PRNG key.
        maps: matrices and offsets of the system.
        stops: the level at which each point leaves, from 1.
        level: the last level.
        weights: of the maps.
        inner: how far points keep from the faces of every cell that they are in, in cell coordinates.
        outer: how far they keep from the cells of the level at which they leave.
        ends: where given, the words of points that stay end in one of these points of all levels.
        dtype: of the points.
    """
    shape, inverses = (len(stops), maps[1].array.shape[1]), wide_inverses(*maps)
    coefficients = jnp.asarray(maps[0].array, dtype), jnp.asarray(maps[1].array, dtype)

    def attempt(key: PRNGKeyArray) -> tuple[Array, Array]:
        bits = jax.random.bits(key, (level + shape[1] + 1, shape[0]), word_type(dtype))
        words = choose(bits[:level], weights.array)
        w = between_one_and_minus_one(bits[level:-1], dtype).T
        excess, _ = nearest(jnp, inverses, [w[:, axis] for axis in range(shape[1])])
        fits = (stops > level) | ((excess >= outer) if outer > 0 else (excess > 0))
        if ends is not None:
            chosen = jnp.asarray(ends.array, dtype)[choose(bits[-1], np.ones(len(ends.array)))]
            w = jnp.where((stops > level)[:, None], chosen, w)
        lengths = jnp.minimum(stops - 1, level)
        return _into_cells(coefficients, words, w, fits, lengths, inner)

    def again(state: tuple[PRNGKeyArray, Array, Array]) -> tuple[PRNGKeyArray, Array, Array]:
        key, kept, fits = state
        key, used = jax.random.split(key)
        found, right = attempt(used)
        return key, jnp.where(fits[:, None], kept, found), fits | right

    begin = key, jnp.zeros(shape, dtype), jnp.zeros(shape[0], bool)
    return jax.lax.while_loop(lambda state: ~jnp.all(state[2]), again, begin)[1]


def _into_cells(
    coefficients: tuple[Array, Array], words: Array, w: Array, fits: Array, lengths: Array, inner: float
) -> tuple[Array, Array]:
    """Apply the last `lengths` letters of the words, from the inside out."""
    matrices, shifts = coefficients
    level = words.shape[0]

    def step(state: tuple[Array, Array], letter: tuple[Array, Array]) -> tuple[tuple[Array, Array], None]:
        (x, fits), (at, maps) = state, letter
        inside = at <= lengths
        fits = fits & (~inside | (jnp.max(jnp.abs(x), axis=-1) <= 1 - inner))
        image = jnp.einsum("nij,nj->ni", matrices[maps], x, precision="highest") + shifts[maps]
        return (jnp.where(inside[:, None], image, x), fits), None

    return jax.lax.scan(step, (w, fits), (jnp.arange(level, 0, -1, dtype=lengths.dtype), words[::-1]))[0]


def sampling_error(maps: Maps, dtype: Any) -> float:
    """How far drawn points are from the fractal at most, by rounding, in the max norm.

    A map of the word shrinks what the maps inside it were off, and adds the rounding of its own
    coefficients, products and sums.
    """
    u = float(jnp.finfo(dtype).eps) / 2
    matrices, shifts = np.abs(maps[0]), np.abs(maps[1])
    stored = np.where(maps[0] != maps[0].astype(dtype).astype(float), u * matrices, 0).sum(axis=2)
    stored += np.where(maps[1] != maps[1].astype(dtype).astype(float), u * shifts, 0)
    terms = np.count_nonzero(matrices, axis=2)
    once = float((stored + u * matrices.sum(axis=2) + u * terms).max())
    size = matrices.shape[1]
    stretches = np.linalg.svd(maps[0], compute_uv=False).max()
    straight = float(matrices.sum(axis=2).max())
    bounds = [np.sqrt(size) * once / (1 - stretches)]
    if straight < 1:
        bounds.append(once / (1 - straight))
    return float(min(bounds)) * (1 + 2**-20)
