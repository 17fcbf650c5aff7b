"""Following points into cells, in floating point: the nearest cell, level by level."""

import functools
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._static import StaticArray
from .exact import exact_inverses


@functools.lru_cache(maxsize=256)
def wide_inverses(linear: StaticArray, offsets: StaticArray) -> tuple[np.ndarray, np.ndarray]:
    """`G` of shape `(r, d, d)` and `g` of shape `(r, d)` with `F^-1 x = G x + g`, in extended precision."""
    exact = exact_inverses(linear, offsets)
    matrices = [[[_wide(value) for value in row] for row in matrix] for matrix, _ in exact]
    shifts = [[_wide(value) for value in shift] for _, shift in exact]
    return np.array(matrices, np.longdouble), np.array(shifts, np.longdouble)


def _wide(value: Fraction) -> np.longdouble:
    """Two doubles carry more digits than a fraction's own conversion."""
    high = float(value)
    return np.longdouble(high) + np.longdouble(float(value - Fraction(high)))


def track(
    maps: tuple[StaticArray, StaticArray], x: Any, level: int, *, inside: float, outside: float, slack: Any = 0.0
) -> tuple[Any, Any]:
    """Follow points into the nearest cell of each level.

    At every level a point is inside if it exceeds its cell by at most `inside`, and outside if it
    exceeds all cells by at least `outside`; in between it is undecided.

    Args:
        maps: matrices and offsets of the system.
        x: shape `(*batch, d)`, a NumPy or JAX array.
        level: how many levels, at least 0.
        inside: the largest excess `max |u| - 1` of points inside.
        outside: the least excess of points outside.
        slack: added in favor of a decision; a number, or one a level.

    Returns:
        How many levels each point stays inside, and whether it was decided all the way: `(*batch,)`.
    """
    slacks = np.broadcast_to(slack, (level,))
    if isinstance(x, jax.Array):
        return _track_in_jax(maps, x, jnp.asarray(slacks, x.dtype), inside, outside)
    state, inverses = _start(np, x), wide_inverses(*maps)
    for room in slacks:
        state = _step(np, inverses, state, inside + room, outside - room)
    return state[1], state[3]


@functools.partial(jax.jit, static_argnames="maps")
def _track_in_jax(maps: tuple[StaticArray, StaticArray], x: Any, slacks: Any, inside: Any, outside: Any) -> Any:
    inverses = wide_inverses(*maps)

    def step(state: Any, room: Any) -> tuple[Any, None]:
        return _step(jnp, inverses, state, inside + room, outside - room), None

    _, depth, _, decided = jax.lax.scan(step, _start(jnp, x), slacks)[0]
    return depth, decided


def _start(xp: Any, x: Any) -> tuple[Any, ...]:
    """Coordinates, depth, whether a point is inside still, and whether that is decided."""
    shape, coordinates = x.shape[:-1], [x[..., axis] for axis in range(x.shape[-1])]
    return coordinates, xp.zeros(shape, np.int32), xp.ones(shape, bool), xp.ones(shape, bool)


def _step(xp: Any, inverses: tuple[np.ndarray, np.ndarray], state: Any, inside: Any, outside: Any) -> Any:
    coordinates, depth, alive, decided = state
    excess, coordinates = nearest(xp, inverses, coordinates)
    stays = excess <= inside
    decided = decided & (~alive | stays | (excess >= outside))
    alive = alive & stays
    return coordinates, depth + alive.astype(np.int32), alive, decided


def nearest(xp: Any, inverses: tuple[np.ndarray, np.ndarray], coordinates: Sequence[Any]) -> tuple[Any, list[Any]]:
    """The least excess over all cells of the next level, and the coordinates in that cell.

    One array a coordinate: arrays with short axes are slow, and these fuse into one loop.
    """
    best, kept = None, list(coordinates)
    for matrix, shift in zip(*inverses, strict=True):
        u = [_affine(row, constant, coordinates) for row, constant in zip(matrix, shift, strict=True)]
        excess = functools.reduce(xp.maximum, [xp.abs(value) for value in u])
        if best is None:
            best, kept = excess, u
        else:
            nearer = excess < best
            best = xp.where(nearer, excess, best)
            kept = [xp.where(nearer, new, old) for new, old in zip(u, kept, strict=True)]
    return best - 1, kept  # pyright: ignore[reportOptionalOperand]


def _affine(row: np.ndarray, constant: Any, coordinates: Sequence[Any]) -> Any:
    kind = coordinates[0].dtype.type
    terms = [kind(weight) * x for weight, x in zip(row, coordinates, strict=True) if weight != 0]
    return functools.reduce(lambda a, b: a + b, terms) + kind(constant)


def tracking_slack(inverses: tuple[np.ndarray, np.ndarray], level: int, dtype: Any) -> np.ndarray:
    """How far tracked coordinates may be off at each level by the rounding of `track` itself."""
    u = float(jnp.finfo(dtype).eps)
    matrices, shifts = np.abs(inverses[0]).astype(float), np.abs(inverses[1]).astype(float)
    stretch = float(matrices.sum(axis=2).max())
    once = (matrices.shape[1] + 2) * u * float((matrices.sum(axis=2) + shifts).max() + 1)
    slacks, error = [], u
    for _ in range(level):
        error = min(stretch * error + once, 1.0)
        slacks.append(error)
    return np.array(slacks)
