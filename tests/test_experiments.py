"""The parity basin: its shape, and that it is what it says it is."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import deepconstruct as dc
from deepconstruct.experiments import ParityBasin, fft_basin, parity_basin

SETTING = {"n": 4, "scales": (0.0, 0.1, 1.0), "seeds": 2, "batch_size": 50, "progress": False}


@pytest.mark.slow
def test_no_noise_and_no_learning_keeps_the_construction():
    basin = parity_basin(**SETTING, steps=2, learning_rate=0.0, key=jax.random.key(0))
    assert np.array_equal(basin.untrained, basin.trained)
    tree = dc.parity(4, activation="sigmoid", fused=False, readout="raw")
    assert np.all(basin.trained[0] <= tree.claim.error.absolute**2)
    assert basin.success()[0] == 1


@pytest.mark.slow
def test_one_run_equals_a_plain_fit():
    key = jax.random.key(3)
    basin = parity_basin(**SETTING, steps=7, learning_rate=1e-2, key=key)
    tree = dc.parity(4, activation="sigmoid", fused=False, readout="raw")
    noise_key, data_key, test_key = jax.random.split(key, 3)
    start = dc.perturb(tree, 0.1, key=jax.random.fold_in(noise_key, 1))
    loss = dc.losses.sampled(tree.claim, 50)
    trained = dc.fit(start, loss, optax.adam(1e-2), steps=7, key=data_key).network
    x = tree.claim.domain.sample(test_key, (4000,))
    error = float(jnp.mean((trained(x) - tree.claim.target(x)) ** 2))
    assert basin.trained[1, 1] == pytest.approx(error, rel=1e-6)


@pytest.mark.slow
def test_a_store_keeps_what_is_done(tmp_path):
    options = {**SETTING, "steps": 3, "store": tmp_path, "key": jax.random.key(0)}
    first = parity_basin(**options)
    assert [path.name for path in tmp_path.iterdir()] == ["parity-structured-n4-3x50-0.0001-layer-v1"]
    assert np.array_equal(parity_basin(**options).trained, first.trained)


@pytest.mark.slow
def test_kinds_differ_in_what_is_perturbed():
    dense, structured = (
        parity_basin(**SETTING, kind=kind, steps=1, key=jax.random.key(0)) for kind in ("dense", "structured")
    )
    assert (dense.kind, structured.kind) == ("dense", "structured")
    assert np.array_equal(dense.untrained[0], structured.untrained[0])
    assert np.all(dense.untrained[1:] != structured.untrained[1:])


def test_success_needs_low_error_and_right_roundings():
    error = np.array([[0.001, 0.001], [0.02, 0.001]])
    accuracy = np.array([[1.0, 0.99], [1.0, 1.0]])
    basin = ParityBasin(2, (0.1, 0.2), "dense", error, error, accuracy, accuracy)
    assert basin.success().tolist() == [0.5, 0.5]


def test_a_diverged_run_counts_as_lost():
    error = np.array([[np.nan]])
    assert ParityBasin(2, (0.1,), "dense", error, error, np.zeros((1, 1)), np.zeros((1, 1))).success().tolist() == [0.0]


@pytest.mark.parametrize(
    "options, message",
    [
        ({"scales": []}, "scales must be a list of at least one noise scale; got "),
        ({"scales": 0.1}, "scales must be a list of at least one noise scale; got "),
        ({"scales": [0.1, float("nan")]}, "scales must be finite and at least 0; got nan"),
        ({"scales": [-0.1]}, r"scales must be finite and at least 0; got -0\.1"),
        ({"learning_rate": -1.0}, r"learning_rate must be finite and at least 0; got -1\.0"),
    ],
)
@pytest.mark.parametrize("experiment", [parity_basin, fft_basin])
def test_meaningless_settings_are_refused(experiment, options, message):
    with pytest.raises(ValueError, match=message):
        experiment(4, **options, key=jax.random.key(0))


def test_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="kind must be one of 'dense', 'structured'; got 'sparse'"):
        parity_basin(4, kind="sparse", key=jax.random.key(0))


@pytest.mark.slow
def test_experiments_take_other_optimizers_and_activations():
    options = {"scales": [0.3], "seeds": 1, "steps": 2, "progress": False, "key": jax.random.key(0)}
    still = parity_basin(4, optimizer=optax.set_to_zero(), activation="relu", **options)
    assert np.array_equal(still.trained, still.untrained)
    assert not np.array_equal(still.untrained, parity_basin(4, optimizer=optax.set_to_zero(), **options).untrained)
    found = fft_basin(4, optimizer=optax.set_to_zero(), **options)
    assert np.array_equal(found.trained.errors, found.untrained.errors)


@pytest.mark.slow
def test_results_say_how_they_were_trained():
    options = {"scales": [0.3], "seeds": 1, "steps": 1, "progress": False, "key": jax.random.key(0)}
    assert str(parity_basin(2, batch_size=20, **options).settings) == (
        "1 step on batches of 20, Adam at 0.0001, mean squared error, sigmoid(10) units, tested on 4,000 fresh inputs"
    )
    assert str(fft_basin(2, optimizer=optax.sgd(0.1), squared=True, **options).settings) == (
        "1 step on the exact expectation, optimizer of the caller, mean squared error + 0.0001 L1 squared, "
        "linear units, tested on the exact expectation"
    )


def test_a_store_cannot_tell_optimizers_apart(tmp_path):
    options = {"optimizer": optax.sgd(0.1), "store": tmp_path, "key": jax.random.key(0)}
    for experiment, name in ((parity_basin, "parity_basin"), (fft_basin, "fft_basin")):
        with pytest.raises(ValueError, match=f"{name}: a store can't tell optimizers apart; pass learning_rate"):
            experiment(4, **options)
