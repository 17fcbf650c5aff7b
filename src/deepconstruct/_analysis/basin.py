"""The size of a basin of attraction: success rates against noise, and where they halve."""

import dataclasses
import math
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from .._checks import check_size
from .crossing import crossings, observed_bracket
from .wilson import check_confidence, half_between, wilson_intervals


@dataclasses.dataclass(frozen=True, eq=False)
class BasinEstimate:
    """Success against noise. An `interval` holds the true value with the given confidence.

    Attributes:
        noise: the noise scales, increasing.
        successes: how many runs succeeded at each.
        runs: runs a scale.
        rate: `successes / runs`.
        rate_interval: Wilson's interval of every rate, shape `(k, 2)`.
        critical: the noise at which half the runs succeed; NaN where the runs don't say, or say no more than
            the `bracket` in which they jump.
        interval: of the critical noise; 0 and infinity where an end isn't known.
        bracket: the last scale up to which all runs succeeded, and the first from which on none did
            (0 and infinity without one).
        width: of the fitted curve `1 / (1 + exp((noise - critical) / width))`; 0 for a jump.
        method: `"logistic"`, `"separated"` (the runs show a jump, so that no slope fits), or
            `"unknown"` (success doesn't fall through one half within the scales).
        confidence: of all intervals.
    """

    noise: Float[np.ndarray, " k"]
    successes: Int[np.ndarray, " k"]
    runs: int
    rate: Float[np.ndarray, " k"]
    rate_interval: Float[np.ndarray, "k 2"]
    critical: float
    interval: tuple[float, float]
    bracket: tuple[float, float]
    width: float
    method: str
    confidence: float

    def __str__(self) -> str:
        lines = [f"noise     success   {100 * self.confidence:g} % interval"]
        for noise, count, (low, high) in zip(self.noise, self.successes, self.rate_interval, strict=True):
            lines.append(f"{noise:<9.4g} {f'{count}/{self.runs}':<9} {low:.3f} to {high:.3f}")
        critical = "unknown" if math.isnan(self.critical) else f"{self.critical:.4g}"
        if self.method == "separated":
            critical = "in a jump from {:.4g} to {:.4g}".format(*self.bracket)
        low, high = self.interval
        return "\n".join([*lines, f"critical noise {critical} ({self.method}), between {low:.4g} and {high:.4g}"])


def basin(
    noise: Any,
    success: Any,
    *,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> BasinEstimate:
    """Estimate how much noise a network survives, from runs at several noise scales.

    The critical noise is where a logistic curve in the noise, fitted by maximum likelihood, is one
    half. Its interval comes from a bootstrap over seeds: column `j` of `success` is drawn as a whole,
    since runs of one seed at several scales start alike (where they don't, this is right as well).

    Where the runs show a jump, no slope fits best and resampling says nothing: nothing is known then but
    the scales around the jump, so that there is a `bracket` and no critical noise. There, and
    where success doesn't fall through one half within the scales, the interval reaches from the last
    scale at which the rate is above one half by its Wilson interval to the first at which it is
    below, which supposes only that success falls with noise. With 95 %, three runs a scale can't show
    that, so both ends are then unknown.

    Args:
        noise: increasing noise scales of at least 0, shape `(k,)`.
        success: which runs succeeded, booleans of shape `(k, seeds)`.
        confidence: of the intervals, between 0 and 1.
        resamples: of the bootstrap, at least 1.
        seed: of the bootstrap.

    Returns:
        A `BasinEstimate`; print it for a table.

    Raises:
        ValueError: noise that doesn't increase, is negative or not finite; another shape of
            `success`; a confidence outside of 0 to 1; no resamples.
        TypeError: `success` isn't boolean.

    *Exactness*: the bootstrap is approximate, and supposes a curve that is about logistic. In
    simulations with 3, 8 and 32 runs at eight scales, intervals of 95 % held the critical noise in 91 %
    (wide curves) to 100 % (steep ones, where only scales around a jump are known).

    Source: Wilson (1927) for the rates; logistic regression by Newton's method; Efron's percentile
    bootstrap, where a resample that tells only bounds counts with its lower bound for the lower end
    and its upper bound for the upper end.

    Example:
        >>> import deepconstruct as dc, numpy as np
        >>> noise = np.array([0.1, 0.2, 0.3, 0.4])
        >>> thresholds = np.linspace(0.15, 0.35, 32)
        >>> print(dc.basin(noise, noise[:, None] < thresholds))
        noise     success   95 % interval
        0.1       32/32     0.893 to 1.000
        0.2       24/32     0.579 to 0.867
        0.3       8/32      0.133 to 0.421
        0.4       0/32      0.000 to 0.107
        critical noise 0.25 (logistic), between 0.2244 and 0.2757
    """
    scales, table = _checked(noise, success)
    confidence = check_confidence("basin", confidence)
    resamples = check_size("basin", "resamples", resamples)
    runs = table.shape[1]
    counts = table.sum(axis=1)
    point = crossings(scales, counts[None], runs)
    rates = wilson_intervals(counts, runs, confidence)
    fitted, critical = bool(point.fitted[0]), float(point.critical[0])
    method = "logistic" if fitted else "unknown" if math.isnan(critical) else "separated"
    interval = _bootstrap(scales, table, confidence, resamples, seed) if fitted else half_between(scales, rates)
    low, high = observed_bracket(scales, counts[None], runs)
    return BasinEstimate(
        noise=scales,
        successes=counts,
        runs=runs,
        rate=counts / runs,
        rate_interval=rates,
        critical=critical if fitted else math.nan,
        interval=interval,
        bracket=(float(low[0]), float(high[0])),
        width=float(point.width[0]),
        method=method,
        confidence=confidence,
    )


def _checked(noise: Any, success: Any) -> tuple[Float[np.ndarray, " k"], Bool[np.ndarray, "k seeds"]]:
    scales, table = np.array(noise, dtype=np.float64), np.asarray(success)
    if scales.ndim != 1 or not scales.size:
        raise ValueError(f"basin: noise must have shape (k,) with k of at least 1; got {scales.shape}")
    if not np.all(np.isfinite(scales)) or scales[0] < 0 or np.any(np.diff(scales) <= 0):
        raise ValueError(f"basin: noise must increase, be finite and at least 0; got {scales.tolist()}")
    if table.ndim != 2 or table.shape[0] != len(scales) or not table.shape[1]:
        raise ValueError(f"basin: success must have shape ({len(scales)}, seeds); got {table.shape}")
    if table.dtype != np.bool_:
        raise TypeError(f"basin: success must be boolean, such as error < 0.01; got {table.dtype}")
    return scales, table


def _bootstrap(
    noise: Float[np.ndarray, " k"], table: Bool[np.ndarray, "k seeds"], confidence: float, resamples: int, seed: int
) -> tuple[float, float]:
    runs = table.shape[1]
    draws = np.random.default_rng(seed).multinomial(runs, np.full(runs, 1 / runs), size=resamples)
    found = crossings(noise, draws @ table.T.astype(draws.dtype), runs)
    # Without interpolation, which would make NaN of infinite ends.
    low = np.quantile(found.low, (1 - confidence) / 2, method="lower")
    high = np.quantile(found.high, (1 + confidence) / 2, method="higher")
    return float(low), float(high)
