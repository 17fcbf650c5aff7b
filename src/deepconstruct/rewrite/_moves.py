"""Units of a draft that others stand for: the weights behind them, as exact sums."""

import dataclasses
import math
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import jax.numpy as jnp
import numpy as np

from .._arithmetic.rounding import is_power_of_two
from ..activations import Identity
from ..domains.floats import quanta
from ._core import Rows, fits
from ._draft import Draft


class Moves:
    """Units of a layer that are `factor` times another one plus a constant; -1 stands for no other unit at all."""

    def __init__(self, size: int):
        self.target, self.factor = np.arange(size), [Fraction(1)] * size
        self.constant = [Fraction(0)] * size

    def add(self, unit: int, target: int, factor: Fraction | int, constant: Fraction | int = 0) -> None:
        self.target[unit], self.factor[unit], self.constant[unit] = target, Fraction(factor), Fraction(constant)

    @property
    def moved(self) -> np.ndarray:
        return self.target != np.arange(len(self.target))

    @property
    def touched(self) -> np.ndarray:
        """Those that are moved, and those that stand for them."""
        touched = self.moved
        touched[self.target[touched & (self.target >= 0)]] = True
        return touched

    def refuse(self, units: Iterable[int]) -> None:
        for unit in units:
            self.add(unit, unit, 1)


def express(draft: Draft, index: int, moves: Moves, *, clean: bool, rounded: bool = False) -> bool:
    """Drop the moved units of a layer, and give their weights to those that stand for them.

    Where a sum of weights isn't a number of the dtype, its units stay, unless it may be `rounded`. `clean` says that
    moved units are what `moves` says in the running network, too. Returns whether anything changed.
    """
    units, behind = draft.pair(index)
    if _is_stub(units, behind):
        return False
    while moves.moved.any():
        sums = _Sums(draft, behind, moves, clean=clean, rounded=rounded)
        if not sums.refused:
            kept = _kept(units, moves)
            place = np.maximum(np.cumsum(~moves.moved) - 1, 0)
            cols = place[np.array(sums.cols, int)]
            behind = behind.with_entries(
                np.array(sums.rows, int), cols, np.array(sums.values, float), bias=sums.bias, in_size=kept.out_size
            )
            draft.put(index, kept, behind)
            draft.rounds[index + 1] |= sums.rounds
            return True
        moves.refuse(sums.refused)
    return False


def _is_stub(units: Rows, behind: Rows) -> bool:
    """Whether a layer is the one unit that stands for none."""
    return units.out_size == 1 and not len(units.values) and not units.bias[0] and not len(behind.values)


def _kept(units: Rows, moves: Moves) -> Rows:
    """The units that stay, each of the first gate that it serves now; a layer keeps one, if only an empty one."""
    gates = units.gates.copy()
    for unit in np.flatnonzero(moves.moved & (moves.target >= 0)).tolist():
        served = [gate for gate in gates[[unit, moves.target[unit]]].tolist() if gate >= 0]
        gates[moves.target[unit]] = min(served, default=-1)
    units = dataclasses.replace(units, gates=gates)
    kept = np.flatnonzero(~moves.moved)
    if len(kept):
        return units.picked(kept)
    none = np.zeros(0, int)
    empty = {"bias": np.zeros(1), "gates": np.array([-1]), "activations": (Identity(),)}
    return units.picked(np.array([0])).with_entries(none, none, np.zeros(0), **empty)


class _Sums:
    """The weights and biases behind a layer after moves.

    Attributes:
        rows, cols, values: the weights, columns as before; `bias`: the biases.
        refused: moved units of which a weight or a bias can't be told.
        rounds: whether the layer may round otherwise than before.
    """

    def __init__(self, draft: Draft, behind: Rows, moves: Moves, *, clean: bool, rounded: bool):
        self.draft, self.moves, self.may_round = draft, moves, rounded
        free = ~moves.touched[behind.cols]
        self.rows, self.cols, self.values = (
            list(part[free]) for part in (behind.rows, behind.cols, behind.values.astype(float))
        )
        self.bias, self.refused, self.rounds = behind.bias.copy(), set(), not clean
        weights, constants = self._terms(behind, ~free)
        for (row, target), terms in weights.items():
            self._add_weight(row, target, terms)
        for row, terms in constants.items():
            self._add_bias(row, terms)

    def _terms(self, behind: Rows, touched: np.ndarray) -> tuple[dict, dict]:
        """What every weight, and every bias, is the sum of: pairs of a column and a number."""
        weights: dict[tuple[int, int], list[tuple[int, Fraction]]] = {}
        constants: dict[int, list[tuple[int, Fraction]]] = {}
        for row, col, value in zip(*(part[touched].tolist() for part in _triple(behind)), strict=True):
            target, weight = int(self.moves.target[col]), Fraction(value)
            if target >= 0:
                weights.setdefault((row, target), []).append((col, weight * self.moves.factor[col]))
            if self.moves.constant[col]:
                constants.setdefault(row, []).append((col, weight * self.moves.constant[col]))
        return weights, constants

    def _add_weight(self, row: int, target: int, terms: list[tuple[int, Fraction]]) -> None:
        parts = [part for _, part in terms]
        is_stored = [col for col, _ in terms] == [target]
        number = float(parts[0]) if is_stored else self._number(sum(parts), terms, _is_one_sum(parts))
        if number is not None:
            self.rows.append(row)
            self.cols.append(target)
            self.values.append(number)

    def _add_bias(self, row: int, terms: list[tuple[int, Fraction]]) -> None:
        parts = [Fraction(self.bias[row]), *(part for _, part in terms)]
        number = self._number(sum(parts), terms, _is_on_a_grid(parts, self.draft.dtype))
        if number is not None:
            self.bias[row] = number

    def _number(self, total: Any, terms: list[tuple[int, Fraction]], is_clean: bool) -> float | None:
        """A sum as a number of the dtype; `None` if it is refused."""
        number = nearest(total, self.draft.dtype)
        good = bool(fits(np.array([number]), self.draft.dtype)[0]) and (self.may_round or Fraction(number) == total)
        if not good or (self.draft.careful and not is_clean):
            self.refused |= {col for col, _ in terms if self.moves.target[col] != col}
            return None
        self.rounds |= not is_clean or Fraction(number) != total
        return number


def _triple(rows: Rows) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return rows.rows, rows.cols, rows.values


def nearest(value: Fraction, dtype: Any) -> float:
    """The number of a dtype next to another one; infinite beyond its range."""
    try:
        with np.errstate(over="ignore", under="ignore"):
            return float(np.asarray(float(value)).astype(dtype))
    except OverflowError:
        return math.inf


def _is_one_sum(parts: list[Fraction]) -> bool:
    """Whether one product of a unit with a sum of weights rounds as the sum of its products may.

    It does for one weight, for two that are equal or opposite, and for two products that don't round.
    """
    if len(parts) > 2:
        return False
    return len(parts) == 1 or abs(parts[0]) == abs(parts[1]) or all(map(is_power_of_two, parts))


def _is_on_a_grid(parts: list[Fraction], dtype: Any) -> bool:
    """Whether no sum of some of these numbers rounds in a dtype."""
    numbers = np.array([nearest(part, np.float64) for part in parts if part])
    info = jnp.finfo(dtype)
    if not all(map(_is_double, parts)) or not np.isfinite(numbers).all():
        return False
    step, total = float(quanta(numbers).min(initial=np.inf)), float(np.abs(numbers).sum())
    return total == 0 or (step >= float(info.tiny) and total <= min(step * 2.0**info.nmant, float(info.max)))


def _is_double(value: Fraction) -> bool:
    return Fraction(nearest(value, np.float64)) == value if abs(value) < 2**1000 else False
