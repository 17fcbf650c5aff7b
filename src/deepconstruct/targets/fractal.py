"""The indicator of a fractal's level."""

import dataclasses
from fractions import Fraction
from typing import Any

import numpy as np

from .._checks import check_scalar, check_size
from .._static import inexact, namespace
from ..systems import IFS
from ..systems.exact import exact_inverses
from .base import Formula
from .exact import widened


@dataclasses.dataclass(frozen=True)
class Fractal(Formula):
    """1 on `K_level` of an iterated function system, 0 elsewhere; one output.

    Points are followed into the nearest cell of each level, in the precision of `x`. `exact` follows them
    into all cells that hold them.

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

    def _exact(self, x):
        if type(self.system) is not IFS:
            raise TypeError(f"{self.name}: exact values are those of a dc.IFS, not of what derives from it")
        inverses = exact_inverses(self.system.linear, self.system.offsets)
        points = widened(x).reshape(-1, self.system.size).tolist()
        found = [int(_holds(inverses, point, self.level, Fraction(self.tolerance))) for point in points]
        return np.array(found, np.int64).reshape(*x.shape[:-1], 1)


def _holds(inverses: Any, point: list[Any], level: int, tolerance: Fraction) -> bool:
    """Whether a point lies in a cell of a level, and in those around it; where cells touch, all are followed."""
    if any(abs(value) > 1 + max(tolerance, 0) for value in point):
        return False
    pending = [(tuple(point), 0)]
    while pending:
        x, depth = pending.pop()
        if depth == level:
            return True
        for matrix, shift in inverses:
            u = tuple(sum(a * b for a, b in zip(row, x, strict=True)) + c for row, c in zip(matrix, shift, strict=True))
            if all(abs(value) <= 1 + tolerance for value in u):
                pending.append((u, depth + 1))
    return False
