"""The indicator of a fractal's level."""

import dataclasses

from .._checks import check_scalar, check_size
from .._static import inexact, namespace
from ..systems import IFS
from .base import Formula


@dataclasses.dataclass(frozen=True)
class Fractal(Formula):
    """1 on `K_level` of an iterated function system, 0 elsewhere; one output.

    Points are followed into the nearest cell of each level, in the precision of `x`.

    Args:
        system: the iterated function system.
        level: its level, at least 1.
        tolerance: cells are inflated by so much, in units of half their edges (shrunk if it is
            negative), so that rounding doesn't decide on their faces.

    Example:
        >>> import deepconstruct as dc, numpy as np
        >>> dc.targets.Fractal(dc.systems.cantor(), 2)(np.array([[0.0], [0.5]])).tolist()
        [[0.0], [1.0]]
    """

    system: IFS
    level: int
    tolerance: float = 0.0

    def __post_init__(self):
        if not isinstance(self.system, IFS):
            raise TypeError(f"targets.Fractal: system must be a dc.IFS; got {type(self.system).__name__}")
        check_size("targets.Fractal", "level", self.level)
        check_scalar("targets.Fractal", "tolerance", self.tolerance, minimum=-1.0)

    @property
    def name(self):
        return f"{self.system.name}({self.level})"

    def _evaluate(self, x):
        x = inexact(x)
        inside = self.system.contains(x, self.level, tolerance=self.tolerance)
        return namespace(x).astype(inside[..., None], x.dtype)
