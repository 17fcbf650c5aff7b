"""How much of a hidden structure was found."""

import dataclasses
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np

from .._checks import check_size
from .key import AnswerKey

Place = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Score:
    """How much of the structure an answer found, beside what chance finds.

    Attributes:
        matched: units that the answer puts where the key does, with its groups matched to gates as well as can be.
        units: how many units there are to be named.
        chance: the mean share of units that are matched where the names of the answer are dealt anew to the units of
            every layer, and `chance_deviation` its standard deviation.
        better: the share of those deals that match as many units or more.
        decoys: how many of the units are decoys; `named_decoys`: how many the answer calls so, and
            `found_decoys`: how many of them rightly.
        gates: how many gates there are; `exact_gates`: how many of them are groups of the answer, unit by unit.
        pairs: the groups of the answer with the gates `(layer, gate)` that they were matched to.
    """

    matched: int
    units: int
    chance: float
    chance_deviation: float
    better: float
    decoys: int
    named_decoys: int
    found_decoys: int
    gates: int
    exact_gates: int
    pairs: tuple[tuple[Hashable, Hashable], ...] = dataclasses.field(repr=False)

    @property
    def share(self) -> float:
        """The share of units that are matched."""
        return self.matched / self.units

    @property
    def adjusted(self) -> float:
        """The share above chance: 1 for all of it, 0 for what chance finds."""
        return float(self.share == 1) if self.chance >= 1 else (self.share - self.chance) / (1 - self.chance)

    def __str__(self) -> str:
        return (
            f"{self.matched} of {self.units} units ({self.share:.0%}; by chance {self.chance:.0%}), "
            f"{self.exact_gates} of {self.gates} gates unit by unit, "
            f"{self.found_decoys} of {self.decoys} decoys"
        )


def score(key: AnswerKey, answer: Mapping[Place, Hashable], *, shuffles: int = 200) -> Score:
    """How much of the structure of a disguised network a method found.

    The groups of the answer are matched to the gates of the key one to one, such that most units are matched
    (`scipy.optimize.linear_sum_assignment`). What the answer calls a decoy is matched with decoys alone.

    Args:
        key: the answer key of `dc.disguise`.
        answer: by place `(layer, unit)` any name for the group that the unit belongs to, the same for all its
            units, and `None` for decoys. Units that it leaves out aren't matched.
        shuffles: how often the answer's names are dealt anew for the chance level; the same deals every time.

    Returns:
        A `Score`.

    Raises:
        ValueError: places that aren't hidden units of the network, or none of which the key knows anything.
        TypeError: no answer key, or an answer that isn't a mapping.

    Cost:
        `shuffles` assignments of groups to gates.

    Example:
        >>> import deepconstruct as dc, jax
        >>> hidden, key = dc.disguise(dc.parity(8), key=jax.random.key(0))
        >>> dc.score(key, key.truth).share
        1.0
        >>> dc.score(key, {place: "all one" for place in key.truth}).adjusted
        0.0
    """
    if not isinstance(key, AnswerKey):
        raise TypeError(f"score: key must be an AnswerKey of dc.disguise; got {type(key).__name__}")
    if not isinstance(answer, Mapping):
        raise TypeError(f"score: answer must be a dict from places (layer, unit) to names; got {type(answer).__name__}")
    shuffles = check_size("score", "shuffles", shuffles)
    known, truth = {(row.layer, row.unit) for row in key}, key.truth
    for place in answer:
        if place not in known:
            raise ValueError(f"score: answer must name hidden units (layer, unit) of the network; got {place!r}")
    if not truth:
        raise ValueError("score: the units of all layers were mixed: there is nothing to be found")
    table = _Table(truth, answer)
    matched, pairs = table.match(table.names)
    rng = np.random.default_rng(0)
    dealt = np.array([table.match(table.shuffled(rng))[0] for _ in range(shuffles)])
    right, named = table.gates == table.decoy_gate, table.names == table.decoy_name
    return Score(
        matched=matched,
        units=len(truth),
        chance=float(dealt.mean()) / len(truth),
        chance_deviation=float(dealt.std()) / len(truth),
        better=float((dealt >= matched).mean()),
        decoys=int(right.sum()),
        named_decoys=int(named.sum()),
        found_decoys=int((right & named).sum()),
        gates=len(table.gate_list) - 1,
        exact_gates=table.exact(),
        pairs=tuple(pairs),
    )


class _Table:
    """Units with the gate of each, and the name that an answer gives it, as numbers; 0 for decoys, -1 for no name."""

    decoy_gate = decoy_name = 0

    def __init__(self, truth: Mapping[Place, Hashable], answer: Mapping[Place, Hashable]):
        places = list(truth)
        self.gate_list: list[Any] = list(dict.fromkeys([None, *truth.values()]))
        self.name_list: list[Any] = list(dict.fromkeys([None, *(answer[p] for p in places if p in answer)]))
        gates = {gate: number for number, gate in enumerate(self.gate_list)}
        names = {name: number for number, name in enumerate(self.name_list)}
        self.gates = np.array([gates[truth[place]] for place in places])
        self.names = np.array([names[answer[place]] if place in answer else -1 for place in places])
        layers = np.array([layer for layer, _ in places])
        self.layers = [np.flatnonzero(layers == layer) for layer in np.unique(layers)]

    def shuffled(self, rng: np.random.Generator) -> np.ndarray:
        """The names dealt anew within every layer."""
        names = self.names.copy()
        for units in self.layers:
            names[units] = names[rng.permutation(units)]
        return names

    def counts(self, names: np.ndarray) -> np.ndarray:
        """How many units have a name and a gate."""
        table = np.zeros((len(self.name_list), len(self.gate_list)), int)
        given = names >= 0
        np.add.at(table, (names[given], self.gates[given]), 1)
        return table

    def match(self, names: np.ndarray) -> tuple[int, list[tuple[Any, Any]]]:
        """How many units are matched, and the groups with their gates."""
        from scipy.optimize import linear_sum_assignment

        table = self.counts(names)
        rows, cols = linear_sum_assignment(table[1:, 1:], maximize=True)
        pairs = [(row + 1, col + 1) for row, col in zip(rows, cols, strict=True) if table[row + 1, col + 1]]
        total = int(table[0, 0] + sum(table[pair] for pair in pairs))
        return total, [(self.name_list[row], self.gate_list[col]) for row, col in pairs]

    def exact(self) -> int:
        """How many gates are groups, unit by unit."""
        table = self.counts(self.names)
        names, gates = table.sum(axis=1), np.bincount(self.gates, minlength=table.shape[1])
        same = (table == names[:, None]) & (table == gates[None, :]) & (table > 0)
        return int(same[1:, 1:].any(axis=0).sum())
