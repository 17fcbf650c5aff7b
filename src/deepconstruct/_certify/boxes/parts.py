"""Where a fractal's network is cut into levels, and what passes between them."""

import dataclasses
import itertools

import numpy as np

from ...domains import Fractal
from .forms import Forms, Runner, on_boxes, roundoff
from .search import Undecided

_ROOM = 1 + 2.0**-40


@dataclasses.dataclass(frozen=True)
class Relation:
    """What passes between two levels for a point `z`: `matrix @ z + shift`, in doubles."""

    matrix: np.ndarray
    shift: np.ndarray

    @property
    def key(self) -> tuple[bytes, bytes]:
        return self.matrix.tobytes(), self.shift.tobytes()


@dataclasses.dataclass(frozen=True)
class Sent:
    """What passes for boxes: `matrix @ u + shift`, and bounds `room` of the moduli on the way there."""

    matrix: np.ndarray
    shift: np.ndarray
    room: np.ndarray

    @staticmethod
    def as_it_is(relation: Relation) -> "Sent":
        return Sent(relation.matrix, relation.shift, 2 * np.abs(relation.matrix).sum(axis=1) + np.abs(relation.shift))


@dataclasses.dataclass(frozen=True)
class Part:
    """The stages of a level."""

    first: int
    stop: int
    key: tuple


def parts_of(runner: Runner, domain: Fractal) -> tuple[tuple[Part, ...], bool]:
    """The levels: cut where few numbers pass and the next layer is no narrower; whether the last one looks at cells."""
    stages = runner.stages
    widths = [stage.weights.shape[1] for stage in stages] + [1]
    cuts = [k for k in range(1, len(stages) - 1) if widths[k] <= domain.size + 1 and widths[k + 1] >= widths[k]]
    if len(cuts) not in (domain.level - 1, domain.level):
        raise Undecided("its levels weren't found")
    ends = itertools.pairwise([0, *cuts, len(stages)])
    parts = tuple(Part(first, stop, tuple(stage.key for stage in stages[first:stop])) for first, stop in ends)
    return parts, len(parts) == domain.level


def difference(forms: Forms, wanted: np.ndarray, shift: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """How far forms may be from `wanted @ u + shift` on boxes of `u`."""
    kind = forms.center.dtype
    boxes = on_boxes(low.astype(kind), high.astype(kind))
    center, slopes = boxes.center @ wanted.T + shift, boxes.slopes @ wanted.T
    off = np.abs(forms.center - center) + np.abs(forms.slopes - slopes).sum(axis=1) + forms.radius
    moduli = np.abs(boxes.center) + boxes.slopes.sum(axis=1)
    own = np.abs(forms.center) + np.abs(forms.slopes).sum(axis=1) + moduli @ np.abs(wanted).T + np.abs(shift)
    return (off * _ROOM + (2 * len(low[0]) + 8) * roundoff(center) * own).astype(float) * _ROOM
