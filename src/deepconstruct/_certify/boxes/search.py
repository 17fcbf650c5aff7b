"""Boxes of the domain, cut until the network is decided on each: the search behind both proofs of fractals."""

import dataclasses
from collections.abc import Callable

import numpy as np

# Few at a time, so that one which won't be decided is soon found.
_BATCH, _THINNEST = 2**9, 2.0**-40


@dataclasses.dataclass(frozen=True)
class Judged:
    """What a batch of boxes came to.

    Attributes:
        done: which need no more.
        axis, place: where the others had best be cut; -1 where any place will do.
        shares: on which sides units that are open depend, `(batch, d)`.
    """

    done: np.ndarray
    axis: np.ndarray
    place: np.ndarray
    shares: np.ndarray


class Undecided(Exception):
    """No proof; says why."""


def search(
    low: np.ndarray, high: np.ndarray, judge: Callable[[np.ndarray, np.ndarray], Judged], limit: int, thin: float
) -> int:
    """Judge boxes `(count, d)` and cut those that aren't done, until all are; how many were judged.

    Raises:
        Undecided: more than `limit`, or one of which no side is longer than `thin`.
    """
    thin = max(thin, _THINNEST)
    pending, count = np.stack([low, high], axis=1), 0
    while len(pending):
        batch, pending = pending[-_BATCH:], pending[:-_BATCH]
        count += len(batch)
        if count > limit:
            raise Undecided(f"more than {limit:,} boxes")
        found = judge(batch[:, 0], batch[:, 1])
        left = ~found.done
        pending = np.concatenate([pending, _halves(batch[left], found, left, thin)])
    return count


def _halves(boxes: np.ndarray, found: Judged, left: np.ndarray, thin: float) -> np.ndarray:
    low, high, every = boxes[:, 0], boxes[:, 1], np.arange(len(boxes))
    sides, shares = high - low, found.shares[left]
    shares = np.where(shares.max(axis=1, keepdims=True) > 0, shares, sides)
    shares = np.where(sides > thin, np.nan_to_num(shares), -1.0)
    cut = found.axis[left] >= 0
    axis = np.where(cut, found.axis[left], np.argmax(shares, axis=1))
    first, last = low[every, axis], high[every, axis]
    at = np.where(cut, found.place[left], (first + last) / 2)
    # A cut at the end of a side would change nothing.
    at = np.where((at > first) & (at < last), at, (first + last) / 2)
    if np.any(hopeless := ~(sides > thin).any(axis=1)):
        place = ", ".join(f"{value:.6g}" for value in low[np.argmax(hopeless)])
        raise Undecided(f"it isn't decided near ({place})")
    below, above = boxes.copy(), boxes.copy()
    below[every, 1, axis], above[every, 0, axis] = at, at
    return np.concatenate([below, above])
