"""Networks while their units are being merged, dropped, scaled and sorted: all sums of weights stay exact."""

import math
from fractions import Fraction
from typing import Any

import numpy as np

from ..activations import AbstractActivation, Identity, Power, ReLU, Square, Step
from ..construction import Construction
from ..network import Layer, Network, flat_layers
from ._claims import kept_claim, rewritten
from ._core import Rows, fits, keeps_an_order, layer_of, rows_of


class Draft:
    """The layers of a network as rows, and what happened to them.

    Args:
        network: with repeated blocks, which are unrolled.
        dtype: what all weights must stay numbers of.
        careful: leaves out all steps after which a layer would round otherwise than the given network may.
    """

    def __init__(self, network: Network, dtype: Any, *, careful: bool = False):
        self.given, self.dtype, self.careful = flat_layers(network), dtype, careful
        self.network = network
        self.rows: list[Rows | None] = [self._read(layer) for layer in self.given]
        self.rounds, self.flushed = [False] * len(self.given), [False] * len(self.given)
        self.is_changed = False

    def _read(self, layer: Layer) -> Rows | None:
        return None if self.careful and keeps_an_order(layer.linear) else rows_of(layer)

    def hidden(self) -> list[int]:
        """The layers whose units may be changed: those that are known, before one that is known."""
        return [i for i in range(len(self.rows) - 1) if self.rows[i] is not None and self.rows[i + 1] is not None]

    def pair(self, index: int) -> tuple[Rows, Rows]:
        """A hidden layer and the one behind it."""
        units, behind = self.rows[index], self.rows[index + 1]
        assert units is not None
        assert behind is not None
        return units, behind

    def put(self, index: int, units: Rows, behind: Rows) -> None:
        self.rows[index], self.rows[index + 1], self.is_changed = units, behind, True

    def layers(self) -> tuple[Layer, ...]:
        """The layers as they are now."""
        pairs = zip(self.rows, self.given, strict=True)
        return tuple(like if rows is None else layer_of(rows, self.dtype, like=like) for rows, like in pairs)

    def finished(self) -> tuple[Network, list[bool]]:
        """The network, and which of its layers may round otherwise."""
        if not self.is_changed:
            return self.network, [False] * len(self.given)
        layers = self.layers()
        lost = [
            keeps_an_order(old.linear) and new.linear is not old.linear
            for old, new in zip(self.given, layers, strict=True)
        ]
        return Network(layers), [a or b for a, b in zip(self.rounds, lost, strict=True)]


def result(rule: str, given: Network | Construction, network: Network, change: Any, *, exact: bool = True) -> Any:
    """The network after `change(draft)`.

    With a claim, steps after which a layer rounds otherwise are only taken if they make it smaller, and if what they
    may round can be bounded.
    """
    if not isinstance(given, Construction):
        return rewritten(rule, given, _changed(network, change, careful=False)[0])
    found, keeping = _changed(network, change, careful=True)
    smaller, claimed = _changed(network, change, careful=False)
    claimed["exact"] = exact
    if _size(smaller) < _size(found) and kept_claim(given, smaller, **claimed) is not None:
        found, keeping = smaller, claimed
    return rewritten(rule, given, found, **keeping)


def _changed(network: Network, change: Any, *, careful: bool) -> tuple[Network, dict[str, Any]]:
    """The changed network, and what `kept_claim` must know of it."""
    draft = Draft(network, network.dtype, careful=careful)
    change(draft)
    found, rounds = draft.finished()
    return found, {"rounds": rounds, "flushed": draft.flushed}


def _size(network: Network) -> tuple[int, int]:
    """How many units and weights a network has."""
    layers = flat_layers(network)
    weights = (int(np.count_nonzero(np.asarray(layer.linear.entries()[2]))) for layer in layers)
    return sum(layer.out_size for layer in layers), sum(weights)


class Moves:
    """Units of a layer that are `factor` times another one plus a constant; -1 for no other unit at all."""

    def __init__(self, size: int):
        self.target, self.factor = np.arange(size), [Fraction(1)] * size
        self.constant = [Fraction(0)] * size

    def add(self, unit: int, target: int, factor: Fraction | int, constant: Fraction | int = 0) -> None:
        self.target[unit], self.factor[unit], self.constant[unit] = target, Fraction(factor), Fraction(constant)

    @property
    def moved(self) -> np.ndarray:
        return self.target != np.arange(len(self.target))

    def refuse(self, units: set[int]) -> None:
        for unit in units:
            self.add(unit, unit, 1)


def express(draft: Draft, index: int, moves: Moves, *, clean: bool, rounded: bool = False) -> bool:
    """Drop the moved units of a layer and give their weights to those that stand for them.

    Where a sum of weights isn't a number of the dtype, its units stay, unless it may be `rounded`. `clean` says that
    the constants are those of the running network too. Returns whether anything changed.
    """
    units, behind = draft.pair(index)
    while True:
        if not moves.moved.any() or _is_stub(units, behind):
            return False
        entries, bias, refused, rounds = _given(draft, behind, moves, clean, rounded)
        if not refused:
            break
        moves.refuse(refused)
    kept = np.flatnonzero(~moves.moved)
    if len(kept):
        units, place = units.picked(kept), np.cumsum(~moves.moved) - 1
    else:  # a layer has a unit
        units, place = units.picked(np.array([0])), np.zeros(units.out_size, int)
        nothing = np.zeros(0, int)
        units = units.with_entries(nothing, nothing, np.zeros(0), bias=np.zeros(1))
    rows, cols, values = entries
    draft.put(index, units, behind.with_entries(rows, place[cols], values, bias=bias, in_size=units.out_size))
    draft.rounds[index + 1] |= rounds
    return True


def _is_stub(units: Rows, behind: Rows) -> bool:
    """Whether a layer is the one unit that stands for none."""
    return units.out_size == 1 and not len(units.values) and not units.bias[0] and not len(behind.values)


def _given(draft: Draft, behind: Rows, moves: Moves, clean: bool, rounded: bool) -> tuple[Any, np.ndarray, set, bool]:
    """The weights behind a layer after moves, its biases, what is refused, and whether it rounds otherwise."""
    touched = moves.moved.copy()
    touched[moves.target[moves.moved & (moves.target >= 0)]] = True
    free = ~touched[behind.cols]
    rows, cols, values = (list(part[free]) for part in (behind.rows, behind.cols, behind.values))
    sums: dict[tuple[int, int], list[tuple[int, Fraction]]] = {}
    for row, col, value in zip(behind.rows[~free], behind.cols[~free], behind.values[~free].tolist(), strict=True):
        target, weight = int(moves.target[col]), Fraction(value)
        if target >= 0:
            sums.setdefault((int(row), target), []).append((int(col), weight * moves.factor[col]))
        if moves.constant[col]:
            sums.setdefault((int(row), -1), []).append((int(col), weight * moves.constant[col]))
    bias, refused, rounds = behind.bias.copy(), set(), False
    for (row, target), terms in sums.items():
        total = sum((part for _, part in terms), start=Fraction(bias[row]) if target < 0 else Fraction(0))
        number, anew = float(np.asarray(_float(total), draft.dtype)), not _is_clean(terms, target, clean)
        good = bool(fits(np.array([number]), draft.dtype)[0]) and (rounded or Fraction(number) == total)
        if not good or (anew and draft.careful):
            refused |= {col for col, _ in terms if moves.target[col] != col}
            continue
        rounds |= anew
        if target < 0:
            bias[row] = number
        else:
            rows.append(row), cols.append(target), values.append(number)
    entries = np.array(rows, int), np.array(cols, int), np.array(values, float)
    return entries, bias, refused, rounds or not clean


def _float(value: Fraction) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _is_clean(terms: list[tuple[int, Fraction]], target: int, clean: bool) -> bool:
    """Whether the given network may run so, too: one product, or two that are equal or don't round."""
    if target < 0 or len(terms) == 1:
        return clean
    if len(terms) > 2:
        return False
    (_, a), (_, b) = terms
    return abs(a) == abs(b) or all(part == 0 or np.frexp(float(part))[0] in (0.5, -0.5) for part in (a, b))


def degree(activation: AbstractActivation) -> int | None:
    """What power of a scale goes through an activation: 0 where none does but the unit may be scaled."""
    if type(activation) in (Identity, ReLU):
        return 1
    if type(activation) is Step:
        return 0
    if type(activation) is Square:
        return 2
    return activation.n if type(activation) is Power else None


def is_odd(activation: AbstractActivation) -> bool:
    """Whether the scale may be negative."""
    return type(activation) in (Identity, Square, Power)


def row_parts(units: Rows) -> list[tuple[np.ndarray, np.ndarray]]:
    """Columns and values of every row."""
    cuts = np.searchsorted(units.rows, np.arange(1, units.out_size))
    return list(zip(np.split(units.cols, cuts), np.split(units.values, cuts), strict=True))


def scales_of(units: Rows) -> np.ndarray:
    """For every unit the power of two, with a sign where it may have one, over which its largest weight is in [1, 2).

    1 for units that can't be scaled, and for those without weights.
    """
    scales = np.ones(units.out_size)
    for unit, (_, values) in enumerate(row_parts(units)):
        kind = units.activations[unit]
        if len(values) and degree(kind) is not None:
            scale = math.ldexp(1.0, int(np.frexp(np.abs(values).max())[1]) - 1)
            scales[unit] = -scale if is_odd(kind) and values[0] < 0 else scale
    return scales
