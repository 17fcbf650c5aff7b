"""Systems in rational arithmetic: coefficients as they are stored."""

import functools
from fractions import Fraction
from typing import Any

import numpy as np

from .._static import StaticArray

Matrix = tuple[tuple[Fraction, ...], ...]
Vector = tuple[Fraction, ...]


@functools.lru_cache(maxsize=256)
def exact_inverses(linear: StaticArray, offsets: StaticArray) -> tuple[tuple[Matrix, Vector], ...]:
    """For every map the matrix `G` and the vector `g` with `F^-1 x = G x + g`, as fractions."""
    found = []
    for matrix, offset in zip(linear.array.tolist(), offsets.array.tolist(), strict=True):
        inverse = _inverse([[Fraction(value) for value in row] for row in matrix])
        shift = tuple(-sum(a * Fraction(t) for a, t in zip(row, offset, strict=True)) for row in inverse)
        found.append((inverse, shift))
    return tuple(found)


@functools.lru_cache(maxsize=256)
def exact_fixed_points(linear: StaticArray, offsets: StaticArray) -> tuple[Vector, ...]:
    """The point that each map leaves in place, as fractions; they lie in all levels."""
    found = []
    for matrix, offset in zip(linear.array.tolist(), offsets.array.tolist(), strict=True):
        rest = [
            [Fraction(int(i == j)) - Fraction(value) for j, value in enumerate(row)] for i, row in enumerate(matrix)
        ]
        found.append(
            tuple(
                sum((a * Fraction(t) for a, t in zip(row, offset, strict=True)), Fraction()) for row in _inverse(rest)
            )
        )
    return tuple(found)


def _inverse(matrix: list[list[Fraction]]) -> Matrix:
    """Gauss and Jordan's elimination."""
    size = len(matrix)
    rows = [row + [Fraction(int(i == j)) for j in range(size)] for i, row in enumerate(matrix)]
    for column in range(size):
        pivot = max(range(column, size), key=lambda i: abs(rows[i][column]))
        rows[column], rows[pivot] = rows[pivot], rows[column]
        rows[column] = [value / rows[column][column] for value in rows[column]]
        for i in range(size):
            if i != column and rows[i][column]:
                factor = rows[i][column]
                rows[i] = [a - factor * b for a, b in zip(rows[i], rows[column], strict=True)]
    return tuple(tuple(row[size:]) for row in rows)


def as_points(x: Any, size: int) -> list[Vector]:
    """Vectors as fractions: floats (as the rationals they are), integers or fractions."""
    values = np.asarray(x, dtype=object)
    if values.ndim != 2 or values.shape[1] != size:
        raise ValueError(f"IFS: expected points of shape (count, {size}); got {values.shape}")
    try:
        return [tuple(as_fraction(value) for value in row) for row in values.tolist()]
    except (TypeError, ValueError, OverflowError):
        raise ValueError("IFS: points must be finite numbers or fractions") from None


def as_fraction(value: Any) -> Fraction:
    """A number as it is, without rounding."""
    # `Fraction` takes few of NumPy's floats, and would keep its integers, which overflow.
    value = value.item() if hasattr(value, "item") else value
    return Fraction(*value.as_integer_ratio()) if isinstance(value, np.floating) else Fraction(value)


def exact_depths(inverses: tuple[tuple[Matrix, Vector], ...], points: list[Vector], level: int) -> list[int]:
    """For every point the largest `j <= level` with the point in `K_j`; -1 outside the cube."""
    return [_depth(inverses, point, level) for point in points]


def _depth(inverses: tuple[tuple[Matrix, Vector], ...], point: Vector, level: int) -> int:
    if any(abs(value) > 1 for value in point):
        return -1
    deepest, pending = 0, [(point, 0)]
    while pending and deepest < level:
        x, depth = pending.pop()
        for matrix, shift in inverses:
            # Where cells touch, a point may lie in several: all are followed.
            u = tuple(sum(a * b for a, b in zip(row, x, strict=True)) + c for row, c in zip(matrix, shift, strict=True))
            if all(abs(value) <= 1 for value in u):
                deepest = max(deepest, depth + 1)
                if depth + 1 < level:
                    pending.append((u, depth + 1))
    return deepest
