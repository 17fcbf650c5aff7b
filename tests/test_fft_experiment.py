"""The basin of the FFT: that it is what it says it is, at both ends of the noise."""

import jax
import numpy as np
import optax
import pytest

import deepconstruct as dc
from deepconstruct.experiments import fft_basin

SETTING = {"n": 4, "scales": (0.0, 0.05, 1.0), "seeds": 2, "steps": 500, "learning_rate": 5e-3, "progress": False}


@pytest.fixture(scope="module")
def trained():
    return fft_basin(**SETTING, key=jax.random.key(0))


@pytest.mark.slow
@pytest.mark.parametrize("n", [2, 16])
def test_the_construction_needs_its_synapses(n):
    basin = fft_basin(n, scales=(0.0,), seeds=1, steps=1, learning_rate=0.0, progress=False, key=jax.random.key(0))
    assert basin.synapses == dc.cost(dc.fft(n)).synapses
    assert basin.trained.counts[-1] == n * n * np.log2(n)
    assert float(basin.exact.optimal()) == basin.synapses
    # Without weights every output, of variance 1, is missed.
    assert float(basin.exact.errors[0]) == pytest.approx(1, rel=1e-6)
    errors = np.asarray(basin.exact.errors)
    for values in (basin.untrained.errors[0, 0], basin.trained.errors[0, 0]):
        assert np.array_equal(values, errors)
    assert basin.sparsified()[0, 0] <= np.log2(n) ** 2 * np.finfo(np.float32).eps ** 2 * 10
    assert basin.whole()[0, 0] == errors[-1]


@pytest.mark.slow
def test_one_run_equals_a_plain_fit(trained):
    dft = np.fft.fft(np.eye(4), norm="ortho")
    key = jax.random.fold_in(jax.random.key(0), 1)
    start = dc.perturb(dc.densify(dc.fft(4, norm="ortho").network), 0.05 / 2, scheme="absolute", key=key)
    loss = dc.losses.population(dft, covariance=np.eye(4) / 4)
    network = dc.fit(start, loss + dc.losses.l1(1e-4), optax.adam(5e-3), steps=500, key=key).network
    for curves, expected in ((trained.untrained, start), (trained.trained, network)):
        matrix = np.asarray(expected(np.eye(4))).T
        assert curves.errors[1, 1, -1] == pytest.approx(np.mean(np.abs(matrix - dft) ** 2) * 4, rel=1e-3)


@pytest.mark.slow
def test_near_starts_come_home_and_far_ones_do_not(trained):
    assert np.all(trained.sparsified()[:2] < 1e-4)
    assert np.all(trained.sparsified()[2] > 1e-1)
    assert np.all(np.asarray(trained.trained.optimal(1e-3))[:2] == trained.synapses)


@pytest.mark.slow
def test_weights_are_needed_only_where_something_was_learned():
    still = fft_basin(**{**SETTING, "steps": 1, "learning_rate": 0.0, "scales": (0.0, 4.0)}, key=jax.random.key(0))
    assert np.all(still.whole()[1] > 0.5)
    assert np.array_equal(still.needed(), [[16, 16], [np.nan, np.nan]], equal_nan=True)
    assert np.array_equal(still.needed(1e-6)[0], [16, 16])


@pytest.mark.slow
def test_curves_are_shown_in_short(trained):
    assert repr(trained.exact) == "SparsificationCurve(33 counts up to 32; errors (33,))"
    assert "SparsificationCurve(33 counts up to 32; errors (3, 2, 33))" in repr(trained)


def test_a_picture_needs_a_basin():
    with pytest.raises(ValueError, match=r"expected at least one result of dc\.experiments\.fft_basin; got none"):
        dc.plot.fft_basin([])


@pytest.mark.slow
def test_the_squared_penalty_is_another(trained):
    squared = fft_basin(**SETTING, squared=True, key=jax.random.key(0))
    assert np.array_equal(squared.untrained.errors, trained.untrained.errors)
    assert not np.array_equal(squared.trained.errors, trained.trained.errors)


@pytest.mark.slow
def test_a_store_keeps_what_is_done(tmp_path, trained):
    first = fft_basin(**SETTING, store=tmp_path, key=jax.random.key(0))
    assert [path.name for path in tmp_path.iterdir()] == ["fft-n4-500-0.005-0.0001-v1"]
    assert np.array_equal(first.trained.errors, trained.trained.errors)
    again = fft_basin(**SETTING, store=tmp_path, key=jax.random.key(0))
    assert np.array_equal(first.trained.errors, again.trained.errors)


@pytest.mark.parametrize("n, message", [(1, "n must be at least 2"), (6, "power of two for now; got n=6")])
def test_sizes_without_butterflies_are_refused(n, message):
    with pytest.raises(ValueError, match=message):
        fft_basin(n, key=jax.random.key(0))
