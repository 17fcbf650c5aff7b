"""How floats drift off what they stand for: through the derivatives of a few stages, with what those round."""

import dataclasses

import numpy as np

from ...activations import Identity, ReLU
from .stages import Stage

_DOUBLE, _ROOM, _OPEN = 2.0**-53, 1 + 2.0**-40, 10
# For sums of up to 16 products.
_FEW = 1 + 2.0**-48


@dataclasses.dataclass(frozen=True)
class Drift:
    """How far floats are off what passes for a point: a bound a number, and one of the 2-norm."""

    each: np.ndarray
    norm: float

    @staticmethod
    def of(each: np.ndarray, norm: float) -> "Drift":
        norm = min(norm, float(np.linalg.norm(each)) * _FEW)
        return Drift(np.minimum(each, norm), norm)


@dataclasses.dataclass(frozen=True)
class Step:
    """What a level makes of a drift, in one of several ways: arrays with a row a way."""

    stretch: np.ndarray
    norm: np.ndarray
    added: np.ndarray

    def of(self, drift: Drift) -> Drift:
        each = (self.stretch @ drift.each + self.added) * _FEW
        norm = self.norm * drift.norm + np.linalg.norm(self.added, axis=1)
        return Drift.of(each.max(axis=0), float(norm.max()) * _FEW)

    @staticmethod
    def joined(steps: list["Step"]) -> "Step":
        names = [field.name for field in dataclasses.fields(Step)]
        whole = [np.concatenate([getattr(step, name) for step in steps]) for name in names]
        rows = np.concatenate([part.reshape(len(part), -1) for part in whole], axis=1)
        kept = np.unique(rows, axis=0, return_index=True)[1]
        return Step(*(part[kept] for part in whole))


@dataclasses.dataclass(frozen=True)
class Derivatives:
    """Of a level with every choice of slopes, by what comes in and by the sums of every stage.

    Attributes:
        stretch: bounds of the moduli, `(choices, outputs, inputs)`; norm: of the 2-norms, `(choices,)`.
        later: bounds of the moduli by the sums of every stage, `(choices, outputs, units)`.
    """

    stretch: np.ndarray
    norm: np.ndarray
    later: list[np.ndarray]

    @property
    def largest(self) -> np.ndarray:
        return self.stretch.max(axis=0)

    def step(self, rounded: list[np.ndarray], match: np.ndarray) -> Step:
        """What the level makes of a drift, with what its stages round."""
        added = match + sum(_times(later, made) for later, made in zip(self.later, rounded, strict=True)) * _ROOM
        added = added.astype(float) * _ROOM
        return Step(self.stretch, self.norm, np.broadcast_to(added, self.stretch.shape[:2]))


def _times(later: np.ndarray, made: np.ndarray) -> np.ndarray:
    """What rounding shows in the outputs; where units don't show it may be infinite."""
    return later @ np.where(later.any(axis=(0, 1)), made, 0.0)


def derivatives(stages: tuple[Stage, ...], states: tuple[np.ndarray, ...]) -> Derivatives | None:
    """Bounds of all derivatives of stages whose units are on, off (1, 0) or open (2); `None` where many are.

    What a unit makes of a change is the change times a slope between 0 and 1. Outputs are affine in every slope, so
    moduli and norms are largest where all are 0 or 1. Units that reach no output don't count.
    """
    slopes = _unit_slopes(stages, states)
    if slopes is None:
        return None
    reached, opened = np.ones(len(stages[-1].weights), bool), []
    for at in reversed(range(len(stages))):
        slopes[at][~reached] = 0
        opened += [(at, unit) for unit in np.flatnonzero(slopes[at] == 2)]
        reached = (stages[at].weights[slopes[at] != 0] != 0).any(axis=0)
    if len(opened) > _OPEN:
        return None
    count = 2 ** len(opened)
    choices = [np.repeat(slope[None].astype(float), count, axis=0) for slope in slopes]
    for bit, (at, unit) in enumerate(opened):
        choices[at][:, unit] = (np.arange(count) >> bit) & 1
    size = len(stages[-1].weights)
    product, moduli, terms, later = np.repeat(np.eye(size)[None], count, axis=0), np.eye(size), 4, []
    for stage, choice, slope in zip(reversed(stages), reversed(choices), reversed(slopes), strict=True):
        product, moduli = product * choice[:, None], moduli * (slope != 0)
        own = terms * _DOUBLE * moduli * _ROOM
        later.insert(0, np.abs(product) + own)
        product, moduli, terms = (
            product @ stage.weights.astype(float),
            moduli @ stage.sizes.astype(float),
            terms + len(stage.weights) + 2,
        )
    own = terms * _DOUBLE * moduli * _ROOM
    # The singular values of NumPy are right to a small multiple of the roundoff, for so few rows and columns.
    norm = (np.linalg.norm(product, 2, axis=(1, 2)) + np.linalg.norm(own)) * _ROOM
    return Derivatives(np.abs(product) + own, norm, later)


def _unit_slopes(stages: tuple[Stage, ...], states: tuple[np.ndarray, ...]) -> list[np.ndarray] | None:
    """0, 1 or 2 for every unit; `None` where a step is open."""
    left, found = iter(states), []
    for stage in stages:
        parts = []
        for kind, width in stage.kinds:
            if kind is Identity:
                parts.append(np.ones(width, int))
                continue
            state = next(left).astype(int)
            if kind is not ReLU and np.any(state == 2):
                return None
            parts.append(state if kind is ReLU else 0 * state)
        found.append(np.concatenate(parts))
    return found
