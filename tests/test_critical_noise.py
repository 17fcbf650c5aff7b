"""Bisection for the critical noise: against sorted thresholds, scipy and simulations."""

# Wrong arguments are the point of some tests.
# pyright: reportArgumentType=false

import math
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import binomtest

import deepconstruct as dc

KEY = jax.random.key(0)


def threshold(key):
    return jax.random.uniform(key)


def below_threshold(key, scale):
    return scale < threshold(key)


def find(seeds=33, tolerance=1e-3, key=KEY, succeeds=below_threshold, low=0, high=1, **options):
    return dc.critical_noise(succeeds, low=low, high=high, tolerance=tolerance, seeds=seeds, key=key, **options)


def thresholds(seeds, key=KEY):
    return np.asarray(jax.vmap(threshold)(jax.random.split(key, seeds)))


def wilson(successes, runs, confidence=0.95):
    found = binomtest(successes, runs).proportion_ci(confidence, method="wilson")
    return found.low, found.high


BETWEEN_TWO = np.median(thresholds(2))


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("seeds", [1, 2, 5, 32, 33])
def test_bisection_closes_in_on_the_median_of_thresholds(seeds):
    found = find(seeds)
    ordered = np.sort(thresholds(seeds))
    # Below the first more than half succeed, above the second fewer; they are one for an odd number.
    first, second = ordered[(seeds - 1) // 2], ordered[seeds // 2]
    assert first - 1e-3 <= found.bracket[0] <= first
    assert second <= found.bracket[1] <= second + 1e-3
    assert found.critical == sum(found.bracket) / 2 == pytest.approx(np.median(ordered), abs=1e-3)


def to_one_of_two(key, scale):
    """One of two seeds succeeds up to 0.2, the other up to 0.8."""
    return scale < jnp.where(threshold(key) < BETWEEN_TWO, 0.2, 0.8)


def test_where_exactly_half_succeed_the_critical_noise_is_no_end_of_the_range():
    found = find(2, 1e-3, succeeds=to_one_of_two)
    assert found.bracket == (pytest.approx(0.2, abs=1e-3), pytest.approx(0.8, abs=1e-3))
    assert found.critical == pytest.approx(0.5, abs=1e-3)
    assert "critical noise 0.5" in str(found)
    assert "falls through one half between 0.1992 and 0.8008" in str(found)


@pytest.mark.parametrize(
    "low,high,bracket", [(0.3, 0.9, (0, 0.8)), (0.1, 0.7, (0.2, math.inf)), (0.3, 0.7, (0, math.inf))]
)
def test_an_end_of_the_range_at_which_half_succeed_is_no_critical_noise(low, high, bracket):
    found = find(2, 1e-3, succeeds=to_one_of_two, low=low, high=high)
    assert math.isnan(found.critical)
    assert found.bracket == pytest.approx(bracket, abs=1e-3)
    assert "critical noise unknown" in str(found)


def test_every_scale_that_was_run_is_told_with_its_count():
    found = find(32)
    limits = thresholds(32)
    assert found.successes == tuple(int(np.sum(scale < limits)) for scale in found.scales)
    assert found.scales == tuple(sorted(set(found.scales)))
    assert (found.scales[0], found.scales[-1], found.runs) == (0, 1, 32)
    assert len(found.scales) <= 2 + 4 * math.ceil(math.log2(1 / 1e-3))


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("seeds,confidence", [(4, 0.95), (15, 0.5), (64, 0.9)])
def test_the_interval_is_that_of_order_statistics(seeds, confidence):
    found = find(seeds, confidence=confidence)
    intervals = [wilson(count, seeds, confidence) for count in range(seeds + 1)]
    needed = min(count for count, (low, _) in enumerate(intervals) if low > 0.5)
    allowed = max(count for count, (_, high) in enumerate(intervals) if high < 0.5)
    ordered = np.sort(thresholds(seeds))
    # Scales up to the first are survived by at least `needed` seeds; from the second on by at most `allowed`.
    ends = ordered[seeds - needed], ordered[seeds - allowed - 1]
    assert ends[0] - 1e-3 <= found.interval[0] <= ends[0]
    assert ends[1] <= found.interval[1] <= ends[1] + 1e-3
    assert found.interval[0] < found.bracket[0] < found.bracket[1] < found.interval[1]


@pytest.mark.slow
def test_intervals_of_the_bisection_hold_the_median():
    with jax.disable_jit():  # compiling would take longer
        found = [find(16, 0.05, jax.random.key(seed)) for seed in range(60)]
    held = np.mean([estimate.interval[0] <= 0.5 <= estimate.interval[1] for estimate in found])
    assert held >= 0.88
    assert np.median([np.diff(estimate.interval) for estimate in found]) < 0.6


def test_few_seeds_leave_the_interval_open():
    assert find(3, 0.1).interval == (0, math.inf)


def test_the_function_is_traced_once():
    traces = []

    def counting(key, scale):
        traces.append(scale.shape)
        return below_threshold(key, scale)

    find(8, 1e-4, succeeds=counting)
    assert traces == [()]


def test_nan_is_a_failure():
    def diverges(key, scale):
        return jnp.where(scale > 0.25, jnp.nan, 0.0) < 0.01

    assert find(4, 1e-3, succeeds=diverges).critical == pytest.approx(0.25, abs=1e-3)


def test_half_of_the_seeds_are_enough_at_both_ends():
    median = np.median(thresholds(4))

    def even(key, scale):
        return threshold(key) < median

    found = find(4, 0.1, succeeds=even)
    assert found.successes == (2, 2)
    assert math.isnan(found.critical)
    assert (found.bracket, found.interval) == ((0, math.inf), (0, math.inf))


def test_bisection_agrees_with_the_fit_on_a_grid():
    noise = np.linspace(0.05, 0.95, 10)
    success = noise[:, None] < thresholds(200)
    assert find(200).critical == pytest.approx(dc.basin(noise, success).critical, abs=0.06)


def test_the_record_of_a_bisection_is_readable():
    lines = str(find(4, 0.3)).splitlines()
    assert lines[0].startswith("critical noise 0.")
    assert "(95 %: between" in lines[0]
    assert lines[1].startswith("success of these 4 seeds falls through one half between 0.")
    assert ": 4/4 at 0, " in lines[1]


def test_scales_are_those_that_32_bits_hold():
    code = (
        "import deepconstruct as dc, jax, numpy as np\n"
        "found = dc.critical_noise(lambda key, s: s < 0.3, low=0.1, high=0.7, tolerance=1e-6, seeds=2,\n"
        "                          key=jax.random.key(0))\n"
        "assert all(s == float(np.float32(s)) for s in found.scales)\n"
        "assert found.bracket[0] < np.float32(0.3) <= found.bracket[1]\n"
        "try:\n"
        "    dc.critical_noise(lambda key, s: s < 1, low=0, high=2, tolerance=1e-9, seeds=2, key=jax.random.key(0))\n"
        "except ValueError as error:\n"
        "    assert 'apart in float32, so tolerance must be at least that; got 1e-09' in str(error), error\n"
        "else:\n"
        "    raise SystemExit('not refused')\n"
    )
    environment = {**os.environ, "JAX_ENABLE_X64": "0"}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert result.returncode == 0, result.stderr


BAD_BISECTIONS = [
    (ValueError, "critical_noise: at least half must succeed at low=0.9; got . of 8", {"low": 0.9}),
    (ValueError, "critical_noise: at most half may succeed at high=0.01; got . of 8", {"high": 0.01}),
    (ValueError, "critical_noise: low must be below high; got 1 and 1", {"low": 1}),
    (ValueError, "critical_noise: low must be finite and at least 0; got -1", {"low": -1}),
    (ValueError, "critical_noise: high must be finite and at least 0; got inf", {"high": math.inf}),
    (ValueError, "critical_noise: tolerance must be finite and above 0; got 0", {"tolerance": 0}),
    (ValueError, "critical_noise: scales near 1 are .* apart in float64, so tolerance", {"tolerance": 1e-17}),
    (ValueError, "critical_noise: seeds must be at least 1; got 0", {"seeds": 0}),
    (ValueError, "critical_noise: confidence must be below 1; got 2", {"confidence": 2}),
    (TypeError, "critical_noise: key must be one PRNG key", {"key": 3}),
    (
        TypeError,
        r"critical_noise: succeeds must give one boolean, .*; got float64 of shape \(\)",
        {"succeeds": lambda key, s: s},
    ),
    (
        TypeError,
        r"critical_noise: succeeds must give one boolean, .*; got bool of shape \(2,\)",
        {"succeeds": lambda key, s: jnp.stack([s < 1, s < 2])},
    ),
    (TypeError, "succeeds must give one boolean, .*; got tuple", {"succeeds": lambda key, s: (s < 1, s)}),
]


@pytest.mark.parametrize("error,message,options", BAD_BISECTIONS)
def test_bad_bisections_are_refused(error, message, options):
    with pytest.raises(error, match=message):
        find(**{"seeds": 8, **options})
