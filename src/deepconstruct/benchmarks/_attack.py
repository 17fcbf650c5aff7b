"""Our own attack: projected gradient steps from many starts."""

import dataclasses
from fractions import Fraction
from typing import Any

import numpy as np
from jaxtyping import PRNGKeyArray

from .._checks import check_key, check_size
from . import check
from ._instance import Instance, generator_of
from ._matrices import rational, with_gradient

# Steps go from a quarter of the box down to this share of it; so many starts run at once; one of four is a corner.
_FIRST, _LAST, _BATCH, _CORNERS = 0.25, 1e-4, 1000, 4


@dataclasses.dataclass(frozen=True)
class Attack:
    """What an attack found.

    Attributes:
        witness: an input in the box whose output is unsafe, over the reals too, or `None`.
        nearest: how far the output was from unsafe, at best; 0 or less if it was unsafe in floats.
        starts: how many were run.
        evaluations: how many points were looked at.
    """

    witness: tuple[float, ...] | None
    nearest: float
    starts: int
    evaluations: int


def attack(instance: Instance, *, starts: int = 10_000, steps: int = 50, key: PRNGKeyArray) -> Attack:
    """Look for an input that refutes a property, by projected gradient steps.

    Each start is a random point of the box, or a corner for one in four. A step goes along the signs of the
    gradient; where a coordinate has none, at random. The steps shrink from a quarter of the box to `1e-4` of it. It
    stops at the first input that is unsafe over the reals.

    Args:
        instance: what to attack.
        starts: how many.
        steps: of each start.
        key: a PRNG key.

    Returns:
        An `Attack`.

    Raises:
        TypeError: no instance.

    Cost:
        `starts * steps` runs forward and backward, on NumPy.

    Example:
        >>> import deepconstruct as dc, jax
        >>> easy = dc.benchmarks.verification("parity", difficulty=1, answer="fails", key=jax.random.key(0))
        >>> dc.benchmarks.attack(easy, starts=100, key=jax.random.key(1)).witness is not None
        True
    """
    if not isinstance(instance, Instance):
        raise TypeError(f"attack: expected an Instance of dc.benchmarks; got {type(instance).__name__}")
    check_size("attack", "starts", starts)
    check_size("attack", "steps", steps)
    check_key("attack", key)
    generator, nearest, evaluations = generator_of(key), np.inf, 0
    for first in range(0, starts, _BATCH):
        count = min(_BATCH, starts - first)
        for side in instance.problem.unsafe:
            found, near = _climbed(instance, side, _starts(instance, count, generator), steps, generator)
            nearest, evaluations = min(nearest, near), evaluations + count * (steps + 1)
            if found is not None:
                return Attack(found, nearest, first + count, evaluations)
    return Attack(None, nearest, starts, evaluations)


def _starts(instance: Instance, count: int, generator: np.random.Generator) -> np.ndarray:
    low, high = instance.problem.box
    share = generator.random((count, len(low)), np.float32)
    corners = np.arange(count) % _CORNERS == 0
    share[corners] = np.round(share[corners])
    return np.clip(low + (high - low) * share, low, high)


def _climbed(
    instance: Instance, side: tuple[str, Fraction], x: np.ndarray, steps: int, generator: np.random.Generator
) -> tuple[tuple[float, ...] | None, float]:
    """The first unsafe input, and how near one came."""
    (sense, end), (low, high) = side, instance.problem.box
    sign, nearest = 1.0 if sense == ">=" else -1.0, np.inf
    layers = [(w.astype(np.float32), b.astype(np.float32)) for w, b in instance.problem.layers]
    for size in [*np.geomspace(_FIRST, _LAST, steps), 0.0]:
        values, slopes = with_gradient(layers, x)
        gaps = sign * (float(end) - values)
        nearest = min(nearest, float(gaps.min()))
        for at in np.flatnonzero(gaps <= 0):
            if _is_real(instance, x[at]):
                return tuple(x[at].tolist()), nearest
        chance = generator.choice(np.array([-1, 1], np.float32), x.shape)
        x = np.clip(
            x + np.float32(size) * (high - low) * np.where(slopes == 0, chance, sign * np.sign(slopes)), low, high
        )
    return None, nearest


def _is_real(instance: Instance, x: Any) -> bool:
    """Whether an input is unsafe over the reals."""
    value = check.exact(rational(instance.problem.layers), [Fraction(float(v)) for v in x])[0]
    return check.beyond(value, instance.problem.unsafe) >= 0
