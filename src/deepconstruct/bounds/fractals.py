"""What a theory of fractal distributions says: widths, errors and gradients."""

import dataclasses
import math
from typing import Any

import numpy as np

from .._checks import check_scalar, check_size
from .regions import regions_at_most


@dataclasses.dataclass(frozen=True)
class FractalWidth:
    """How wide a ReLU network of given depth must be to realize a fractal distribution.

    Attributes:
        width: the slides' `(d / e) r^(n / (t d))`; `None` where it doesn't hold, below `d`.
        units: the least width whose product bound of linear regions reaches `r^n`; always holds.
        regions: `r^n`, the number of linear regions that are needed.
        conditions: what else must hold, in words.
    """

    width: float | None
    units: int
    regions: int
    conditions: tuple[str, ...] = (
        "all hidden layers have the same width, ReLU units, and a linear readout",
        "the cells of the last level are separated, and each holds positive points",
        "negatives have positive probability between any two cells, on segments that join them",
    )


def fractal_width(num_maps: int, level: int, *, depth: int, inputs: int) -> FractalWidth:
    """The least width that a network of `depth` hidden layers needs for `K_level`.

    Two cells can't share a linear region: on the segment between their points the network would be
    positive, too. So `r^n` regions are needed, and width bounds their number.

    Args:
        num_maps: `r`, at least 1.
        level: `n`, at least 1.
        depth: hidden layers `t`, at least 1.
        inputs: coordinates `d`, at least 1.

    Raises:
        ValueError: an argument below 1.

    *Source*: Malach & Shalev-Shwartz, slides. Departure: their formula inverts `(e k / d)^(t d)`, which
    bounds regions only for `k >= d`; where it gives less than `d` it isn't reported.

    Example:
        >>> import deepconstruct as dc
        >>> dc.bounds.fractal_width(4, 5, depth=1, inputs=2).units
        45
    """
    r, n, t, d = (
        check_size("bounds.fractal_width", name, value)
        for name, value in (("num_maps", num_maps), ("level", level), ("depth", depth), ("inputs", inputs))
    )
    regions = r**n
    logarithm = n * math.log(r) / (t * d) + math.log(d) - 1
    width = math.exp(logarithm) if logarithm < 700 else math.inf
    return FractalWidth(width if width >= d else None, _least_width(regions, t, d), regions)


def _least_width(regions: int, depth: int, inputs: int) -> int:
    high = 1
    while regions_at_most([high] * depth, inputs) < regions:
        high *= 2
    low = high // 2  # too narrow, or 0
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if regions_at_most([middle] * depth, inputs) >= regions else (middle, high)
    return high


@dataclasses.dataclass(frozen=True)
class ErrorWindow:
    """Between which errors the best network of a shape lies, on a fractal distribution.

    Attributes:
        lower: no network of the shape errs less, by the theorem's second part.
        lower_level: the level `j` that gives it; 0 if none does.
        upper: some network of the shape errs at most so much.
        upper_level: the level up to which that one is right; 0 for the constant.
        conditions: in words.
    """

    lower: float
    lower_level: int
    upper: float
    upper_level: int
    conditions: tuple[str, ...] = (
        "lower: as stated on the slides, without proof there and not derived here; needs k^t < r^j",
        "upper: needs depth 2 j + 2 and width 5 d r as stated; dc.fractal(system, j) has 2 j and 4 d r",
    )


def approximation(values: Any, *, num_maps: int, inputs: int, depth: int, width: int) -> ErrorWindow:
    """The error window of the approximation theorem, for networks of `depth` hidden layers of `width`.

    Upper: `1 - P(j)` for the largest `j` with `depth >= 2 j + 2`, if `width >= 5 d r`. Lower:
    `(1 - r^(s t - j)) (1 - P(j))` for all `s` with `k < r^s` and `t < j / s`; its best value at each `j`
    is the limit `s = log_r k`, so `(1 - k^t / r^j) (1 - P(j))`.

    Args:
        values: the approximation curve, `P(0), ..., P(n)`, such as `distribution.values`.
        num_maps: `r`, at least 2.
        inputs: `d`, at least 1.
        depth: hidden layers `t`, at least 1.
        width: units a layer `k`, at least 1.

    Raises:
        ValueError: a curve that doesn't end at 1, or sizes out of range.

    *Source*: Malach & Shalev-Shwartz, slides, theorem on the approximation curve.

    Example:
        >>> import deepconstruct as dc
        >>> window = dc.bounds.approximation(dc.data.fine(20), num_maps=4, inputs=2, depth=4, width=40)
        >>> round(window.lower, 3), window.upper
        (0.5, 0.5)
    """
    owner = "bounds.approximation"
    curve = _as_values(owner, values)
    r, d = check_size(owner, "num_maps", num_maps, minimum=2), check_size(owner, "inputs", inputs)
    t, k = check_size(owner, "depth", depth), check_size(owner, "width", width)
    levels = np.arange(len(curve))
    reached = min((t - 2) // 2, len(curve) - 1) if k >= 5 * d * r and t >= 2 else 0
    scale = np.array([t * math.log(k) - j * math.log(r) for j in levels])
    lowers = np.where(scale < 0, -np.expm1(np.minimum(scale, 0)) * (1 - curve), 0.0)
    best = int(np.argmax(lowers))
    return ErrorWindow(float(lowers[best]), best, float(1 - curve[reached]), reached)


@dataclasses.dataclass(frozen=True)
class GradientBound:
    """How small all gradients are at random initialization, with high probability.

    Attributes:
        bound: `5 (P(j) - 1/2)`.
        level: `j = ceil(log_(3/2)(t k^2 / delta))`.
        reached: whether the distribution is that deep; if not, `P(j)` is 1 and the bound says nothing.
        conditions: in words.
    """

    bound: float
    level: int
    reached: bool
    conditions: tuple[str, ...] = (
        "the one-dimensional Cantor distribution, and the gradient of its expected loss -y N(x)",
        "weights and biases drawn as usual, such that kinks of units are spread over the interval",
        "the constant 5 is the slides'; measured gradients are 50 to 100 times smaller",
    )


def gradient(values: Any, *, depth: int, width: int, delta: float) -> GradientBound:
    """The bound of all gradients at initialization: `5 (P(j) - 1/2)` with probability above `1 - delta`.

    `K_j` of the Cantor set has measure `(2/3)^j`, and a network has at most about `t k^2` kinks. Where
    none falls into `K_j`, the network is linear on its intervals, and the distribution looks the same
    from both labels there. So `j` is the level at which `t k^2 (2/3)^j <= delta`.

    Args:
        values: the approximation curve, `P(0), ..., P(n)`.
        depth: hidden layers `t`, at least 1.
        width: units a layer `k`, at least 1.
        delta: the probability that is given up, between 0 and 1.

    Raises:
        ValueError: arguments out of range.

    *Source*: Malach & Shalev-Shwartz, slides. Departure: they don't name the base of the logarithm;
    with base e or 3 the bound is violated more often than `delta`, with base 3/2 it is safe.

    Example:
        >>> import deepconstruct as dc
        >>> dc.bounds.gradient(dc.data.fine(30), depth=5, width=20, delta=0.1).level
        25
    """
    owner = "bounds.gradient"
    curve = _as_values(owner, values)
    t, k = check_size(owner, "depth", depth), check_size(owner, "width", width)
    delta = check_scalar(owner, "delta", delta, strict=True)
    if delta >= 1:
        raise ValueError(f"{owner}: delta must be below 1; got {delta}")
    level = max(0, math.ceil(math.log(t * k**2 / delta) / math.log(1.5)))
    reached = level < len(curve)
    return GradientBound(5 * (float(curve[level]) - 0.5 if reached else 0.5), level, reached)


def _as_values(owner: str, values: Any) -> np.ndarray:
    curve = np.asarray(values, np.float64)
    if curve.ndim != 1 or len(curve) < 2 or not np.all(np.diff(curve) >= 0) or curve[0] != 0.5 or curve[-1] != 1:
        raise ValueError(f"{owner}: values must be P(0) = 1/2, ..., P(n) = 1, not falling; got {values!r}")
    return curve
