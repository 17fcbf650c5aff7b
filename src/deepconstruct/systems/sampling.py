"""Random points of a fractal, and points that leave it at a given level."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Inexact, Int, PRNGKeyArray

from .._static import StaticArray, to_jax
from .gaps import Gap, gap_of, spare_points
from .tracking import nearest, wide_inverses

Maps = tuple[np.ndarray, np.ndarray]

# So often are points drawn again that don't fit.
_TRIES = 128


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


def _below_one(bits: Array, dtype: Any) -> Inexact[Array, "*shape"]:
    """Uniform numbers of `[0, 1)` from random bits; in narrow dtypes 1 is rounded to."""
    width, kind = (11, jnp.float64) if bits.dtype == jnp.uint64 else (8, jnp.float32)
    scale = kind(2.0 ** (jnp.iinfo(bits.dtype).bits - width))
    return ((bits >> bits.dtype.type(width)).astype(kind) / scale).astype(dtype)


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

    A word of maps is drawn, and a point of its cell: of all of it, or of the boxes that cover the gap
    between the cells of the next level. What doesn't fit is drawn again, up to 128 times: that does
    something only where maps are turned, or points keep away from faces. Which fit, are uniform. What
    fits at no time is taken from a few points that are known.

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
    coefficients = to_jax(maps[0].array, dtype), to_jax(maps[1].array, dtype)
    # Points that leave at once needn't keep away from the faces of the cube.
    gaps, stays = (gap_of(*maps, 0.0, outer), gap_of(*maps, inner, outer)), stops > level
    cube = np.stack([np.full(shape[1], inner - 1.0), np.full(shape[1], 1.0 - inner)])

    def attempt(key: PRNGKeyArray) -> tuple[Array, Array]:
        bits = jax.random.bits(key, (level + shape[1] + 2, shape[0]), word_type(dtype))
        words = choose(bits[:level], weights.array)
        low, high = _ends_of_boxes(bits[-2], cube, gaps, stops, stays, dtype)
        w = jnp.clip(low + (high - low) * _below_one(bits[level:-2], dtype).T, low, high)
        excess, _ = nearest(jnp, inverses, [w[:, axis] for axis in range(shape[1])])
        fits = stays | ((excess >= outer) if outer > 0 else (excess > 0))
        if ends is not None:
            chosen = to_jax(ends.array, dtype)[choose(bits[-1], np.ones(len(ends.array)))]
            w = jnp.where(stays[:, None], chosen, w)
        lengths = jnp.minimum(stops - 1, level)
        return _into_cells(coefficients, words, w, fits, lengths, inner)

    def again(state: tuple[Array, PRNGKeyArray, Array, Array]) -> tuple[Array, PRNGKeyArray, Array, Array]:
        tried, key, kept, fits = state
        key, used = jax.random.split(key)
        found, right = attempt(used)
        return tried + 1, key, jnp.where(fits[:, None], kept, found), fits | right

    def is_open(state: tuple[Array, PRNGKeyArray, Array, Array]) -> Array:
        return (state[0] < _TRIES) & ~jnp.all(state[3])

    begin = jnp.zeros((), "int32"), key, jnp.zeros(shape, dtype), jnp.zeros(shape[0], bool)
    _, key, found, fits = jax.lax.while_loop(is_open, again, begin)
    if inner == 0 and gaps[0].is_tight:
        return found
    spare = to_jax(spare_points(*maps, level, inner, outer, ends).array, dtype)
    which = jax.random.randint(key, shape[:1], 0, spare.shape[1])
    return jnp.where(fits[:, None], found, spare[jnp.minimum(stops, level + 1) - 1, which])


def _ends_of_boxes(
    bits: Array, cube: np.ndarray, gaps: tuple[Gap, Gap], stops: Array, stays: Array, dtype: Any
) -> tuple[Array, Array]:
    """Lowest and highest corners of a box for every point: the cube if it stays, else a box of a gap."""
    boxes = np.concatenate([cube[None], *(gap.boxes.array for gap in gaps)])
    height, which, start = _below_one(bits, jnp.float32), jnp.zeros(stops.shape, "int32"), 1
    for gap, chosen in zip(gaps, (stops == 1, stops > 1), strict=True):
        shares = to_jax(gap.shares.array[:-1], height.dtype)
        found = start + jnp.searchsorted(shares, height, side="right").astype("int32")
        which = jnp.where(chosen, found, which)
        start += len(gap.boxes.array)
    which = jnp.minimum(jnp.where(stays, 0, which), len(boxes) - 1)
    return to_jax(boxes[:, 0], dtype)[which], to_jax(boxes[:, 1], dtype)[which]


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
