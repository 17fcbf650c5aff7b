"""Sets of sums: what a gate's sums can be, each with what the target has for it.

A state is a box of sums and a bit, the label: the target's fold of the inputs below. Boxes are
`[low - slope delta, high + slope delta]` for inputs that are off by at most `delta`. With them go bounds of what
partial sums hold: of all positive terms (`rise`), of all negative ones (`fall`), and of the moduli whose weights are no
powers of two, so that their products round (`inexact`).
"""

import dataclasses

import numpy as np

from .folds import AND
from .records import NotModular
from .rows import bits, distinct_rows, ranks
from .wide import WIDE, plus_up

# So many states of a gate, and so many combinations of those of two sets, are looked at; of boxes in more dimensions
# so many sides.
_STATES = 4096
_MANY = 2**16  # from here on, runs of states of one label are one
_COMBINED = 2**20
_COMBINED_BOXES = 2**18
_FEW = 8


@dataclasses.dataclass(frozen=True, eq=False)
class Sums:
    """States of some sums: `label` of shape `(states,)`, all else `(states, sums)`. Constants have no label."""

    label: np.ndarray
    low: np.ndarray
    high: np.ndarray
    slope: np.ndarray
    rise: np.ndarray
    fall: np.ndarray
    inexact: np.ndarray
    has_label: bool = True

    @property
    def count(self) -> int:
        return len(self.label)

    def boxes(self) -> tuple[np.ndarray, ...]:
        return self.low, self.high, self.slope, self.rise, self.fall, self.inexact


def nothing(sums: int, fold: int) -> Sums:
    """The empty sum."""
    zero = np.zeros((1, sums), WIDE)
    return Sums(np.full(1, int(fold == AND)), zero, zero, zero, zero, zero, zero, has_label=False)


def added(first: Sums, second: Sums, fold: int) -> Sums:
    """All sums of one state of each: they belong to disjoint inputs, so that every pair can occur."""
    combined = first.count * second.count
    if combined > _MANY:
        first, second = coarser(first), coarser(second)
        combined = first.count * second.count
    if combined > (_COMBINED if first.low.shape[1] == 1 else _COMBINED_BOXES // first.low.shape[1]):
        raise NotModular("a gate has too many states")
    pairs = [(one[:, None], two[None]) for one, two in zip(first.boxes(), second.boxes(), strict=True)]
    boxes = [plus_up(*pair) if index == 2 else np.add(*pair) for index, pair in enumerate(pairs)]
    shape = (first.count * second.count, first.low.shape[1])
    has_label = first.has_label or second.has_label
    return merged(Sums(_folded(first, second, fold), *(box.reshape(shape) for box in boxes), has_label=has_label))


def _folded(first: Sums, second: Sums, fold: int) -> np.ndarray:
    one, two = np.broadcast_arrays(first.label[:, None], second.label[None])
    if not second.has_label:
        return one.reshape(-1)
    if not first.has_label:
        return two.reshape(-1)
    return (one & two if fold == AND else one ^ two).reshape(-1)


def times(terms: Sums, count: int, fold: int) -> Sums:
    """The sums of `count` independent sets of terms that are alike."""
    total, power = None, terms
    while True:
        if count % 2:
            total = power if total is None else added(total, power, fold)
        count //= 2
        if not count:
            assert total is not None
            return total
        power = added(power, power, fold)


def merged(sums: Sums, gap: float = 0.0) -> Sums:
    """The same with fewer states: equal ones are one; single sums of one label too where their intervals touch.

    With a `gap`, also those that are not farther apart: the interval then covers what lies between.
    """
    if sums.low.shape[1] != 1:
        return _without_copies(sums)
    order = np.lexsort((sums.low[:, 0], sums.label))
    low, high, label = sums.low[order, 0], sums.high[order, 0], sums.label[order]
    tops = np.concatenate([np.maximum.accumulate(high[label == bit]) for bit in (0, 1)])
    starts = np.flatnonzero(np.concatenate([[True], (label[1:] != label[:-1]) | (low[1:] > tops[:-1] + gap)]))
    found = _hulls(sums, order, starts)
    if found.count > _STATES:
        found = coarser(found)
        if found.count > _STATES:
            raise NotModular("a gate has too many states")
    return found


def coarser(sums: Sums) -> Sums:
    """Runs of states of one label, with none of the other between them, as one."""
    if sums.low.shape[1] != 1:
        return sums
    order = np.lexsort((sums.low[:, 0],))
    label = sums.label[order]
    return _hulls(sums, order, np.flatnonzero(np.concatenate([[True], label[1:] != label[:-1]])))


def near(sums: Sums) -> Sums:
    """States that differ by rounding alone, as far as one can see, as one."""
    if sums.low.shape[1] != 1:
        return _without_copies(sums)
    span = float(sums.high.max() - sums.low.min()) / 16
    width = 4 * float((sums.high - sums.low).max())
    found = merged(sums, min(span, width))
    return merged(found, span) if width and found.count > _FEW else found


def _hulls(sums: Sums, order: np.ndarray, starts: np.ndarray) -> Sums:
    low, *rest = (part[order] for part in sums.boxes())
    least = np.minimum.reduceat(low, starts, axis=0)
    return Sums(
        sums.label[order][starts],
        least,
        *(np.maximum.reduceat(part, starts, axis=0) for part in rest),
        has_label=sums.has_label,
    )


def _without_copies(sums: Sums) -> Sums:
    parts = np.concatenate([sums.low, sums.high, sums.slope], axis=1)
    heads = parts.astype(np.float64)
    keys = [sums.label[:, None], bits(heads), bits((parts - heads).astype(np.float64))]
    _, kind = distinct_rows(np.concatenate(keys, axis=1))
    order = np.argsort(kind, kind="stable")
    found = _hulls(sums, order, np.flatnonzero(ranks(kind[order]) == 0))
    if found.count > _STATES:
        raise NotModular("a gate has too many states")
    return found
