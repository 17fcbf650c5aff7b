"""Success rates and the critical noise of a table of runs: against scipy, grids over likelihoods, and simulations."""

# Wrong arguments are the point of some tests.
# pyright: reportArgumentType=false

import itertools
import math

import numpy as np
import pytest
from scipy.stats import binomtest

import deepconstruct as dc

SCALES = np.array([0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0])


def table(counts, runs):
    """Runs of which the first ones succeed, as many as asked for at each scale."""
    return np.arange(runs) < np.asarray(counts)[:, None]


def of_counts(counts, runs, noise=None, **options):
    noise = np.arange(1.0, len(counts) + 1) if noise is None else noise
    return dc.basin(noise, table(counts, runs), **options)


def wilson(successes, runs, confidence=0.95):
    found = binomtest(successes, runs).proportion_ci(confidence, method="wilson")
    return found.low, found.high


# Rates --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("runs", [1, 2, 3, 7, 32, 101])
@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
def test_rates_have_scipys_wilson_intervals(runs, confidence):
    counts = np.arange(runs + 1)
    found = of_counts(counts, runs, confidence=confidence, resamples=1)
    expected = [wilson(int(count), runs, confidence) for count in counts]
    np.testing.assert_allclose(found.rate_interval, expected, rtol=1e-12, atol=1e-15)


def test_the_record_repeats_what_was_counted():
    found = of_counts([4, 2, 0], 4, noise=[0.0, 0.5, 2.0], confidence=0.9)
    assert found.noise.tolist() == [0.0, 0.5, 2.0]
    assert found.successes.tolist() == [4, 2, 0]
    assert found.rate.tolist() == [1.0, 0.5, 0.0]
    assert (found.runs, found.confidence) == (4, 0.9)


def test_no_run_is_certain_to_succeed_or_fail():
    found = of_counts([3, 0], 3)
    assert found.rate_interval[0, 1] == 1
    assert found.rate_interval[1, 0] == 0
    assert 0.4 < found.rate_interval[0, 0] < 0.5 < found.rate_interval[1, 1] < 0.6


# The fit ------------------------------------------------------------------------------------------


def log_likelihood(noise, counts, runs, critical, width):
    logits = (np.asarray(critical)[..., None] - noise) / np.asarray(width)[..., None]
    return np.sum(counts * logits - runs * np.logaddexp(0, logits), axis=-1)


def separates(counts, runs):
    """Whether no run failed below a scale at which one succeeded, run by run."""
    outcomes = [(k, run) for k, row in enumerate(table(counts, runs)) for run in row]
    return not any(not a and b and i < j for (i, a), (j, b) in itertools.product(outcomes, outcomes))


ALL_TABLES = list(itertools.product(range(4), repeat=4))


@pytest.fixture(scope="module")
def all_found():
    return {counts: of_counts(counts, 3, resamples=1) for counts in ALL_TABLES}


def test_no_curve_of_a_fine_grid_is_likelier_than_the_fit(all_found):
    noise = np.arange(1.0, 5.0)
    critical, width = np.meshgrid(np.linspace(-4, 9, 261), np.geomspace(0.01, 100, 121))
    fitted = {counts: found for counts, found in all_found.items() if found.method == "logistic"}
    assert len(fitted) > 50
    for counts, found in fitted.items():
        best = log_likelihood(noise, np.array(counts), 3, critical, width).max()
        assert log_likelihood(noise, np.array(counts), 3, found.critical, found.width) >= best


def test_the_fit_is_where_its_likelihood_is_flat(all_found):
    noise = np.arange(1.0, 5.0)
    for counts, found in all_found.items():
        if found.method == "logistic":
            rate = 1 / (1 + np.exp((noise - found.critical) / found.width))
            missing = np.array(counts) - 3 * rate
            np.testing.assert_allclose([missing.sum(), missing @ noise], 0, atol=1e-9)


def test_a_jump_is_told_from_a_slope(all_found):
    for counts, found in all_found.items():
        if found.method == "separated":
            assert separates(counts, 3)
        if found.method == "logistic":
            assert not separates(counts, 3)
            assert found.width > 0


def test_what_does_not_fall_through_one_half_within_the_scales_has_no_critical_noise(all_found):
    noise = np.arange(1.0, 5.0)
    critical, width = np.meshgrid(np.linspace(1, 4, 121), np.geomspace(0.01, 100, 121))
    unknown = [counts for counts, found in all_found.items() if found.method == "unknown"]
    assert {(0, 0, 0, 0), (3, 3, 3, 3), (0, 1, 2, 3), (2, 2, 2, 2)} <= set(unknown)
    for counts in unknown:
        # Whatever crosses there is less likely than some curve that crosses elsewhere, or than none.
        inside = log_likelihood(noise, np.array(counts), 3, critical, width).max()
        elsewhere = np.meshgrid([-1e4, -30, 0, 0.9, 4.1, 6, 40, 1e4], width[:, 0])
        far = log_likelihood(noise, np.array(counts), 3, *elsewhere)
        share = np.clip(np.mean(counts) / 3, 1e-12, 1 - 1e-12)
        constant = np.sum(np.array(counts) * np.log(share) + (3 - np.array(counts)) * np.log(1 - share))
        assert inside <= max(far.max(), constant) + 1e-2, counts


def test_intervals_and_brackets_hold_the_critical_noise(all_found):
    for found in all_found.values():
        assert found.bracket[0] <= found.bracket[1]
        if not math.isnan(found.critical):
            assert found.bracket[0] <= found.critical <= found.bracket[1]
        if found.method == "separated":
            assert found.interval[0] <= found.bracket[0] <= found.bracket[1] <= found.interval[1]


@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_the_fit_scales_with_the_noise(unit):
    counts, noise = [30, 24, 9, 1], np.array([0.0, 1.0, 2.0, 3.0])
    one, other = of_counts(counts, 32, noise=noise), of_counts(counts, 32, noise=unit * noise)
    np.testing.assert_allclose([other.critical, other.width], [unit * one.critical, unit * one.width], rtol=1e-9)
    np.testing.assert_allclose(other.interval, unit * np.array(one.interval), rtol=1e-9)


def test_a_steep_fit_of_many_runs_converges():
    found = of_counts([100_000, 99_999, 50_001, 1, 0], 100_000, resamples=3)
    rate = 1 / (1 + np.exp((found.noise - found.critical) / found.width))
    np.testing.assert_allclose((found.successes - 1e5 * rate).sum(), 0, atol=1e-5)
    assert found.critical == pytest.approx(3, abs=1e-4)


# Where no slope fits ------------------------------------------------------------------------------


def test_a_jump_between_scales_is_known_to_them_and_no_better():
    found = of_counts([8, 8, 0, 0], 8)
    assert math.isnan(found.critical)
    assert (found.bracket, found.interval) == ((2, 3), (2, 3))
    assert "critical noise in a jump from 2 to 3 (separated), between 2 and 3" in str(found)
    assert (found.method, found.width) == ("separated", 0)


@pytest.mark.parametrize(
    "counts,bracket",
    [([8, 8, 3, 0], (2, 7)), ([8, 8, 5, 0], (2, 7)), ([3, 0, 0, 0], (0, 2)), ([8, 8, 8, 3], (3, math.inf))],
)
def test_a_jump_at_a_scale_is_known_to_its_neighbors(counts, bracket):
    found = of_counts(counts, 8, noise=[1, 2, 3, 7])
    assert math.isnan(found.critical)
    assert (found.bracket, found.interval) == (bracket, bracket)
    assert (found.method, found.width) == ("separated", 0)


def test_a_jump_is_the_limit_of_ever_steeper_fits():
    # The mixed scale's rate is met by any slope; what is left grows with it.
    noise, counts = np.arange(1.0, 5.0), np.array([8, 8, 3, 0])
    steeper = [log_likelihood(noise, counts, 8, 3 + w * np.log(3 / 5), w) for w in (1.0, 0.3, 0.1, 0.03)]
    assert np.all(np.diff(steeper) > 0)


@pytest.mark.parametrize("runs,interval", [(1, (0, math.inf)), (3, (0, math.inf)), (4, (2, 3))])
def test_few_runs_show_little_of_a_jump(runs, interval):
    found = of_counts([runs, runs, 0, 0], runs)
    assert (found.method, found.bracket, found.interval) == ("separated", (2, 3), interval)


def test_success_everywhere_says_only_that_the_critical_noise_is_larger():
    found = of_counts([8, 8, 8], 8)
    assert math.isnan(found.critical)
    assert math.isnan(found.width)
    assert (found.bracket, found.interval, found.method) == ((3, math.inf), (3, math.inf), "unknown")


def test_failure_everywhere_says_only_that_the_critical_noise_is_smaller():
    found = of_counts([0, 0, 0], 8)
    assert math.isnan(found.critical)
    assert (found.bracket, found.interval, found.method) == ((0, 1), (0, 1), "unknown")


@pytest.mark.parametrize("counts", [[0, 8], [1, 2, 7], [4, 4, 4], [3, 0, 3]])
def test_success_that_does_not_fall_tells_no_critical_noise(counts):
    found = of_counts(counts, 8)
    assert math.isnan(found.critical)
    assert found.method == "unknown"


def test_a_crossing_beyond_the_scales_is_not_extrapolated():
    found = of_counts([13, 6, 3, 1], 32)
    assert math.isnan(found.critical)
    assert found.interval[0] == 0


@pytest.mark.parametrize("count,interval", [(0, (0, 1)), (4, (0, math.inf)), (8, (1, math.inf))])
def test_one_scale_tells_only_a_side(count, interval):
    found = of_counts([count], 8)
    assert math.isnan(found.critical)
    assert found.interval == interval


# The bootstrap ------------------------------------------------------------------------------------


def sampled(random, runs, width, shared, critical=0.42):
    if shared:  # each seed succeeds up to a threshold of its own
        return SCALES[:, None] < critical + width * random.logistic(size=runs)
    return random.random((len(SCALES), runs)) < 1 / (1 + np.exp((SCALES - critical) / width))[:, None]


@pytest.mark.slow
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("runs,width", [(3, 0.06), (8, 0.06), (32, 0.03), (32, 0.1)])
def test_intervals_hold_the_critical_noise_about_as_often_as_they_say(runs, width, shared):
    random = np.random.default_rng(5)
    found = [dc.basin(SCALES, sampled(random, runs, width, shared), resamples=200, seed=r) for r in range(150)]
    held = np.mean([estimate.interval[0] <= 0.42 <= estimate.interval[1] for estimate in found])
    assert held >= 0.88


def test_intervals_of_lower_confidence_hold_it_less_often():
    random = np.random.default_rng(6)
    found = [dc.basin(SCALES, sampled(random, 32, 0.1, False), confidence=0.5, resamples=200) for _ in range(150)]
    held = np.mean([estimate.interval[0] <= 0.42 <= estimate.interval[1] for estimate in found])
    assert 0.37 <= held <= 0.63


def test_seeds_are_drawn_with_all_their_scales():
    # The same counts: where seeds are good or bad at all scales, the crossing is known less well.
    random = np.random.default_rng(7)
    shared = sampled(random, 64, 0.1, True)
    apart = random.permuted(shared, axis=1)
    together, shuffled = dc.basin(SCALES, shared), dc.basin(SCALES, apart)
    assert together.critical == shuffled.critical
    assert np.diff(together.interval) > 1.15 * np.diff(shuffled.interval)


def test_more_runs_give_a_narrower_interval():
    random = np.random.default_rng(8)
    few, many = (dc.basin(SCALES, sampled(random, runs, 0.1, False)) for runs in (16, 256))
    assert 2.5 < np.diff(few.interval)[0] / np.diff(many.interval)[0] < 6.5


def test_the_same_seed_gives_the_same_interval_and_another_one_hardly_another():
    success = sampled(np.random.default_rng(9), 32, 0.1, False)
    one, same, other = (dc.basin(SCALES, success, seed=seed).interval for seed in (0, 0, 1))
    assert one == same
    assert one != other
    np.testing.assert_allclose(one, other, atol=0.01)


def test_the_table_shows_rates_and_critical_noise():
    lines = str(of_counts([4, 3, 2, 0], 4, noise=[0.1, 0.2, 0.3, 0.4])).splitlines()
    assert lines[0].split() == ["noise", "success", "95", "%", "interval"]
    assert lines[2].split() == ["0.2", "3/4", "0.301", "to", "0.954"]
    assert lines[-1].startswith("critical noise 0.2")
    assert "critical noise unknown (unknown), between 2 and inf" in str(of_counts([8, 8], 8))


BAD_TABLES = [
    (ValueError, r"basin: noise must have shape \(k,\).*; got \(\)", 0.5, [[True]], {}),
    (ValueError, r"basin: noise must have shape \(k,\).*; got \(0,\)", [], np.zeros((0, 3), bool), {}),
    (ValueError, r"basin: noise must increase, .*; got \[0.2, 0.1\]", [0.2, 0.1], table([1, 1], 2), {}),
    (ValueError, "basin: noise must increase", [0.1, 0.1], table([1, 1], 2), {}),
    (ValueError, "basin: noise must increase, be finite and at least 0", [-0.1, 0.1], table([1, 1], 2), {}),
    (ValueError, "basin: noise must increase", [0.1, math.nan], table([1, 1], 2), {}),
    (ValueError, "basin: noise must increase", [0.1, math.inf], table([1, 1], 2), {}),
    (ValueError, r"basin: success must have shape \(2, seeds\); got \(3, 2\)", [1, 2], table([1, 1, 1], 2), {}),
    (ValueError, r"basin: success must have shape \(2, seeds\); got \(2,\)", [1, 2], [True, False], {}),
    (ValueError, r"basin: success must have shape \(1, seeds\); got \(1, 0\)", [1], np.zeros((1, 0), bool), {}),
    (TypeError, "basin: success must be boolean, .*; got float64", [1], [[0.5]], {}),
    (ValueError, "basin: confidence must be below 1; got 1.0", [1], [[True]], {"confidence": 1.0}),
    (ValueError, "basin: confidence must be finite and above 0; got 0", [1], [[True]], {"confidence": 0}),
    (ValueError, "basin: resamples must be at least 1; got 0", [1], [[True]], {"resamples": 0}),
]


@pytest.mark.parametrize("error,message,noise,success,options", BAD_TABLES)
def test_bad_tables_are_refused(error, message, noise, success, options):
    with pytest.raises(error, match=message):
        dc.basin(noise, success, **options)
