"""Powers of two by which units can be scaled, and the order that they have by what they are."""

import math
from typing import Any

import numpy as np

from ..activations import AbstractActivation, Identity, Power, Square
from ._core import Rows, fits, in_order
from ._draft import Draft
from ._ranges import degree


def may_be_negative(kind: AbstractActivation) -> bool:
    """Whether the scale of a unit may be negative."""
    return type(kind) in (Identity, Square, Power)


def scales_of(units: Rows) -> np.ndarray:
    """For every unit the power of two, signed where it may be, over which its largest weight is in [1, 2).

    Its first weight is positive then, if the sign is free. 1 for units that can't be scaled or have no weights.
    """
    scales = np.ones(units.out_size)
    for unit, (_, values) in enumerate(units.parts()):
        kind = units.activations[unit]
        if len(values) and degree(kind) is not None:
            scale = math.ldexp(1.0, int(np.frexp(np.abs(values).max())[1]) - 1)
            scales[unit] = -scale if may_be_negative(kind) and values[0] < 0 else scale
    return scales


def scale(draft: Draft, index: int) -> bool:
    """Scale units so that their largest weight is in [1, 2), where all stays numbers of the dtype.

    A careful draft only turns signs: smaller sums may be flushed to zero, larger ones may overflow.
    """
    units, behind = draft.pair(index)
    scales = np.sign(scales_of(units)) if draft.careful else scales_of(units)
    powers = np.array([degree(kind) or 0 for kind in units.activations])
    values, bias = _times(units.values, scales[units.rows], -1), _times(units.bias, scales, -1)
    outgoing = _times(behind.values, scales[behind.cols], powers[behind.cols])
    good = (scales != 1) & _is_exact(units.bias, bias, draft.dtype)
    good &= np.bincount(units.rows, ~_is_exact(units.values, values, draft.dtype), units.out_size) == 0
    good &= np.bincount(behind.cols, ~_is_exact(behind.values, outgoing, draft.dtype), units.out_size) == 0
    if not np.any(good):
        return False
    scaled = units.with_entries(
        units.rows, units.cols, np.where(good[units.rows], values, units.values), bias=np.where(good, bias, units.bias)
    )
    outgoing = np.where(good[behind.cols], outgoing, behind.values)
    draft.put(index, scaled, behind.with_entries(behind.rows, behind.cols, outgoing))
    draft.flushed[index] |= bool(np.any(good & (np.abs(scales) != 1)))
    return True


def _times(values: np.ndarray, scales: np.ndarray, powers: np.ndarray | int) -> np.ndarray:
    """`values * scales^powers` for scales that are powers of two, rounded only where the result isn't normal."""
    exponents = (np.frexp(scales)[1] - 1) * powers
    with np.errstate(over="ignore", under="ignore"):
        return np.ldexp(values * np.sign(scales) ** np.abs(powers), exponents) + 0.0


def _is_exact(before: np.ndarray, after: np.ndarray, dtype: Any) -> np.ndarray:
    """Which scaled numbers are numbers of the dtype, and weren't lost."""
    return fits(after, dtype) & ((before == 0) == (after == 0))


def sort(draft: Draft, index: int) -> bool:
    """Put the units of a layer into the one order that they have by what they are, whatever is behind them."""
    units, behind = draft.pair(index)
    keys = [
        (kind.name(), tuple(cols.tolist()), tuple(values.tolist()), bias)
        for kind, (cols, values), bias in zip(units.activations, units.parts(), units.bias.tolist(), strict=True)
    ]
    order = np.array(sorted(range(units.out_size), key=keys.__getitem__))
    if np.array_equal(order, np.arange(len(order))):
        return False
    draft.put(index, *in_order(units, behind, order))
    return True
