"""Networks as levels of wires, and how meanings and errors go up from level to level.

A wire is a number that is passed on: an input, or a sum of units that are read together. Wire `i` of a
level is `sum_k V_ik f_k(A_k w + b_k) + c_i` of the wires `w` below, kept as a `Gate`. A method says what
polynomial `G_i(w)` that is over the reals, and by how much the running gate is off it, for all floats
`w` with `|w_j| <= B_j + e_j`. Then with the meaning `P_j` of the wires below, polynomials of the inputs,

    meaning P_i = G_i(P_1, P_2, ...),     error e_i = own error + sum_a |g_a| ((B + e)^a - B^a),

where `g_a` are the coefficients of `G_i`, and `B_j` bounds `|P_j|`. All of this is done in rationals.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction

import numpy as np

from ..._arithmetic.intervals import bias_array
from ...activations import AbstractActivation, Identity as NoActivation, Softmax, groups
from ...linear import AbstractLinear, Butterfly, Composed, DirectSum, Identity, SignProduct, Stack
from ...linear.queries import nonzeros, real_entries
from ...linear.signs import LEAST_HELD
from ...network import UNITS_HELD, Layer, Network, flat_layers
from .monomials import Budget, Poly, Unknown, compose, moved, size, up, variable

_MOST_WEIGHTS = 2**18
_SUMS = (DirectSum, Stack)


@dataclasses.dataclass(frozen=True, eq=False)
class Gate:
    """`constant + sum_k readout_k f_k(weights_k w + biases_k)` of some wires `w` below.

    Without hidden units it is `constant + sum_k readout_k w_k`; weights, biases and activations are empty.

    Attributes:
        wires: which wires.
        weights: shape `(units, wires)`, in double precision, which holds them.
        biases, readout: one a unit.
        activations: one a unit.
        constant: added in the end.
        halvings: after how many halvings pairs of units are summed up; -1 if in any order.
    """

    wires: tuple[int, ...]
    weights: np.ndarray
    biases: np.ndarray
    activations: tuple[AbstractActivation, ...]
    readout: np.ndarray
    constant: float
    halvings: int

    @property
    def is_linear(self) -> bool:
        return not self.activations and len(self.readout) == len(self.wires)

    @property
    def key(self) -> tuple:
        """Equal for gates that differ in their wires alone."""
        arrays = (self.weights, self.biases, self.readout)
        functions = tuple(map(id, self.activations))
        return (*(a.tobytes() for a in arrays), self.weights.shape, functions, self.constant, self.halvings)


@dataclasses.dataclass(frozen=True, eq=False)
class Stage:
    """A linear map, its bias, and an activation a unit: the non-zero weights of every row."""

    columns: list[np.ndarray]
    weights: list[np.ndarray]
    bias: np.ndarray
    activations: tuple[AbstractActivation, ...]
    halvings: np.ndarray

    @property
    def is_linear(self) -> bool:
        return all(type(part) is NoActivation for part in self.activations)


@dataclasses.dataclass(frozen=True, eq=False)
class Level:
    """Hidden units, and the wires that are read from them; without hidden units, sums of the wires below."""

    hidden: Stage | None
    readout: Stage

    def gates(self) -> Iterator[Gate]:
        """The gate of every wire of the level."""
        for row, (units, shares) in enumerate(zip(self.readout.columns, self.readout.weights, strict=True)):
            constant, halvings = float(self.readout.bias[row]), int(self.readout.halvings[row])
            if self.hidden is None:
                none = np.zeros(0)
                yield Gate(tuple(units.tolist()), none, none, (), shares, constant, halvings)
            else:
                yield _gate(self.hidden, units, shares, constant, halvings)


def _gate(hidden: Stage, units: np.ndarray, shares: np.ndarray, constant: float, halvings: int) -> Gate:
    columns = [hidden.columns[unit] for unit in units]
    wires = np.unique(np.concatenate(columns)) if columns else np.zeros(0, int)
    weights = np.zeros((len(units), len(wires)))
    for row, (unit, places) in enumerate(zip(units, columns, strict=True)):
        weights[row, np.searchsorted(wires, places)] = hidden.weights[unit]
    activations = tuple(hidden.activations[unit] for unit in units)
    return Gate(tuple(wires.tolist()), weights, hidden.bias[units], activations, shares, constant, halvings)


def too_large(network: Network) -> str | None:
    """Why the weights of a network aren't followed one by one."""
    maps = [part for layer in flat_layers(network) for part in _plain(layer.linear)]
    if any(type(part) is Butterfly for part in maps):
        return "it doesn't know how butterflies are merged"
    if sum(map(nonzeros, maps)) > _MOST_WEIGHTS:
        return f"it needs a network of at most {_MOST_WEIGHTS:,} weights"
    return None


def _plain(linear: AbstractLinear) -> list[AbstractLinear]:
    """The maps that a map is made of."""
    if isinstance(linear, Composed):
        return [*_plain(linear.inner), *_plain(linear.outer)]
    return [part for inner in linear.parts for part in _plain(inner)] if isinstance(linear, _SUMS) else [linear]


# From networks -------------------------------------------------------------------------------------


def levels_of(network: Network) -> list[Level]:
    """The levels of a network of this library's classes, without the softmax that may stand at its end.

    Raises:
        Unknown: there is a softmax elsewhere.
    """
    *hidden, last = flat_layers(network)
    if type(last.activation) is Softmax:
        last = Layer(last.linear, last.bias, NoActivation(), last.label)
    stages = [stage for layer in (*hidden, last) for stage in _stages(layer)]
    if any(type(part) is Softmax for stage in stages for part in stage.activations):
        raise Unknown("a softmax may stand at the end of the network only")
    levels: list[Level] = []
    while stages:
        first = stages.pop(0)
        if first.is_linear:
            levels.append(Level(None, first))
        elif stages and stages[0].is_linear:
            levels.append(Level(first, stages.pop(0)))
        else:
            levels.append(Level(first, _copies(len(first.bias))))
    return levels


def _stages(layer: Layer) -> Iterator[Stage]:
    """The maps of a layer one by one: what is between two of them is rounded."""
    parts = [[part] * width for part, width in groups(layer.activation, layer.out_size)]
    activations = tuple(part for group in parts for part in group)
    *inner, last = split(layer.linear, [type(part) is NoActivation for part in activations])
    for linear in inner:
        yield _stage(linear, np.zeros(linear.out_size), (NoActivation(),) * linear.out_size)
    yield _stage(last, bias_array(layer), activations)


def _stage(linear: AbstractLinear, bias: np.ndarray, activations: tuple[AbstractActivation, ...]) -> Stage:
    rows, cols, values = real_entries(linear)
    order = np.lexsort((cols, rows))
    cuts = np.searchsorted(rows[order], np.arange(1, linear.out_size))
    columns = np.split(cols[order].astype(np.int64), cuts)
    weights = np.split(values[order], cuts)
    return Stage(columns, weights, bias, activations, _halvings(linear))


def _copies(count: int) -> Stage:
    return _stage(Identity(count), np.zeros(count), (NoActivation(),) * count)


def split(linear: AbstractLinear, sums: Sequence[bool] | None = None) -> list[AbstractLinear]:
    """The maps that are run one after another, the first first, also where they stand inside of sums and stacks.

    Where one part has fewer of them it waits: before its map, or behind it where all of its rows are known to be
    mere `sums`, such as the readout of a shallower network.
    """
    if isinstance(linear, Composed):
        return [*split(linear.inner), *split(linear.outer, sums)]
    if not isinstance(linear, _SUMS):
        return [linear]
    ends = [*itertools.accumulate((part.out_size for part in linear.parts), initial=0)]
    known = [None if sums is None else sums[start:stop] for start, stop in itertools.pairwise(ends)]
    parts = [split(part, rows) for part, rows in zip(linear.parts, known, strict=True)]
    depth = max(map(len, parts))
    if depth == 1:
        return [linear]
    padded = [_padded(part, depth, rows) for part, rows in zip(parts, known, strict=True)]
    first, *others = (tuple(part[place] for part in padded) for place in range(depth))
    return [type(linear)(first), *map(DirectSum, others)]


def _padded(maps: list[AbstractLinear], depth: int, sums: Sequence[bool] | None) -> list[AbstractLinear]:
    missing = depth - len(maps)
    if sums is not None and all(sums):
        return maps + [Identity(maps[-1].out_size)] * missing
    return [Identity(maps[0].in_size)] * missing + maps


def _halvings(linear: AbstractLinear) -> np.ndarray:
    """For every row the number of halvings in which it is summed up; -1 where the order isn't known."""
    if isinstance(linear, SignProduct):
        # Beyond, groups of units are summed up one after another.
        n = linear.n
        return np.array([n if n <= UNITS_HELD else n + 2 ** (n - LEAST_HELD)])
    if isinstance(linear, _SUMS):
        return np.concatenate([_halvings(part) for part in linear.parts])
    return np.full(linear.out_size, -1)


# Meanings and errors -------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, eq=False)
class Climb:
    """A level: its gates, what they compute of the wires below, what that means, and bounds of the wires below."""

    gates: list[Gate]
    local: list[Poly]
    meanings: list[Poly]
    below: list[Fraction]


# For a gate, its level, its place there and bounds of its wires: what it computes, of variables numbered as these.
Meaning = Callable[[Gate, int, int, tuple[Fraction, ...]], Poly]
# For a gate, what it computes and bounds of its floats: its error.
Error = Callable[[Gate, Poly, tuple[Fraction, ...]], Fraction]


def meanings(levels: Sequence[Level], bounds: Sequence[Fraction], meaning: Meaning, budget: Budget) -> list[Climb]:
    """What the wires of every level mean, and bounds of that."""
    climbs: list[Climb] = []
    below, sizes = [variable(i) for i in range(len(bounds))], list(bounds)
    for depth, level in enumerate(levels):
        gates = list(level.gates())
        local = [
            meaning(gate, depth, place, tuple(sizes[wire] for wire in gate.wires)) for place, gate in enumerate(gates)
        ]
        above = [
            compose(poly, [below[wire] for wire in gate.wires], budget) for gate, poly in zip(gates, local, strict=True)
        ]
        climbs.append(Climb(gates, local, above, sizes))
        below, sizes = above, [up(size(poly, bounds)) for poly in above]
    return climbs


def errors(climbs: Sequence[Climb], off: Fraction, error: Error) -> tuple[list[Fraction], list[list[Fraction]]]:
    """Errors of the outputs for inputs off by `off`, and the own errors of all gates."""
    found, own = [off] * len(climbs[0].below), []
    for climb in climbs:
        here = []
        for gate, poly in zip(climb.gates, climb.local, strict=True):
            reach = tuple(up(climb.below[wire] + found[wire]) for wire in gate.wires)
            here.append(up(error(gate, poly, reach)))
        own.append(here)
        found = passed(climb, found, here)
    return found, own


def errors_of(climbs: Sequence[Climb], off: Fraction, own: Sequence[Sequence[Fraction]]) -> list[Fraction]:
    """Errors of the outputs for inputs off by `off`, with the own errors of all gates given.

    Over the reals a convex function of `off`: a polynomial without negative coefficients.
    """
    found = [off] * len(climbs[0].below)
    for climb, here in zip(climbs, own, strict=True):
        found = passed(climb, found, here)
    return found


def passed(climb: Climb, below: Sequence[Fraction], own: Sequence[Fraction]) -> list[Fraction]:
    """The errors of the wires of a level, from those below and the own ones."""
    above = []
    for gate, poly, here in zip(climb.gates, climb.local, own, strict=True):
        sizes, off = [climb.below[wire] for wire in gate.wires], [below[wire] for wire in gate.wires]
        above.append(up(moved(poly, sizes, off) + here))
    return above
