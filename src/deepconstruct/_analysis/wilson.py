"""Score intervals of success rates, and between which scales they pass one half."""

import math
from statistics import NormalDist
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from .._checks import check_scalar


def check_confidence(owner: str, confidence: Any) -> float:
    """Return `confidence` as a float strictly between 0 and 1."""
    number = check_scalar(owner, "confidence", confidence, strict=True)
    if number >= 1:
        raise ValueError(f"{owner}: confidence must be below 1; got {confidence!r}")
    return number


def wilson_intervals(successes: Int[np.ndarray, " k"], runs: int, confidence: float) -> Float[np.ndarray, "k 2"]:
    """Wilson's score interval of every rate: the rates that lie within `z` of their own standard errors."""
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    rate = successes / runs
    center = (rate + z**2 / (2 * runs)) / (1 + z**2 / runs)
    half = z / (1 + z**2 / runs) * np.sqrt(rate * (1 - rate) / runs + (z / (2 * runs)) ** 2)
    # The two ends that are 0 and 1 come out rounded.
    low = np.where(successes == 0, 0.0, center - half)
    high = np.where(successes == runs, 1.0, center + half)
    return np.stack([low, high], axis=1)


def half_between(noise: Float[np.ndarray, " k"], intervals: Float[np.ndarray, "k 2"]) -> tuple[float, float]:
    """The scales between which a rate that falls with the noise passes one half, whatever its curve.

    The first is the last scale up to which every interval lies above one half (0 without one); the
    second is the first from which on every interval lies below (infinite without one). Scales are
    tested in a fixed order, each only if all before it were told from one half, so that each end is
    wrong as seldom as one interval, however many scales there are.
    """
    padded = np.concatenate([[0.0], noise, [math.inf]])
    above, below = intervals[:, 0] > 0.5, intervals[:, 1] < 0.5
    return float(padded[np.cumprod(above).sum()]), float(padded[len(noise) + 1 - np.cumprod(below[::-1]).sum()])
