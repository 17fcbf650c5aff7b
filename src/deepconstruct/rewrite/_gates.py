"""Gates on a finite domain: integers that their sums count, and the same gates of other activations.

On the domain the sum of a gate, without its bias `b`, is `q k` with integers `k`, where `q` is the greatest common
divisor of its weights times the grids of what it takes. So the gate is on for `k >= t`, the least integer above
`-b / q`: its threshold. With `[.]` 1 for what is true, and `high` the largest `k`,

    [k >= t] = relu(k - t + 1) - relu(k - t) = step(k - t + 1/2),
    relu(q k + b) = (q t + b) [k >= t] + q [k >= t + 1] + ... + q [k >= high].
"""

import itertools
import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from ..activations import AbstractActivation, Identity, ReLU, Sigmoid, Step
from ..domains import AbstractDomain

Weights = dict[int, Fraction]
# Sums of units of one count are followed value by value up to so many.
_MOST_VALUES = 2**16


class Unit(NamedTuple):
    """A unit: its weights by what they are of, bias and activation."""

    weights: Weights
    bias: Fraction
    activation: AbstractActivation


# Units, each with the number that it is multiplied by, whose sum is another unit.
Terms = list[tuple[Unit, Fraction]]
# The same, with the places of these units in a layer.
Columns = list[tuple[int, Fraction]]


class Count(NamedTuple):
    """The sums of a unit on the domain: `grid * k + bias` for integers `low <= k <= high`, where `k = weights . x`.

    They are positive for `k >= threshold`; that is `low` where all are, and `high + 1` where none is.
    """

    weights: Weights
    grid: Fraction
    bias: Fraction
    low: int
    high: int
    threshold: int

    @property
    def levels(self) -> int:
        """How many of the integers are positive sums."""
        return self.high + 1 - self.threshold

    def held(self, activation: AbstractActivation, *, stays: bool) -> "Held":
        """What the unit holds behind a step, a ReLU or nothing.

        The grid of one that `stays` is a power of two: weights of it are divided by others', and must stay floats.
        """
        low, high = (self.behind(activation, k) for k in (self.low, self.high))
        grid = common_grid([Fraction(1)] if type(activation) is Step else [self.grid, self.bias])
        if stays:
            grid = Fraction(grid.numerator & -grid.numerator, grid.denominator)
        return Held(grid if low or high else Fraction(0), low, high, self, activation)

    def behind(self, activation: AbstractActivation, k: int) -> Fraction:
        """What the unit holds where its sum counts `k`."""
        if type(activation) is Step:
            return Fraction(int(k >= self.threshold))
        value = self.grid * k + self.bias
        return max(value, Fraction(0)) if type(activation) is ReLU else value

    def as_relus(self) -> Terms:
        """A step, as ReLUs: none where it is never on."""
        if not self.levels:
            return []
        kinks = [(1 - self.threshold, Fraction(1)), (-self.threshold, Fraction(-1))]
        # The second is never on where the threshold is the largest sum.
        return [(Unit(self.weights, Fraction(bias), ReLU()), sign) for bias, sign in kinks[: min(self.levels, 2)]]

    def as_steps(self) -> Terms:
        """A ReLU, as one step for every positive value."""
        first = self.grid * self.threshold + self.bias
        heights = [first if place == 0 else self.grid for place in range(self.levels)]
        half = Fraction(1, 2) - self.threshold
        return [(Unit(self.weights, half - place, Step()), height) for place, height in enumerate(heights)]

    def as_sigmoid(self, activation: Sigmoid, gain: Fraction) -> Terms:
        """A step, as one sigmoid, whose sums are `gain / 2` or more from 0 on the step's side."""
        weights = {col: gain * weight for col, weight in self.weights.items()}
        return [(Unit(weights, gain * (Fraction(1, 2) - self.threshold), activation), Fraction(1))]


class Held(NamedTuple):
    """What a unit holds on the domain: multiples of `grid` in `[low, high]`; where that is 0, only 0.

    `sums` and `activation` say of what; inputs have none.
    """

    grid: Fraction
    low: Fraction
    high: Fraction
    sums: Count | None = None
    activation: AbstractActivation | None = None


def count_of(unit: Unit, held: Sequence[Held]) -> Count:
    """What the sums of a unit count, if it takes what is held. Weights of what is always 0 are left out."""
    weights = {col: weight for col, weight in unit.weights.items() if held[col].grid}
    grid = common_grid(weight * held[col].grid for col, weight in weights.items()) or Fraction(1)
    ends = [_range(terms) for terms in _together(weights, held)]
    low, high = math.floor(sum(end for end, _ in ends) / grid), math.ceil(sum(end for _, end in ends) / grid)
    threshold = min(max(math.floor(-unit.bias / grid) + 1, low), high + 1)
    counted = {col: weight / grid for col, weight in weights.items()}
    return Count(counted, grid, unit.bias, low, high, threshold)


def _together(weights: Weights, held: Sequence[Held]) -> list[list[tuple[Fraction, Held]]]:
    """Weights and what they are of, those together that are of the same count."""
    found: dict[Any, list[tuple[Fraction, Held]]] = {}
    for col, weight in weights.items():
        count = held[col].sums
        key = col if count is None else tuple(count.weights.items())
        found.setdefault(key, []).append((weight, held[col]))
    return list(found.values())


def _range(terms: list[tuple[Fraction, Held]]) -> tuple[Fraction, Fraction]:
    """Bounds of a sum of units of the same count: of its values where these are few, else of all units apart."""
    count = terms[0][1].sums
    if count is not None and len(terms) > 1 and len(terms) * (count.high - count.low) < _MOST_VALUES:
        totals = [sum((weight * _at(unit, k) for weight, unit in terms), Fraction(0))
                  for k in range(count.low, count.high + 1)]  # fmt: skip
        return min(totals), max(totals)
    ends = [sorted((weight * unit.low, weight * unit.high)) for weight, unit in terms]
    return sum((end for end, _ in ends), Fraction(0)), sum((end for _, end in ends), Fraction(0))


def _at(unit: Held, k: int) -> Fraction:
    assert unit.sums is not None
    assert unit.activation is not None
    return unit.sums.behind(unit.activation, k)


def common_grid(numbers: Iterable[Fraction]) -> Fraction:
    """The largest number of which all are multiples; 0 where there are none but 0."""
    parts = [number for number in numbers if number]
    if not parts:
        return Fraction(0)
    return Fraction(math.gcd(*(n.numerator for n in parts)), math.lcm(*(n.denominator for n in parts)))


def inputs_of(domain: AbstractDomain) -> list[Held]:
    """What the inputs hold, on a domain whose coordinates have a grid."""
    return [
        Held(Fraction(0 if math.isinf(step) else step), Fraction(low), Fraction(high))
        for step, low, high in zip(domain.steps().tolist(), *(end.tolist() for end in domain.box()), strict=True)
    ]


def spread(weights: Weights, columns: Sequence[Columns]) -> Weights:
    """Weights of units, as weights of the units that these became."""
    found: Weights = {}
    for col, weight in weights.items():
        for place, factor in columns[col]:
            found[place] = found.get(place, Fraction(0)) + weight * factor
    return {place: weight for place, weight in sorted(found.items()) if weight}


class Made:
    """The units of a new layer with their gates, and what those of the old one `became`: sums of some of them.

    Equal units are made once, but for outputs.
    """

    def __init__(self, columns: list[Columns], *, is_last: bool):
        self.columns, self.is_last = columns, is_last
        self.units: list[Unit] = []
        self.gates: list[int] = []
        self.became: list[Columns] = []
        self._places: dict[Any, int] = {}

    def add(self, terms: Terms, gate: int) -> None:
        self.became.append([(self._place(part, gate), factor) for part, factor in terms])

    def _place(self, unit: Unit, gate: int) -> int:
        unit = unit._replace(weights=spread(unit.weights, self.columns))
        key = len(self.units) if self.is_last else (tuple(unit.weights.items()), unit.bias, unit.activation)
        place = self._places.setdefault(key, len(self.units))
        if place == len(self.units):
            self.units.append(unit)
            self.gates.append(gate)
        return place


def drop_unused_units(layers: list[Made]) -> None:
    """Drop hidden units that nothing uses; a layer keeps one, if only an empty one."""
    for made, behind in reversed(list(itertools.pairwise(layers))):
        used = sorted({col for unit in behind.units for col in unit.weights})
        place = {col: number for number, col in enumerate(used)}
        made.units = [made.units[col] for col in used] or [Unit({}, Fraction(0), Identity())]
        made.gates = [made.gates[col] for col in used] or [-1]
        behind.units = [
            unit._replace(weights={place[col]: weight for col, weight in unit.weights.items()}) for unit in behind.units
        ]
