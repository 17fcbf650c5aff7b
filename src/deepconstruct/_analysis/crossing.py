"""Where success falls through one half: logistic fits of many tables of counts."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

_STEPS, _HALVINGS = 100, 40

Counts = Int[np.ndarray, "tables k"]
Values = Float[np.ndarray, " tables"]


class Crossings(NamedTuple):
    """For each table: the scale at which success is one half, what the table says of it, and the width.

    `critical` is NaN where a table gives no number. The crossing lies between `low` and `high`, which
    are both `critical` where a logistic curve was fitted.
    """

    critical: Values
    low: Values
    high: Values
    width: Values
    fitted: Bool[np.ndarray, " tables"]


def crossings(noise: Float[np.ndarray, " k"], successes: Counts, runs: int) -> Crossings:
    """Maximum-likelihood crossings of falling logistic curves, within the scales that were run.

    Successes at the lower scales and failures at the higher ones, with at most one scale that has
    both, separate: the likelihood grows with the slope without end. Then only the scales around the
    jump are known, and `critical` is the limit, or the middle between the two scales if no scale has both.
    """
    low, high = observed_bracket(noise, successes, runs)
    last_success, first_failure = _ends(successes, runs)
    one_step = (last_success >= 0) & (last_success + 1 == first_failure) & (first_failure < len(noise))
    one_mixed = (last_success == first_failure) & (len(noise) > 1)
    critical = np.full(len(successes), math.nan)
    critical[one_step] = (low[one_step] + high[one_step]) / 2
    critical[one_mixed] = noise[first_failure[one_mixed]]
    width = np.where(one_step | one_mixed, 0.0, math.nan)
    fitted = (last_success > first_failure) & (_slope_sign(noise, successes) < 0)
    # What overlaps and doesn't fall tells nothing.
    flat = (last_success > first_failure) & ~fitted
    low[flat], high[flat] = 0.0, math.inf
    if fitted.any():
        found, width[fitted] = _fit(noise, successes[fitted], runs)
        low[fitted], high[fitted] = _within(noise, found)
        critical[fitted] = np.where((found >= noise[0]) & (found <= noise[-1]), found, math.nan)
        fitted &= np.isfinite(critical)
    return Crossings(critical, low, high, np.where(np.isnan(critical), math.nan, width), fitted)


def observed_bracket(noise: Float[np.ndarray, " k"], successes: Counts, runs: int) -> tuple[Values, Values]:
    """The last scale up to which all runs succeeded, and the first from which on none did (or 0, infinity)."""
    last_success, first_failure = _ends(successes, runs)
    padded = np.concatenate([[0.0], noise, [math.inf]])
    return padded[first_failure], padded[last_success + 2]


def _ends(successes: Counts, runs: int) -> tuple[np.ndarray, np.ndarray]:
    """The indices of the last scale with a success (-1) and of the first one with a failure (`k`)."""
    k = successes.shape[1]
    some, missing = successes > 0, successes < runs
    last = np.where(some.any(axis=1), k - 1 - np.argmax(some[:, ::-1], axis=1), -1)
    return last, np.where(missing.any(axis=1), np.argmax(missing, axis=1), k)


def _slope_sign(noise: Float[np.ndarray, " k"], successes: Counts) -> Values:
    """The sign of the fitted slope: that of the likelihood's gradient where the curve is flat."""
    covariance = successes @ (noise - noise.mean())
    # Equal counts leave a rounding of either sign.
    return np.where(np.ptp(successes, axis=1) == 0, 0.0, np.sign(covariance))


def _within(noise: Float[np.ndarray, " k"], found: Values) -> tuple[Values, Values]:
    """A crossing beyond the scales that were run is only known to lie there."""
    below, above = found < noise[0], found > noise[-1]
    low = np.where(below, 0.0, np.where(above, noise[-1], found))
    return low, np.where(above, math.inf, np.where(below, noise[0], found))


def _fit(noise: Float[np.ndarray, " k"], successes: Counts, runs: int) -> tuple[Values, Values]:
    """Crossing and width of `1 / (1 + exp((noise - crossing) / width))` for overlapping, falling tables."""
    middle, spread = noise.mean(), noise.std()
    t = (noise - middle) / spread
    design = np.stack([np.ones_like(t), t])
    rate = successes.mean(axis=1) / runs
    params = np.stack([np.log(rate / (1 - rate)), np.zeros_like(rate)], axis=1)
    for _ in range(_STEPS):
        step = _newton_step(params, design, successes, runs)
        params = params + step
        if np.all(np.abs(step) <= 1e-12 * (1 + np.abs(params))):
            break
    return middle - spread * params[:, 0] / params[:, 1], -spread / params[:, 1]


def _newton_step(params: np.ndarray, design: np.ndarray, successes: Counts, runs: int) -> np.ndarray:
    """Newton's step, halved until the likelihood doesn't fall: it is concave, so this converges."""
    rate = 1 / (1 + np.exp(-np.clip(params @ design, -500, 500)))
    gradient = (successes - runs * rate) @ design.T
    curvature = np.einsum("rk,ik,jk->rij", runs * rate * (1 - rate), design, design)
    step = np.linalg.solve(curvature, gradient[:, :, None])[:, :, 0]
    before = _log_likelihood(params, design, successes, runs)
    for _ in range(_HALVINGS):
        worse = _log_likelihood(params + step, design, successes, runs) < before - 1e-12 * np.abs(before)
        if not worse.any():
            break
        step[worse] /= 2
    return step


def _log_likelihood(params: np.ndarray, design: np.ndarray, successes: Counts, runs: int) -> Values:
    logits = params @ design
    return np.sum(successes * logits - runs * np.logaddexp(0, logits), axis=1)
