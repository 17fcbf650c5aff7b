"""Changes of the units of one hidden layer that keep the function; what every unit is goes along."""

import jax.numpy as jnp
import numpy as np

from ..activations import Identity
from ..domains.floats import quanta
from ..rewrite._core import Rows, fits, in_order
from ..rewrite._ranges import degree
from .work import Tag, Work

# Rows are scaled by up to two to this power, and what a unit gives with them.
_LARGEST_EXPONENT = 4
# One in so many units is split.
_SPLIT = 4


def permute(work: Work, index: int) -> None:
    """Put the units of a layer in another order; units of one activation stay side by side."""
    pair = work.pair(index)
    if pair is None:
        return
    units, behind = pair
    kinds = list(dict.fromkeys(units.activations))
    order = work.rng.permutation(units.out_size)
    order = order[np.argsort([kinds.index(units.activations[unit]) for unit in order], kind="stable")]
    work.put(index, *in_order(units, behind, order), [work.tags[index][unit] for unit in order])


def scale(work: Work, index: int, reach: np.ndarray) -> None:
    """Multiply the rows of units by powers of two, and undo it behind them.

    `reach` bounds the sums of every unit: those that might overflow then aren't scaled.
    """
    pair = work.pair(index)
    if pair is None:
        return
    units, behind = pair
    degrees = [degree(activation) for activation in units.activations]
    exponents = work.rng.integers(0, [1 + (0 if d is None else _LARGEST_EXPONENT // max(d, 1)) for d in degrees])
    powers = np.array([0 if d is None else d for d in degrees])
    exponents[_is_unscalable(work, units, behind, exponents, powers, reach)] = 0
    up, down = np.ldexp(1.0, exponents), np.ldexp(1.0, -exponents * powers)
    work.put(
        index,
        units.with_entries(units.rows, units.cols, units.values * up[units.rows], bias=units.bias * up),
        behind.with_entries(behind.rows, behind.cols, behind.values * down[behind.cols]),
        [tag._replace(slack=tag.slack * factor) for tag, factor in zip(work.tags[index], up, strict=True)],
    )


def _is_unscalable(
    work: Work, units: Rows, behind: Rows, exponents: np.ndarray, powers: np.ndarray, reach: np.ndarray
) -> np.ndarray:
    """Units of which a weight, or what they give, would leave the normal numbers."""
    lost = np.zeros(units.out_size, bool)
    lost[units.rows[~fits(np.ldexp(units.values, exponents[units.rows]), work.dtype)]] = True
    lost[behind.cols[~fits(np.ldexp(behind.values, -(exponents * powers)[behind.cols]), work.dtype)]] = True
    with np.errstate(over="ignore"):
        given = np.ldexp(np.maximum(reach, 1.0), exponents) ** np.maximum(powers, 1)
    return lost | ~(given < float(jnp.finfo(work.dtype).max) / 4)


def split(work: Work, index: int, count: int) -> None:
    """Make two of some of the first `count` units: their weights behind are cut into parts that sum exactly."""
    pair = work.pair(index)
    assert pair is not None
    units, behind = pair
    able = np.unique(behind.cols[behind.cols < count])
    chosen = np.sort(work.rng.choice(able, min(len(able), max(1, count // _SPLIT)), replace=False))
    mine = np.isin(behind.cols, chosen)
    share = np.where(mine, _share(behind.values, work.rng), 0.0)
    rest = behind.values - share
    bad = mine & ~(fits(share, work.dtype) & fits(rest, work.dtype))
    chosen = np.setdiff1d(chosen, behind.cols[bad])
    if not len(chosen):
        return
    mine = np.isin(behind.cols, chosen)
    copies = np.searchsorted(chosen, behind.cols[mine]) + units.out_size
    work.rounds[index] = work.rounds[index + 1] = True
    tags = [tag._replace(kind="part") if unit in chosen else tag for unit, tag in enumerate(work.tags[index])]
    work.put(
        index,
        appended(units, [units.picked(np.array([unit])) for unit in chosen]),
        behind.with_entries(
            np.concatenate([behind.rows, behind.rows[mine]]),
            np.concatenate([behind.cols, copies]),
            np.concatenate([np.where(mine, rest, behind.values), share[mine]]),
            in_size=units.out_size + len(chosen),
        ),
        [*tags, *(tags[unit] for unit in chosen)],
    )


def _share(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A part of every number, such that it and the rest have no more digits than the number.

    Powers of two are halved, or cut into a quarter and three.
    """
    step = quanta(values)
    count = np.abs(values) / step
    some = np.floor(rng.uniform(size=len(values)) * np.maximum(count - 1, 0)) + 1
    share = np.where(count > 1, some * step, step * rng.choice([0.5, 0.25], len(values)))
    return np.sign(values) * share


def appended(units: Rows, more: list[Rows]) -> Rows:
    """A layer with units behind those that it has."""
    parts = [units, *more]
    starts = np.cumsum([0, *(part.out_size for part in parts[:-1])])
    return units.with_entries(
        np.concatenate([part.rows + first for part, first in zip(parts, starts, strict=True)]),
        np.concatenate([part.cols for part in parts]),
        np.concatenate([part.values for part in parts]),
        bias=np.concatenate([part.bias for part in parts]),
        activations=tuple(activation for part in parts for activation in part.activations),
        gates=np.concatenate([part.gates for part in parts]),
    )


def mixed(work: Work, index: int) -> bool:
    """Add units of a layer of linear ones to each other, and undo it behind them, if no weight rounds."""
    pair = work.pair(index)
    if pair is None or pair[0].out_size < 2 or any(type(kind) is not Identity for kind in pair[0].activations):
        return False
    units, behind = pair
    first, second = np.column_stack([units.matrix(), units.bias]), behind.matrix()
    order = work.rng.permutation(units.out_size)
    for target, source in zip(order, np.roll(order, 1), strict=True):
        sign = work.rng.choice([-1.0, 1.0])
        sums, rest = first[target] + sign * first[source], second[:, source] - sign * second[:, target]
        good = _is_sum(sums, first[target], sign * first[source]) and _is_sum(
            rest, second[:, source], -sign * second[:, target]
        )
        if not (good and np.all(fits(sums, work.dtype)) and np.all(fits(rest, work.dtype))):
            return False
        first[target], second[:, source] = sums, rest
    work.rounds[index] = work.rounds[index + 1] = True
    (rows, cols), (rows_behind, cols_behind) = np.nonzero(first[:, :-1]), np.nonzero(second)
    work.put(
        index,
        units.with_entries(rows, cols, first[rows, cols], bias=first[:, -1], gates=np.full(units.out_size, -1)),
        behind.with_entries(rows_behind, cols_behind, second[rows_behind, cols_behind]),
        [Tag("mixed")] * units.out_size,
    )
    return True


def _is_sum(total: np.ndarray, a: np.ndarray, b: np.ndarray) -> bool:
    """Whether a sum in double precision was not rounded: the rest of it is 0 (Knuth's two-sum)."""
    second = total - a
    return bool(np.all((a - (total - second)) + (b - second) == 0))
