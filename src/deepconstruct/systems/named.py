"""Named systems: the fractals of the literature, and variants for tests."""

import itertools
import math
from typing import Any

import numpy as np

from .._checks import check_scalar, check_size
from .ifs import IFS


def cantor(ratio: float = 1 / 3) -> IFS:
    """The Cantor set: two maps of the interval, `ratio x ± (1 - ratio)`.

    Args:
        ratio: the factor of both maps, below 1/2 (at 1/2 they fill the interval).

    Example:
        >>> import deepconstruct as dc
        >>> round(dc.systems.cantor().gap, 6)
        1.0
    """
    return _corners("cantor", 1, ratio)


def cantor_reversed() -> IFS:
    """The Cantor set whose left map is turned around: `-x/3 - 2/3` and `x/3 + 2/3`.

    Source: Malach & Shalev-Shwartz's slides, there on `[0, 1]` as `1/3 - x/3` and `2/3 + x/3`.
    """
    return IFS(np.array([[[-1 / 3]], [[1 / 3]]]), [[-2 / 3], [2 / 3]], name="cantor_reversed")


def cantor_dust(d: int = 2, ratio: float = 1 / 3) -> IFS:
    """Cantor dust: `2^d` maps, one into every corner of the cube, `ratio x + (1 - ratio) c`.

    Args:
        d: the number of coordinates.
        ratio: the factor of all maps, at most 1/2. The slides draw it with 1/4, train with 1/3.

    Source: Malach & Shalev-Shwartz's slides.
    """
    return _corners("cantor_dust", d, ratio)


def _corners(name: str, d: int, ratio: float) -> IFS:
    d = check_size(name, "d", d)
    ratio = _ratio(name, ratio)
    if d > 16:
        raise ValueError(f"{name}: at most 16 coordinates, as there are 2^d maps; got {d}")
    corners = np.array(list(itertools.product((-1.0, 1.0), repeat=d)))
    # The offset of one third is the float 2/3, as one would write it.
    return _alike(name, ratio, (1 - ratio if ratio != 1 / 3 else 2 / 3) * corners)


def sierpinski_triangle() -> IFS:
    """The Sierpinski triangle by squares: `x/2` plus `(0, 1/2)`, `(-1/2, -1/2)`, `(1/2, -1/2)`. Cells touch."""
    return _alike("sierpinski_triangle", 1 / 2, np.array([[0.0, 0.5], [-0.5, -0.5], [0.5, -0.5]]))


def sierpinski_carpet(d: int = 2) -> IFS:
    """The carpet: all `3^d` thirds of the cube but the one in the center. Cells touch for `d >= 2`.

    For `d = 1` it is the Cantor set.
    """
    d = check_size("sierpinski_carpet", "d", d)
    if d > 5:
        raise ValueError(f"sierpinski_carpet: at most 5 coordinates, as there are 3^d - 1 maps; got {d}")
    places = [place for place in itertools.product((-2 / 3, 0.0, 2 / 3), repeat=d) if any(place)]
    return _alike("sierpinski_carpet", 1 / 3, np.array(places))


def vicsek(d: int = 2) -> IFS:
    """The Vicsek fractal: the corners and the center, each a third. Cells touch at corners."""
    d = check_size("vicsek", "d", d)
    if d > 8:
        raise ValueError(f"vicsek: at most 8 coordinates, as there are 2^d + 1 maps; got {d}")
    places = [*itertools.product((-2 / 3, 2 / 3), repeat=d), (0.0,) * d]
    return _alike("vicsek", 1 / 3, np.array(places))


def pentaflake() -> IFS:
    """Five thirds of the square, placed as a pentagon. Cells touch.

    Source: Malach & Shalev-Shwartz's experiments.
    """
    places = [(-2 / 3, 0.0), (2 / 3, 0.0), (0.0, 2 / 3), (-1 / 3, -2 / 3), (1 / 3, -2 / 3)]
    return _alike("pentaflake", 1 / 3, np.array(places))


def rotated_dust(angle: float = math.pi / 4, ratio: float = 1 / 4) -> IFS:
    """Dust in the plane whose four cells are turned by `angle` where they stand.

    Args:
        angle: in radians.
        ratio: the factor of all maps; cells reach `ratio (|cos| + |sin|)` around their centers.
    """
    angle = check_scalar("rotated_dust", "angle", angle, minimum=-math.inf)
    ratio = _ratio("rotated_dust", ratio)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    reach = ratio * float(np.abs(turn[0]).sum())
    corners = np.array(list(itertools.product((-1.0, 1.0), repeat=2)))
    return IFS(np.tile(ratio * turn, (4, 1, 1)), (1 - reach) * corners, name="rotated_dust")


def reflected_dust(d: int = 2, ratio: float = 1 / 3) -> IFS:
    """Dust whose cells are mirror images: the first axis is reversed in every second map (negative determinants)."""
    plain = _corners("reflected_dust", d, ratio)
    linear = np.array(plain.linear.array)
    linear[::2, 0, 0] *= -1
    return IFS(linear, plain.offsets.array, name="reflected_dust")


def _alike(name: str, ratio: float, offsets: np.ndarray) -> IFS:
    count, size = offsets.shape
    return IFS(np.tile(ratio * np.eye(size), (count, 1, 1)), offsets, name=name)


def _ratio(owner: str, ratio: Any) -> float:
    ratio = check_scalar(owner, "ratio", ratio, strict=True)
    if ratio >= 1:
        raise ValueError(f"{owner}: ratio must be below 1; got {ratio}")
    return ratio
