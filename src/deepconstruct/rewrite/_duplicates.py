"""Units that are the same up to a factor, or that differ by a constant where they are active."""

from collections.abc import Hashable
from fractions import Fraction
from typing import Any

import numpy as np

from .._checks import check_flag
from ..activations import Identity, ReLU
from ._core import Rows, fits
from ._dead import Ends, asked, drop_unused
from ._draft import Draft, Moves, degree, express, is_odd, result, row_parts, scales_of


def merge_duplicates(network: Any, *, rounded: bool = False) -> Any:
    """The same function with units that are multiples of each other made one.

    Units of one activation whose weights and biases agree up to a positive factor (of identities, squares and powers
    up to a sign, too; where an activation lets no factor through, exactly) give the same up to a factor: the weights
    behind them are summed up. Units whose sum is 0 everywhere go.

    Args:
        network: a `Network` or a `Construction`.
        rounded: whether sums of weights may be rounded. By default units whose sums aren't numbers of the dtype
            stay apart.

    Returns:
        The same kind; repeated blocks are unrolled if anything changes. A claim is kept, or what other sums may
        round is added to it; units stay apart where that can't be bounded.

    Raises:
        TypeError: neither a network nor a construction, or complex weights.

    Exactness: the same function over the reals, everywhere, unless `rounded`.

    Cost: neurons and synapses never grow.

    Example:
        >>> import deepconstruct as dc
        >>> net = dc.Network.from_matrices([[[1], [2]], [[1, 1]]], [[1, 2], None], "relu")
        >>> dc.rewrite.merge_duplicates(net).layers[1].linear.weight.tolist()
        [[3.0]]
    """
    check_flag("merge_duplicates", "rounded", rounded)
    source, _ = asked("merge_duplicates", network, None)

    def change(draft: Draft) -> None:
        changed = True
        while changed:
            changed = False
            for index in draft.hidden():
                changed |= merge_equal(draft, index, any_factor=True, rounded=rounded and not draft.careful)
            for index in reversed(draft.hidden()):
                changed |= drop_unused(draft, index)

    return result("merge_duplicates", network, source, change, exact=not rounded)


def merge_equal(draft: Draft, index: int, *, any_factor: bool = False, rounded: bool = False) -> bool:
    """Merge units of a layer that agree up to a power of two, or up to any factor."""
    units = draft.pair(index)[0]
    first: dict[Hashable, tuple[int, Fraction]] = {}
    moves = Moves(units.out_size)
    for unit, (scale, key) in enumerate(_keys(units, any_factor)):
        kept, own = first.setdefault(key, (unit, scale))
        if kept != unit:
            power = degree(units.activations[unit])
            moves.add(unit, kept, 1 if power is None else (scale / own) ** power)
    return express(draft, index, moves, clean=True, rounded=rounded)


def _keys(units: Rows, any_factor: bool) -> list[tuple[Fraction, Hashable]]:
    """For every unit a scale, and what it is without it."""
    found: list[tuple[Fraction, Hashable]] = []
    scales = scales_of(units)
    for unit, (cols, values) in enumerate(row_parts(units)):
        kind, scale = units.activations[unit], Fraction(scales[unit])
        if any_factor and len(values) and degree(kind) is not None:
            scale = Fraction(float(values[0])) if is_odd(kind) else abs(Fraction(float(values[0])))
        numbers = tuple(Fraction(value) / scale for value in [*values.tolist(), float(units.bias[unit])])
        found.append((scale, (repr(kind), tuple(cols.tolist()), numbers)))
    return found


def merge_active(draft: Draft, index: int, sums: Ends) -> bool:
    """Merge units without a kink on their sums, of one direction: they differ by a constant."""
    units = draft.pair(index)[0]
    scales, groups = scales_of(units), {}
    for unit, (cols, values) in enumerate(row_parts(units)):
        kind = units.activations[unit]
        if len(values) and (type(kind) is Identity or (type(kind) is ReLU and sums[0][unit] >= 0)):
            key = repr(kind), tuple(cols.tolist()), tuple((values / scales[unit]).tolist())
            groups.setdefault(key, []).append(unit)
    moves = Moves(units.out_size)
    for members in groups.values():
        ratios = {unit: Fraction(float(units.bias[unit])) / Fraction(scales[unit]) for unit in members}
        kept = min(members, key=lambda unit: (ratios[unit], unit))  # the rest have larger biases
        for unit in members:
            if unit != kept:
                scale = Fraction(scales[unit])
                moves.add(unit, kept, scale / Fraction(scales[kept]), scale * (ratios[unit] - ratios[kept]))
    return not draft.careful and express(draft, index, moves, clean=False)


def scale(draft: Draft, index: int) -> bool:
    """Scale every unit by a power of two so that its largest weight is in [1, 2), where all stays numbers."""
    units, behind = draft.pair(index)
    scales = scales_of(units)
    if draft.careful:
        scales = np.where(np.abs(scales) > 1, 1.0, scales)  # smaller sums may be flushed
    powers = np.array([degree(kind) or 0 for kind in units.activations])
    with np.errstate(all="ignore"):
        values, bias = units.values / scales[units.rows], units.bias / scales
        outgoing = behind.values * (scales**powers)[behind.cols]
        good = fits(bias, draft.dtype)
        good &= np.bincount(units.rows, ~fits(values, draft.dtype), units.out_size) == 0
        good &= np.bincount(behind.cols, ~fits(outgoing, draft.dtype), units.out_size) == 0
    good &= scales != 1
    if not np.any(good):
        return False
    units = units.with_entries(
        units.rows, units.cols, np.where(good[units.rows], values, units.values), bias=np.where(good, bias, units.bias)
    )
    changed = np.where(good[behind.cols], outgoing, behind.values)
    draft.put(index, units, behind.with_entries(behind.rows, behind.cols, changed))
    draft.flushed[index] |= bool(np.any(good & (np.abs(scales) > 1)))
    return True


def sort(draft: Draft, index: int) -> bool:
    """Put the units of a layer into the one order that they have by what they are."""
    units, behind = draft.pair(index)
    parts = row_parts(units)
    keys = [
        (repr(kind), tuple(c.tolist()), tuple(v.tolist()), float(units.bias[unit]))
        for unit, ((c, v), kind) in enumerate(zip(parts, units.activations, strict=True))
    ]
    order = np.array(sorted(range(units.out_size), key=keys.__getitem__))
    place = np.argsort(order)
    if np.array_equal(order, place) and np.array_equal(order, np.arange(len(order))):
        return False
    draft.put(index, units.picked(order), behind.with_entries(behind.rows, place[behind.cols], behind.values))
    return True
