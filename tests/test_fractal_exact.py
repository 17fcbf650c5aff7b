"""Indicator networks over the rationals: exact at all corners of cells, where floats would round, and at the margin."""

import functools
import itertools
from fractions import Fraction

import numpy as np
import pytest

import deepconstruct as dc
from deepconstruct import systems
from deepconstruct._bias import bias_vector
from deepconstruct.network import flat_layers
from fractal_points import by_name, domain_of
from rationals import Dyadic, activate, apply_linear, dyadic, fractions

SEPARATED = [
    (systems.cantor(), 4), (systems.cantor(1 / 4), 4), (systems.cantor_reversed(), 4), (systems.cantor_dust(), 4),
    (systems.cantor_dust(3), 3), (systems.rotated_dust(), 4), (systems.rotated_dust(0.3, 0.2), 3),
    (systems.reflected_dust(), 4), (dc.IFS([[[0.5]], [[-0.25]]], [[-0.5], [0.75]], name="unequal"), 4),
]  # fmt: skip
FOLDED = [(systems.cantor(), 4), (systems.sierpinski_carpet(), 4), (systems.sierpinski_carpet(3), 2)]
TOUCHING = [(systems.sierpinski_triangle(), 4), (systems.vicsek(), 3), (systems.pentaflake(), 3)]


@functools.cache
def in_all_cells(system: dc.IFS, level: int, places: tuple[tuple[Fraction, ...], ...]) -> np.ndarray:
    """The points with these coordinates in all cells of a level, as exact fractions without repetition."""
    points = np.array(places, object)
    for _ in range(level):
        maps = zip(fractions(system.linear.array), fractions(system.offsets.array), strict=True)
        points = np.concatenate([points @ matrix.T + offset for matrix, offset in maps])
    return np.array(sorted({tuple(point) for point in points}), object)


def corners(size: int, reach: Fraction | int = 1) -> tuple[tuple[Fraction, ...], ...]:
    return tuple(itertools.product((-Fraction(reach), Fraction(reach)), repeat=size))


def outputs(construction: dc.Construction, points: np.ndarray) -> set[Fraction]:
    """What the network gives at fractions over powers of two, nothing rounded."""
    digits = max(value.denominator.bit_length() - 1 for value in points.ravel())
    assert all(2**digits % value.denominator == 0 for value in points.ravel())
    values = Dyadic(np.vectorize(int, otypes=[object])(points * 2**digits), digits)
    for layer in flat_layers(construction.network):
        values = apply_linear(layer.linear, values)
        bias = bias_vector(layer.bias)
        if bias is not None:
            added = dyadic(bias)
            digits = max(values.digits, added.digits)
            values = Dyadic(values.to(digits) + added.to(digits), digits)
        values = activate(layer.activation, values)
    return {Fraction(value, 2**values.digits) for value in values.integers.ravel()}


@pytest.mark.default_cases(4)
@pytest.mark.parametrize("system, level", SEPARATED, ids=by_name)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_all_corners_of_all_separated_cells_belong_to_the_fractal(system, level, dtype):
    construction = dc.fractal(system, level, dtype=dtype)
    points = in_all_cells(system, level, corners(system.size))
    assert len(points) == 2**system.size * system.num_maps**level
    assert outputs(construction, points) == {1}


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("system, level", FOLDED, ids=by_name)
def test_all_corners_of_all_folded_cells_belong_to_the_fractal(system, level):
    construction = dc.fractal(system, level, method="fold", dtype="float32")
    assert outputs(construction, in_all_cells(system, level, corners(system.size))) == {1}


@pytest.mark.parametrize("system, level", TOUCHING, ids=by_name)
def test_corners_of_touching_cells_belong_to_it_once_shrunk_by_the_margin(system, level):
    construction = dc.fractal(system, level, margin=1 / 16, dtype="float32")
    # In cells of the last level they keep the margin; they may still lie in the margin of larger ones.
    points = in_all_cells(system, level, corners(system.size, Fraction(15, 16)))
    kept = points[[follow(system, point, level)[1] <= Fraction(15, 16) for point in points]]
    assert len(kept) >= len(points) / 4
    assert outputs(construction, kept) == {1}


def follow(system: dc.IFS, x: np.ndarray, level: int) -> tuple[int, Fraction]:
    """How deep a point lies, and how near to their faces it comes in the cells: the largest `max |u|`."""
    most = Fraction(0)
    for depth in range(level):
        places = [inverse @ (x - offset) for inverse, offset in inverses(system)]
        x = min(places, key=lambda u: max(abs(u)))
        if max(abs(x)) > 1:
            return depth, most
        most = max(most, max(abs(x)))
    return level, most


@functools.cache
def inverses(system: dc.IFS) -> list[tuple[np.ndarray, np.ndarray]]:
    """By cofactors."""
    found = []
    for matrix, offset in zip(fractions(system.linear.array), fractions(system.offsets.array), strict=True):
        (a, b), (c, d) = matrix if len(matrix) == 2 else ((matrix[0, 0], Fraction(0)), (Fraction(0), Fraction(1)))
        inverse = np.array([[d, -b], [-c, a]], object) / (a * d - b * c)
        found.append((inverse[: len(matrix), : len(matrix)], offset))
    return found


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("system, level", [case for case in SEPARATED if case[0].size < 3], ids=by_name)
def test_points_off_the_last_cells_by_just_the_margin_are_off_the_fractal(system, level):
    construction = dc.fractal(system, level, dtype="float32")
    reach = 1 + Fraction(domain_of(construction).outer)
    points = in_all_cells(system, level, corners(system.size, reach))
    # Those beyond a face that the cell shares with a larger one are nearer to that.
    leave = points[[follow(system, point, level)[0] == level - 1 for point in points]]
    assert len(leave) >= len(points) / 2 ** (2 * system.size)
    assert outputs(construction, leave) == {0}


@pytest.mark.parametrize("d, level", [(1, 4), (2, 3), (3, 2)])
@pytest.mark.parametrize("share", [0, 1])
def test_centers_of_folded_cells_are_off_the_fractal_up_to_the_margin(d, level, share):
    system = systems.sierpinski_carpet(d)
    construction = dc.fractal(system, level, method="fold", margin=1 / 8, dtype="float64")
    # 3 x - 2 is at most -1 - 1/8 up to x = 7/24, here with 30 binary digits.
    reach = share * Fraction(7 * 2**30 // 24, 2**30)
    for stop in range(level):
        assert outputs(construction, in_all_cells(system, stop, corners(d, reach))) == {0}
