"""The noise at which half the runs fail, by bisection."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from .._checks import check_key, check_scalar, check_size
from .wilson import check_confidence, half_between, wilson_intervals


@dataclasses.dataclass(frozen=True)
class CriticalNoise:
    """Where success falls through one half.

    Attributes:
        critical: the middle of the bracket; NaN where an end of it isn't known.
        bracket: the last scale up to which more than half of these seeds succeed, and the first from
            which on fewer do (0 and infinity where exactly half succeed at the end of the range). They are
            closer than the tolerance, unless the share is exactly one half from one scale to another,
            as it can be for an even number of seeds: then all of that range is between them.
        interval: what the seeds say of all seeds, with the given confidence; 0 and infinity where an
            end isn't known.
        scales: every scale that was run, in increasing order.
        successes: how many seeds succeeded at each.
        runs: runs a scale.
        confidence: of the interval.
    """

    critical: float
    bracket: tuple[float, float]
    interval: tuple[float, float]
    scales: tuple[float, ...]
    successes: tuple[int, ...]
    runs: int
    confidence: float

    def __str__(self) -> str:
        tried = ", ".join(f"{n}/{self.runs} at {s:.4g}" for s, n in zip(self.scales, self.successes, strict=True))
        critical = "unknown" if math.isnan(self.critical) else f"{self.critical:.4g}"
        bracket = "falls through one half between {:.4g} and {:.4g}".format(*self.bracket)
        interval = "between {:.4g} and {:.4g}".format(*self.interval)
        return (
            f"critical noise {critical} ({100 * self.confidence:g} %: {interval})\n"
            f"success of these {self.runs} seeds {bracket}: {tried}"
        )


def critical_noise(
    succeeds: Callable[[PRNGKeyArray, Array], Array],
    *,
    low: float,
    high: float,
    tolerance: float,
    seeds: int,
    confidence: float = 0.95,
    key: PRNGKeyArray,
) -> CriticalNoise:
    """Find the noise at which half the runs succeed, by bisection.

    All scales are run with the same keys, so that the share of successes falls as one curve. A run
    counts as failed if its answer is false, so NaN in `error < limit` is a failure. Where each seed
    succeeds up to a threshold of its own, the critical noise is the median of these seeds' thresholds.

    The interval reaches from the last scale at which the rate is above one half by its Wilson interval
    to the first at which it is below; both are found by bisection, too. Where each seed succeeds up to
    a threshold of its own, this is the interval of order statistics for their median.

    Args:
        succeeds: `succeeds(key, scale)` gives one boolean; written in JAX (it is vmapped over keys and
            compiled once). The scale comes as an array of shape `()`.
        low: a scale of at least 0 at which at least half the seeds succeed.
        high: a scale above `low` at which at most half succeed.
        tolerance: how wide the last bracket may be, and how far outward an end of the interval.
        seeds: runs a scale, at least 1, all at once.
        confidence: of the interval, between 0 and 1.
        key: a PRNG key.

    Returns:
        A `CriticalNoise`, after at most about `4 log2((high - low) / tolerance) + 2` scales.

    Raises:
        ValueError: fewer than half the seeds succeed at `low`, or more than half at `high`; `low` not
            below `high`; a tolerance that the dtype can't reach.
        TypeError: `succeeds` doesn't give one boolean.

    Source: Nye & Saxe (2018), Fig. 1 shows the curves; the bisection is ours.

    Example:
        >>> import deepconstruct as dc, jax
        >>> xor, x = dc.parity(8), dc.domains.Bits(8).enumerate(jax.numpy.arange(256))
        >>> def survives(key, scale):
        ...     return abs(dc.perturb(xor, scale, key=key)(x) - xor(x)).max() < 0.5
        >>> found = dc.critical_noise(survives, low=0, high=2, tolerance=0.01, seeds=32, key=jax.random.key(0))
        >>> 0.05 < found.critical < 0.1
        True
    """
    seeds = check_size("critical_noise", "seeds", seeds)
    confidence = check_confidence("critical_noise", confidence)
    check_key("critical_noise", key)
    low, high, tolerance = _checked(low, high, tolerance)
    count = _counter(succeeds, jax.random.split(key, seeds))
    tried = {low: count(low), high: count(high)}
    if 2 * tried[low] < seeds:
        raise ValueError(f"critical_noise: at least half must succeed at low={low:g}; got {tried[low]} of {seeds}")
    if 2 * tried[high] > seeds:
        raise ValueError(f"critical_noise: at most half may succeed at high={high:g}; got {tried[high]} of {seeds}")
    # More than half of the seeds, and half of them: the same for an odd number.
    start, _ = _bisect(tried, count, seeds // 2 + 1, tolerance)
    _, end = _bisect(tried, count, (seeds + 1) // 2, tolerance)
    # As many as show a rate above one half, and as few as show one below.
    rates = wilson_intervals(np.arange(seeds + 1), seeds, confidence)
    _bisect(tried, count, int(np.sum(rates[:, 0] <= 0.5)), tolerance)
    _bisect(tried, count, int(np.sum(rates[:, 1] < 0.5)), tolerance)
    scales = tuple(sorted(tried))
    successes = tuple(tried[scale] for scale in scales)
    interval = half_between(np.array(scales), rates[list(successes)])
    critical = (start + end) / 2 if math.isfinite(start) and math.isfinite(end) else math.nan
    return CriticalNoise(critical, (max(start, 0.0), end), interval, scales, successes, seeds, confidence)


def _bisect(
    tried: dict[float, int], count: Callable[[float], int], needed: int, tolerance: float
) -> tuple[float, float]:
    """Try scales until those between which the count falls below `needed` are close; infinite if outside."""
    scales = sorted(tried)
    enough = [tried[scale] >= needed for scale in scales]
    if not enough[0]:
        return -math.inf, scales[0]
    if all(enough):
        return scales[-1], math.inf
    first = enough.index(False)
    low, high = scales[first - 1], scales[first]
    while high - low > tolerance:
        middle = float(_in_dtype((low + high) / 2))
        tried[middle] = count(middle)
        low, high = (middle, high) if tried[middle] >= needed else (low, middle)
    return low, high


def _in_dtype(scale: float) -> np.ndarray:
    """A scale as runs get it: in 32 bits, unless x64 is on."""
    return np.asarray(scale, dtype=jnp.result_type(float))


def _checked(low: Any, high: Any, tolerance: Any) -> tuple[float, float, float]:
    low = float(_in_dtype(check_scalar("critical_noise", "low", low)))
    high = float(_in_dtype(check_scalar("critical_noise", "high", high)))
    tolerance = check_scalar("critical_noise", "tolerance", tolerance, strict=True)
    if low >= high:
        raise ValueError(f"critical_noise: low must be below high; got {low:g} and {high:g}")
    floor = float(np.spacing(_in_dtype(high)))
    if tolerance < floor:
        raise ValueError(
            f"critical_noise: scales near {high:g} are {floor:.2g} apart in {_in_dtype(high).dtype.name}, "
            f"so tolerance must be at least that; got {tolerance:g}"
        )
    return low, high, tolerance


def _counter(succeeds: Callable[[PRNGKeyArray, Array], Array], keys: PRNGKeyArray) -> Callable[[float], int]:
    """How many of the keys succeed at a scale, by one compiled program."""
    run = jax.jit(jax.vmap(succeeds, in_axes=(0, None)))
    given = run.eval_shape(keys, jnp.asarray(_in_dtype(0.0)))
    shape, dtype = getattr(given, "shape", None), getattr(given, "dtype", None)
    if shape != (len(keys),) or dtype != jnp.bool_:
        got = type(given).__name__ if shape is None else f"{dtype} of shape {shape[1:]}"
        raise TypeError(f"critical_noise: succeeds must give one boolean, such as error < 0.01; got {got}")
    return lambda scale: int(np.count_nonzero(run(keys, jnp.asarray(_in_dtype(scale)))))
