"""The builder: which network, which margins, and how deep the dtype carries."""

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np

from ..._checks import check_allocation, check_choice, check_dtype, check_scalar, check_size, digits
from ...construction import Claim, Construction, Robustness, builder
from ...construction.entry import Entry, Formula, Size, formula, sizes
from ...domains import Bits, Fractal
from ...systems import IFS, cantor, cantor_dust, reflected_dust, rotated_dust, sierpinski_carpet, sierpinski_triangle
from ...systems.sampling import sampling_error
from ...targets import Fractal as Indicator
from .branches import branch_network
from .fold import fold_network
from .limits import Limits
from .rounding import Drift, branch_drifts, fold_drifts, is_exact_at_any_level

METHODS = ("branches", "fold")

# The margin at which separated and folded systems are built, and the least one for touching cells.
_MARGIN, _LEAST = 2.0**-4, 2.0**-20
# Touching cells get this many times the margin that rounding asks for.
_ROOM = 4.0
_DEEPEST = 4096


@builder
def fractal(
    system: IFS, level: int, *, margin: float | None = None, method: str | None = None, dtype: Any = None
) -> Construction:
    """The indicator of level `n` of a fractal: 1 on `K_n`, 0 off it by a margin.

    Each level takes two layers: the first finds the cell that holds the point, the second hands on the
    point's coordinates in this cell. So depth grows with the level and width with the number of maps,
    while the network distinguishes `r^n` cells. `fractal(system, j)` is the truncation of a deeper one:
    with the same margin its first `2 j - 2` hidden layers are the same, weight for weight.

    Margins are in cell coordinates, in which the edges of a cell have length 2. Separated cells: the
    output is 1 on all of `K_n` and 0 on points that leave it at any level by `margin`. Touching cells:
    points must also keep `margin` from the faces of the cells that they are in, else they are undecided
    (at most a share `margin / 2 sum_(l<n) sum_f (p_f / ratio)^l` of `K_n`, with the share `p_f` of the
    maps whose cells reach face `f` of the cube: about `d n margin` where `p_f` is near `ratio`). Thirds
    of the cube without the center (`systems.sierpinski_carpet`) are folded continuously: right on all of
    `K_n`, faces included.

    Args:
        system: the iterated function system.
        level: `n`, at least 1.
        margin: above 0. By default 1/16, or what the gap between cells allows; for touching cells the
            least power of two above four times what rounding needs.
        method: `"branches"`, one branch a map; `"fold"`, for thirds without the center; by default
            `"fold"` where such cells touch, else `"branches"`.
        dtype: of the weights; JAX's default if `None`.

    Returns:
        The construction `(*batch, d) -> (*batch, 1)`, on `domains.Fractal` to `Bits(1)`.

    Raises:
        ValueError: a level deeper than the dtype carries at this margin (the message has the deepest),
            a margin beyond the gap, `"fold"` for another system.
        TypeError: `system` isn't a `dc.IFS`.

    *Exactness*: 0 and 1 are exact on the domain, also for inputs moved by up to `claim.radius`. Rounding
    errors grow by the inverse of the smallest ratio from level to level, so a dtype with unit roundoff
    `u` carries about `log(margin / 30 u) / log(1 / ratio)` levels. Dyadic systems whose cells avoid the
    hyperplanes `x_j = 0`, such as dust of ratio 1/4, are computed without rounding at any level; beyond
    the one that others carry, their radius is 0.

    *Cost*: `2 n` hidden layers, at most `4 d r` units wide, for `r` maps in `d` coordinates;
    `"fold"`: `2 n + 2` hidden layers, `6 d` units wide.

    *Source*: Malach & Shalev-Shwartz, slides, depth `2 n + 1` and width `5 d r`. Departures: the
    coordinates are clipped and their threshold lies inside the margin, without which rounding on the
    faces of cells is amplified until points of `K_n` are lost; the slides' recursion
    `sum_i I_(n-1)(F_i^-1 x)`, taken as it stands, is `r^n` wide.

    Example:
        >>> import deepconstruct as dc
        >>> dust = dc.fractal(dc.systems.cantor_dust(2), 5)
        >>> dust([[-1.0, 1.0], [0.0, 0.5]]).tolist()
        [[1.0], [0.0]]
        >>> dc.cost(dust).depth, dc.cost(dust).width
        (10, 32)
    """
    if not isinstance(system, IFS):
        raise TypeError(f"fractal: system must be a dc.IFS, such as dc.systems.cantor(); got {type(system).__name__}")
    level = check_size("fractal", "level", level)
    resolved = check_dtype("fractal", dtype)
    check_allocation("fractal", f"the weights of level {digits(level)}", level * system.num_maps, resolved)
    plan = _Plan(system, _method(system, method))
    chosen = plan.default_margin(level, resolved) if margin is None else plan.checked_margin(margin)
    radius = plan.radius(level, chosen, resolved)
    if radius is None:
        raise ValueError(plan.refusal(level, chosen, resolved))
    claim = Claim(
        target=Indicator(system, level, plan.tolerance(chosen)),
        domain=plan.domain(level, chosen),
        codomain=Bits(1),
        robustness=Robustness(radius),
        dtype=resolved.name,
        source="Malach & Shalev-Shwartz, slides: depth 2 n + 1, width 5 d r",
    )
    return Construction(plan.network(level, chosen, resolved), claim)


def _method(system: IFS, method: str | None) -> str:
    foldable = system.is_foldable
    if method is None:
        return "fold" if foldable and system.gap == 0 else "branches"
    check_choice("fractal", "method", method, METHODS)
    if method == "fold" and not foldable:
        raise ValueError(
            f"fractal: method 'fold' is for the thirds of the cube without the center, such as "
            f"systems.sierpinski_carpet(2); {system} is another system: use 'branches'"
        )
    return method


class _Plan:
    """One system and one method."""

    def __init__(self, system: IFS, method: str):
        self.system, self.folds = system, method == "fold"
        self.touches = system.gap == 0 and not self.folds

    def limits(self, margin: float) -> Limits:
        # The fold watches the removed center, from whose faces points that leave keep the margin.
        return Limits(margin, -margin if self.touches or self.folds else 0.0)

    def domain(self, level: int, margin: float) -> Fractal:
        inner, outer = (margin, 0.0) if self.touches else (0.0, margin)
        return Fractal(self.system, level, inner, outer)

    def tolerance(self, margin: float) -> float:
        return -margin / 2 if self.touches else margin / 2

    def network(self, level: int, margin: float, dtype: Any) -> Any:
        if self.folds:
            return fold_network(self.system.size, level, self.limits(margin), dtype)
        return branch_network(self.system, level, self.limits(margin), dtype)

    def largest_margin(self) -> float:
        # Of touching cells a larger one would leave no point decided, sooner or later.
        return 0.25 if self.touches else 0.5 if self.folds else min(self.system.gap, 1.0)

    def checked_margin(self, margin: Any) -> float:
        margin = check_scalar("fractal", "margin", margin, strict=True)
        largest, system = self.largest_margin(), self.system
        if margin > largest:
            separated = not self.touches and not self.folds
            why = f"the gap between cells is {system.gap:.6g}" if separated else "in cell coordinates"
            raise ValueError(
                f"fractal: margin must be at most {_rounded_down(largest):g} for {system.name} ({why}); got {margin}"
            )
        return margin

    def drifts(self, margin: float, dtype: Any) -> Iterator[Drift]:
        limits = self.limits(margin)
        return fold_drifts(self.system, limits, dtype) if self.folds else branch_drifts(self.system, limits, dtype)

    def drift(self, level: int, margin: float, dtype: Any) -> Drift | None:
        return next(itertools.islice(self.drifts(margin, dtype), level - 1, level), None) if level <= _DEEPEST else None

    def off(self, dtype: Any) -> float:
        """How far drawn points are from the fractal."""
        return sampling_error(self.system.maps, dtype)

    def radius(self, level: int, margin: float, dtype: Any) -> float | None:
        """How far points may be off, beyond the rounding of those drawn; `None` if the level isn't carried."""
        tolerated, drift = self.limits(margin).tolerated, self.drift(level, margin, dtype)
        if drift is not None and drift.at(self.off(dtype) + _spacing(dtype)) <= tolerated:
            return drift.radius(tolerated) - self.off(dtype)
        exact = not self.touches and not self.folds and is_exact_at_any_level(self.system, self.limits(margin), dtype)
        return 0.0 if exact and level <= _DEEPEST else None

    def default_margin(self, level: int, dtype: Any) -> float:
        if not self.touches:
            return self.system.usual_margins[1]
        fitting = _MARGIN
        while fitting > _LEAST:
            drift = self.drift(level, fitting / 2, dtype)
            if (
                drift is None
                or _ROOM * drift.at(self.off(dtype) + _spacing(dtype)) > self.limits(fitting / 2).tolerated
            ):
                break
            fitting /= 2
        return fitting

    def deepest(self, margin: float, dtype: Any) -> int:
        """The last level that is carried."""
        tolerated, off = self.limits(margin).tolerated, self.off(dtype) + _spacing(dtype)
        fine = itertools.takewhile(lambda drift: drift.at(off) <= tolerated, self.drifts(margin, dtype))
        return sum(1 for _ in itertools.islice(fine, _DEEPEST))

    def refusal(self, level: int, margin: float, dtype: np.dtype) -> str:
        """What is carried, and only those ways out that reach the level."""
        if level > _DEEPEST:
            return f"fractal: level must be at most {_DEEPEST}; got {level}"
        deepest, system = self.deepest(margin, dtype), self.system.name
        message = (
            f"fractal: {dtype.name} carries {system} to level {deepest} at a margin of {margin:.4g}; got {level}"
            if deepest
            else f"fractal: {dtype.name} is too coarse for {system}, even at level 1"
        )
        ways = []
        largest = self.largest_margin()
        if largest > margin and self.deepest(largest, dtype) >= level:
            ways.append(f"a larger margin, up to {_rounded_down(largest):g}")
        if dtype.itemsize < 8 and self.radius(level, margin, np.dtype(np.float64)) is not None:
            ways.append("dtype='float64'")
        return message + ("; it takes " + ", or ".join(ways) if ways else "")


def _rounded_down(value: float) -> float:
    """Four digits for a message, of which none promises too much."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 3)
    return math.floor(value / unit) * unit


def _spacing(dtype: Any) -> float:
    """How far rounding an input to `dtype` moves it at most."""
    return float(jnp.finfo(dtype).eps) / 4


def _branch_synapses(maps: int, size: int, entries: int, level: int) -> int:
    """Synapses with a branch a map, for `entries` non-zero numbers in the maps' inverse matrices.

    Cells are found by 4 units a coordinate (2 at the last level), which see the input or all branches'
    coordinates; a coordinate is handed on by one unit, which sees two units of its own and two an axis.
    """
    decided = 2 * size * maps + maps
    if level == 1:
        return 2 * entries + decided
    found = 4 * entries + (level - 2) * 4 * entries * maps + 2 * entries * maps
    return found + (level - 1) * maps * size * (2 + 2 * size) + decided


def _entry(
    name: str, summary: str, system: Callable[[], IFS], level: int, sizes: tuple[Size, ...], found: Formula
) -> Entry:
    return Entry(
        name, summary, fractal, {"level": level}, sizes, found,
        made=lambda level: {"system": system(), "level": level},
    )  # fmt: skip


def _branches(text: str, maps: int, size: int, entries: int) -> Formula:
    return formula(f"{text} for level > 1", lambda level: _branch_synapses(maps, size, entries, level))


_SHALLOW = sizes("level", 1, 2, 3)

ENTRIES = (
    _entry(
        "fractal_cantor", "a level of the Cantor set", cantor, 5, sizes("level", 1, 2, 5),
        _branches("24 level - 18", 2, 1, 2),
    ),
    _entry(
        "fractal_dust", "a level of Cantor dust in the plane", cantor_dust, 5, _SHALLOW,
        _branches("176 level - 188", 4, 2, 8),
    ),
    _entry(
        "fractal_rotated", "a level of dust, its cells turned by 45 degrees", rotated_dust, 4, _SHALLOW,
        _branches("304 level - 348", 4, 2, 16),
    ),
    _entry(
        "fractal_reflected", "a level of dust in space, cells mirrored", lambda: reflected_dust(3), 3, _SHALLOW,
        _branches("960 level - 1192", 8, 3, 24),
    ),
    _entry(
        "fractal_triangle", "a level of the Sierpinski triangle", sierpinski_triangle, 5, _SHALLOW,
        _branches("108 level - 105", 3, 2, 6),
    ),
    _entry(
        "fractal_carpet", "a level of the Sierpinski carpet, folded", sierpinski_carpet, 5, _SHALLOW,
        formula("36 level + 1", lambda level: 36 * level + 1),
    ),
)  # fmt: skip
