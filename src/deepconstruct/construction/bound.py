"""How far outputs may be off: on the domain, and beside it."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np

# One number for all outputs, or one an output.
Each = Any


@dataclasses.dataclass(frozen=True)
class Bound:
    """An error `e = e_1 + e_2` with `|e_1| <= absolute` in every output and
    `|e_2| <= relative * |target(x)|` in the 2-norm. Zero means exact.

    Args:
        absolute: one number for all outputs, or one an output.
        relative: one number.

    Raises:
        ValueError: numbers that are negative or not finite.

    Example:
        >>> import deepconstruct as dc
        >>> dc.Bound([0.0, 1e-3])
        Bound(absolute=(0.0, 0.001), relative=0.0)
    """

    absolute: Each = 0.0
    relative: float = 0.0

    def __post_init__(self):
        object.__setattr__(self, "absolute", each("Bound", "absolute", self.absolute, infinite=False))
        if not self.relative >= 0 or math.isinf(self.relative):
            raise ValueError(f"Bound: relative must be finite and at least 0; got {self.relative}")
        object.__setattr__(self, "relative", float(self.relative))

    @property
    def is_exact(self) -> bool:
        """Whether the bound is zero."""
        return self.largest == 0 and self.relative == 0

    @property
    def largest(self) -> float:
        """The absolute part of the output that may be off most."""
        return largest(self.absolute)

    def __str__(self) -> str:
        if self.is_exact:
            return "exact"
        parts = [_shown(self.absolute)] if self.largest else []
        if self.relative:
            parts.append(f"{self.relative:.2g} relative")
        return " + ".join(parts)


@dataclasses.dataclass(frozen=True)
class Robustness:
    """What becomes of inputs beside the domain: moved by `delta <= radius`, they add
    `gain * delta + rounding` to the error (nothing for `delta = 0`).

    Args:
        radius: how far inputs may be off the domain in the max norm, at least 0 (may be infinite).
        gain: how much of that shows in an output, at most; one number, or one an output.
        rounding: what moved inputs add where points of the domain are computed more exactly.

    Raises:
        ValueError: negative numbers.
    """

    radius: float = 0.0
    gain: Each = 0.0
    rounding: float = 0.0

    def __post_init__(self):
        object.__setattr__(self, "gain", each("Robustness", "gain", self.gain))
        for name in ("radius", "rounding"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"Robustness: {name} must be at least 0; got {getattr(self, name)}")
            object.__setattr__(self, name, float(getattr(self, name)))

    @property
    def largest_gain(self) -> float:
        """The gain of the output in which most shows."""
        return largest(self.gain)

    def __str__(self) -> str:
        if self.radius == 0:
            return "inputs of the domain only"
        rounding = f" + {self.rounding:.2g}" if self.rounding else ""
        return f"inputs off by up to {self.radius:.3g}: gain {_shown(self.gain, 3)}{rounding}"


def each(owner: str, argument: str, value: Any, *, infinite: bool = True) -> Each:
    """A checked number, or a tuple of one number an output; equal ones are one."""
    numbers = np.asarray(value, float)
    good = (numbers >= 0) & (np.isfinite(numbers) | infinite)
    if not numbers.size or numbers.ndim > 1 or not good.all():
        finite = "" if infinite else "finite and "
        raise ValueError(f"{owner}: {argument} must be {finite}at least 0, one number or one an output; got {value}")
    if numbers.ndim and np.any(numbers != numbers[0]):
        return tuple(numbers.tolist())
    return float(numbers.flat[0])


def largest(value: Each) -> float:
    """The largest of the outputs' numbers."""
    return max(value) if isinstance(value, tuple) else value


def spread(value: Each, outputs: int) -> np.ndarray:
    """One number an output."""
    return np.broadcast_to(np.asarray(value, float), (outputs,))


def mapped(function: Callable[[float], float], value: Each) -> Each:
    """The function of every number."""
    return tuple(function(part) for part in value) if isinstance(value, tuple) else function(value)


def _shown(value: Each, digits: int = 2) -> str:
    if not isinstance(value, tuple):
        return f"{value:.{digits}g}"
    return f"{min(value):.{digits}g} to {max(value):.{digits}g}"
