"""Decoys: units that together give nothing, each like one that is there."""

import math
from typing import NamedTuple

import numpy as np

from ..activations import ReLU, Step
from ..rewrite._core import Rows, fits
from ..rewrite._ranges import degree
from .units import appended
from .work import Tag, Work

Ends = tuple[np.ndarray, np.ndarray]

# A group of every kind for so many units.
_SHARE = 8
_TRIES = 20


class Decoy(NamedTuple):
    """Units that together give nothing.

    Attributes:
        kind: as in `Answer`.
        like: the unit whose columns and weights behind it has.
        values: a row of weights, at the columns of that unit, a decoy.
        bias: of every decoy.
        factors: by what the weights behind that unit are multiplied, a decoy.
        slack: how far their sums are from 0 at least.
    """

    kind: str
    like: int
    values: list[np.ndarray]
    bias: list[float]
    factors: list[float]
    slack: float = math.inf


def add_decoys(work: Work, index: int, kinds: tuple[str, ...], held: Ends) -> None:
    """Add groups of decoys to a layer whose inputs lie between the ends `held`."""
    pair = work.pair(index)
    assert pair is not None
    units, behind = pair
    maker, made = _Maker(units, behind, held, work), []
    for kind in kinds:
        groups = [maker.decoy(kind) for _ in range(max(1, units.out_size // _SHARE))]
        made += [group for group in groups if group is not None]
    tags, like = list(work.tags[index]), []
    for group in made:
        tags += [Tag(group.kind, None, work.groups, group.slack)] * len(group.bias)
        work.groups += 1
        like += [group.like] * len(group.bias)
        if group.kind != "dead":
            work.rounds[index] = work.rounds[index + 1] = True
    work.put(index, appended(units, [_as_rows(units, group) for group in made]), _behind(behind, made), tags)


def _as_rows(units: Rows, group: Decoy) -> Rows:
    cols, count = units.cols[units.rows == group.like], len(group.bias)
    return units.picked(np.array([group.like])).with_entries(
        np.repeat(np.arange(count), len(cols)),
        np.tile(cols, count),
        np.concatenate(group.values),
        bias=np.array(group.bias),
        activations=(units.activations[group.like],) * count,
        gates=np.full(count, -1),
    )


def _behind(behind: Rows, made: list[Decoy]) -> Rows:
    """The layer behind, with the columns of decoys."""
    rows, cols, values, width = [behind.rows], [behind.cols], [behind.values], behind.in_size
    for group in made:
        mine = behind.cols == group.like
        for factor in group.factors:
            rows.append(behind.rows[mine])
            cols.append(np.full(int(mine.sum()), width))
            values.append(behind.values[mine] * factor)
            width += 1
    return behind.with_entries(np.concatenate(rows), np.concatenate(cols), np.concatenate(values), in_size=width)


class _Maker:
    """Makes decoys that are no units of the layer, up to positive factors, nor each other."""

    def __init__(self, units: Rows, behind: Rows, held: Ends, work: Work):
        self.units, self.behind, self.work, self.rng = units, behind, work, work.rng
        self.rows, (self.low, self.high) = units.parts(), held
        self.seen: set[tuple] = set()
        self.used = np.bincount(behind.cols, minlength=units.out_size) > 0
        for unit, bias in enumerate(units.bias):
            self._is_new(*self.rows[unit], bias)

    def decoy(self, kind: str) -> Decoy | None:
        """One group, or `None` where its kind can't be made."""
        able = [unit for unit in range(self.units.out_size) if self._is_able(kind, unit)]
        for _ in range(_TRIES if able else 0):
            group = self._drawn(kind, int(self.rng.choice(able)))
            if group is not None and self._is_stored(group):
                cols = self.rows[group.like][0]
                news = [self._is_new(cols, *row) for row in zip(group.values, group.bias, strict=True)]
                if all(news):
                    return _doubled(group) if kind == "cancelling" else group
        return None

    def _is_able(self, kind: str, unit: int) -> bool:
        is_cut = type(self.units.activations[unit]) in (ReLU, Step)
        return bool(self.used[unit]) and len(self.rows[unit][0]) > 0 and (is_cut or kind == "cancelling")

    def _is_new(self, cols: np.ndarray, values: np.ndarray, bias: float) -> bool:
        size = float(np.abs(values).max(initial=abs(bias))) or 1.0
        named = (*cols.tolist(), *(values / size).tolist(), bias / size)
        new = named not in self.seen
        self.seen.add(named)
        return new

    def _is_stored(self, group: Decoy) -> bool:
        outgoing = self.behind.values[self.behind.cols == group.like]
        numbers = np.concatenate([*group.values, group.bias, *(outgoing * factor for factor in group.factors)])
        return bool(np.all(fits(numbers, self.work.dtype)))

    def _varied(self, values: np.ndarray) -> np.ndarray:
        return values * self.rng.choice([-2.0, -1.0, 1.0, 2.0], len(values))

    def _drawn(self, kind: str, like: int) -> Decoy | None:
        """A group of a kind; the kinds that need it have a bias that outweighs all of the row."""
        cols, real = self.rows[like]
        values = self._varied(real)
        unit = power_above(float(np.abs(values).max()) / 2)
        if kind == "cancelling":
            bias = float(self.units.bias[like] + self.rng.choice([-1.0, -0.5, 0.5, 1.0]) * unit)
            return self._lowered(Decoy(kind, like, [values], [bias], [1.0]))
        lift, slack = self._lift(cols, values, unit)
        if not math.isfinite(lift):
            return None
        if kind == "dead":
            return Decoy(kind, like, [values], [-lift], [1.0], slack)
        if type(self.units.activations[like]) is Step:
            other = self._varied(real)
            second, more = self._lift(cols, other, unit)
            return Decoy(kind, like, [values, other], [lift, second], [1.0, -1.0], min(slack, more))
        lifts = [lift, 2 * lift, 3 * lift]
        return self._lowered(Decoy(kind, like, [values] * 3, lifts, [1.0, -2.0, 1.0], slack))

    def _lift(self, cols: np.ndarray, values: np.ndarray, least: float) -> tuple[float, float]:
        """A bias of at least `least` that outweighs the row twice, and what of it is left then."""
        moduli = self._moduli(cols, values)
        lift = max(power_above(2 * moduli), least)
        return lift, lift - 1.01 * moduli

    def _moduli(self, cols: np.ndarray, values: np.ndarray) -> float:
        """The largest sum of the moduli of a row's terms."""
        return float(np.abs(values) @ np.maximum(np.abs(self.low[cols]), np.abs(self.high[cols])))

    def _lowered(self, group: Decoy) -> Decoy:
        """With smaller weights behind where decoys give larger numbers than what they are like: those round more."""
        power = degree(self.units.activations[group.like]) or 0
        cols, real = self.rows[group.like]
        tops = [self._moduli(cols, row) + abs(bias) for row, bias in zip(group.values, group.bias, strict=True)]
        most, size = power_above(max(tops)), power_above(self._moduli(cols, real) + abs(self.units.bias[group.like]))
        if not (0 < most < math.inf and size > 0):
            return group
        factor = min(1.0, size / most) ** power
        return group._replace(factors=[factor * value for value in group.factors])


def _doubled(group: Decoy) -> Decoy:
    """Two of the one unit, of opposite weights behind."""
    (factor,) = group.factors
    return group._replace(values=group.values * 2, bias=group.bias * 2, factors=[factor, -factor])


def power_above(value: float) -> float:
    """A power of two at least a quarter above a number that isn't negative; 0 for 0."""
    if not math.isfinite(value):
        return math.inf
    return 2.0 ** math.ceil(math.log2(value * 1.25)) if value > 0 else 0.0
