"""Places, signs and phases that bring a network's hidden units next to another's."""

import dataclasses

import numpy as np
from jaxtyping import Inexact, Int

from .symmetries import Matrix, Units

_ROUNDS, _GAIN = 1000, 1e-12


@dataclasses.dataclass(frozen=True)
class Places:
    """For each unit of one layer: the unit that comes to its place, and factors of its weights."""

    order: Int[np.ndarray, " units"]
    into: Inexact[np.ndarray, " units"]
    out: Inexact[np.ndarray, " units"]


def unmoved(width: int) -> Places:
    """All units as they are; also for the inputs and outputs of a network."""
    return Places(np.arange(width), np.ones(width), np.ones(width))


def aligned(maps: list[Matrix], places: list[Places]) -> list[Matrix]:
    """The same function with its hidden units put into their places."""
    ends = [unmoved(maps[0].shape[1] - 1), *places, unmoved(maps[-1].shape[0])]
    return [_at_columns(_at_rows(maps[k], ends[k + 1]), ends[k]) for k in range(len(maps))]


def match(fixed: list[Matrix], moving: list[Matrix], units: list[list[Units]]) -> list[Places]:
    """Places that bring `moving` next to `fixed`: the best of a descent from three starts.

    From the units as they are; matched by incoming weights, front to back; by outgoing ones, back to front.
    """
    depth = len(units)
    starts = []
    for order, sides in ((range(0), (1, 1)), (range(depth), (1, 0)), (range(depth)[::-1], (0, 1))):
        places = [unmoved(matrix.shape[0]) for matrix in moving[:-1]]
        for k in order:
            places[k] = _best(fixed, moving, places, k, units[k], sides)
        starts.append(_descend(fixed, moving, places, units))
    return max(starts, key=lambda places: _likeness(fixed, moving, places))


def _descend(fixed: list[Matrix], moving: list[Matrix], places: list[Places], units: list[list[Units]]) -> list[Places]:
    """Match one layer after the other with its neighbors as they are, until nothing changes."""
    places, reached = list(places), _likeness(fixed, moving, places)
    for _ in range(_ROUNDS):
        for k, parts in enumerate(units):
            places[k] = _best(fixed, moving, places, k, parts, (1, 1))
        before, reached = reached, _likeness(fixed, moving, places)
        if reached <= before + _GAIN * abs(before):
            break
    return places


def _likeness(fixed: list[Matrix], moving: list[Matrix], places: list[Places]) -> float:
    """The inner product of all weights: what no symmetry changes in the squared distance is left out."""
    pairs = zip(fixed, aligned(moving, places), strict=True)
    return sum(float(np.real(np.vdot(a, b))) for a, b in pairs)


def _best(
    fixed: list[Matrix], moving: list[Matrix], places: list[Places], k: int, units: list[Units], sides: tuple[int, int]
) -> Places:
    """Places of hidden layer `k`, by an optimal assignment; `sides`: whether to look at incoming, outgoing weights."""
    from scipy.optimize import linear_sum_assignment

    before = _at_columns(moving[k], places[k - 1]) if k else moving[0]
    after = _at_rows(moving[k + 1], places[k + 1]) if k + 1 < len(places) else moving[k + 1]
    into = sides[0] * (fixed[k].conj() @ before.T)
    out = sides[1] * (fixed[k + 1].conj().T @ after)[:-1, :-1]
    width = len(into)
    found = Places(np.arange(width), np.ones(width, into.dtype), np.ones(width, into.dtype))
    for part in units:
        block = np.ix_(part.indices, part.indices)
        gain, factor_in, factor_out = _factors(part, into[block], out[block])
        rows, cols = linear_sum_assignment(gain, maximize=True)
        found.order[part.indices[rows]] = part.indices[cols]
        found.into[part.indices[rows]] = factor_in[rows, cols]
        found.out[part.indices[rows]] = factor_out[rows, cols]
    return found


def _factors(units: Units, into: np.ndarray, out: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For every pair of units: the likeness of their weights under the best factors, and these."""
    one = np.ones_like(into)
    if units.phase:
        both = into + out.conj()
        turn = np.where(both == 0, 1, both.conj() / np.where(both == 0, 1, np.abs(both)))
        return np.abs(both), turn, turn.conj()
    into, out = np.real(into), np.real(out)
    if units.sign == 0:
        return into + out, one, one
    decides = into + out if units.sign == -1 else into
    sign = np.where(decides < 0, -one, one)
    return np.abs(decides) + (out if units.sign == 1 else 0), sign, sign if units.sign == -1 else one


def _at_rows(matrix: Matrix, places: Places) -> Matrix:
    return places.into[:, None] * matrix[places.order]


def _at_columns(matrix: Matrix, places: Places) -> Matrix:
    """The last column, the bias, stays."""
    return np.concatenate([matrix[:, :-1][:, places.order] * places.out, matrix[:, -1:]], axis=1)
