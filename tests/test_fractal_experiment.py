"""Training on fractals: the networks, the data, and the two ends of the approximation curve."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import deepconstruct as dc
from deepconstruct.data import FractalDistribution, coarse, finest
from deepconstruct.experiments import SOURCE_CURVES, FractalTraining, fractal_training
from deepconstruct.experiments.fractal_training import random_network
from deepconstruct.network import flat_layers

SMALL: dict[str, Any] = {"level": 2, "seeds": 2, "steps": 3, "train_points": 200, "test_points": 300, "progress": False}


@pytest.mark.parametrize("number, weights", [(1, [1] * 5), (2, [0, 0, 1, 1, 1]), (3, [0, 0, 0, 1, 1]),
                                             (4, [1, 2**5, 3**5, 4**5, 5**5]), (5, [1, 2**9, 3**9, 4**9, 5**9]),
                                             (6, [0, 0, 0, 0, 1])])  # fmt: skip
def test_the_curves_are_those_of_the_source(number, weights):
    """A point leaves at level j with probability 1 - 2^-w_j, if it didn't before."""
    stay, leave = 1.0, []
    for weight in weights:
        leave.append(stay * (1 - 2.0 ** -(weight / sum(weights))))
        stay -= leave[-1]
    assert stay == pytest.approx(0.5)
    assert np.allclose(SOURCE_CURVES[number](5), 0.5 + np.concatenate([[0], np.cumsum(leave)]), atol=1e-12)


def test_the_curves_go_from_coarse_to_fine():
    values = np.array([curve(5) for curve in SOURCE_CURVES.values()])
    assert np.all(np.diff(values.sum(axis=1)) < 0)


@pytest.mark.slow
def test_networks_are_drawn_as_the_source_says():
    network = random_network(jax.random.key(0), (2, 300, 300, 1), dc.activations.ReLU())
    assert [(layer.in_size, layer.out_size) for layer in network.layers] == [(2, 300), (300, 300), (300, 1)]
    activations = [layer.activation.name() for layer in flat_layers(network)]
    assert activations == ["relu", "relu", "identity"]
    leaves = jax.tree.leaves(network)  # a matrix and a bias a layer
    for bias in leaves[1::2]:
        assert np.all(np.asarray(bias) == np.asarray(0.1, network.dtype))
    weights = np.asarray(leaves[2]) * np.sqrt(300)
    assert np.abs(weights).max() <= 2
    assert weights.std() == pytest.approx(0.8796, abs=0.01)  # of a standard normal cut at 2
    assert abs(weights.mean()) < 0.01


@pytest.mark.slow
def test_one_run_equals_a_plain_fit():
    found = fractal_training(**SMALL, curves=[coarse, finest(1)], depths=(2,), widths=(3,), key=jax.random.key(5))
    assert found.accuracy.shape == (2, 1, 1, 2)
    train_key, test_key, run_key = jax.random.split(jax.random.key(5), 3)
    distribution = FractalDistribution(dc.systems.cantor_dust(), 2, finest(1))
    (x, y), (fresh, labels) = distribution.sample(train_key, 200), distribution.sample(test_key, 300)
    weight_key, batch_key = jax.random.split(jax.random.fold_in(run_key, 1))

    def hinge(network, key):
        chosen = jax.random.randint(key, (100,), 0, 200)
        return jnp.mean(jax.nn.relu(1 - y[chosen] * network(x[chosen])[:, 0]))

    start = random_network(weight_key, (2, 3, 3, 1), dc.activations.ReLU())
    network = dc.fit(start, hinge, optax.adam(optax.cosine_decay_schedule(1e-3, 3)), steps=3, key=batch_key).network
    expected = float(jnp.mean((network(fresh)[:, 0] > 0) == (labels > 0)))
    assert found.accuracy[1, 0, 0, 1] == pytest.approx(expected, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["tanh", dc.activations.Tanh()])
def test_hidden_units_have_the_activation_of_the_caller(activation):
    network = random_network(jax.random.key(0), (2, 3, 1), dc.activations.Tanh())
    assert [layer.activation.name() for layer in flat_layers(network)] == ["tanh", "identity"]
    options = {**SMALL, "curves": [coarse], "depths": (1,), "widths": (3,), "key": jax.random.key(0)}
    found = fractal_training(dc.systems.cantor(), activation=activation, optimizer=optax.set_to_zero(), **options)
    assert str(found.settings) == (
        "3 steps on batches of 100, optimizer of the caller, hinge loss, tanh units, tested on 300 fresh points"
    )
    assert found.exact.tolist() == [1.0]


def test_an_unknown_activation_is_refused():
    with pytest.raises(TypeError, match=r"fractal_training: activation must be one of dc.activations, .*; got 'rleu'"):
        fractal_training(**SMALL, curves=[coarse], activation="rleu", key=jax.random.key(0))


def test_a_store_cannot_tell_functions_apart(tmp_path):
    message = "fractal_training: a store can't tell functions apart; pass a named activation, or no store"
    custom = dc.activations.Custom(jnp.arctan, "arctan")
    for activation in (custom, dc.activations.Concatenate((dc.activations.ReLU(), custom), (2, 3))):
        with pytest.raises(ValueError, match=message):
            fractal_training(**SMALL, curves=[coarse], activation=activation, store=tmp_path, key=jax.random.key(0))


@pytest.mark.slow
def test_the_construction_is_right_on_all_six_curves():
    found = fractal_training(level=5, widths=(2,), seeds=1, steps=1, train_points=100, test_points=2000,
                             progress=False, key=jax.random.key(0))  # fmt: skip
    assert found.exact.tolist() == [1.0] * 6


@pytest.mark.slow
def test_coarse_distributions_are_learned():
    options: dict[str, Any] = SMALL | {"steps": 1500, "train_points": 5000, "test_points": 2000}
    found = fractal_training(dc.systems.cantor(), **options, curves=[coarse], depths=(2,), widths=(20,),
                             key=jax.random.key(0))  # fmt: skip
    assert found.accuracy.min() > 0.95


def test_the_best_width_is_chosen_at_the_largest_depth():
    accuracy = np.zeros((2, 2, 3, 2))
    accuracy[:, 0] = 0.9  # the first depth is the larger one
    accuracy[0, 0, 1], accuracy[1, 0, 2] = [0.9, 0.96], [0.95, 0.99]
    accuracy[:, 1] = 1.0
    found = FractalTraining((coarse, coarse), (5, 2), (1, 2, 3), np.zeros((2, 3)), accuracy, np.ones(2))
    assert found.best().tolist() == [[0.9, 0.96], [0.95, 0.99]]


@pytest.mark.slow
def test_a_store_is_for_its_points(tmp_path):
    options: dict[str, Any] = {**SMALL, "widths": (2,), "depths": (1,), "store": tmp_path, "key": jax.random.key(0)}
    first = fractal_training(**options, curves=[coarse])
    assert np.array_equal(fractal_training(**options, curves=[coarse]).accuracy, first.accuracy)
    assert len(list(tmp_path.iterdir())) == 1
    fractal_training(**options, curves=[dc.data.curve([0.5, 0.6, 1.0])])
    fractal_training(**options, curves=[dc.data.curve([0.5, 0.9, 1.0])])
    assert len(list(tmp_path.iterdir())) == 3
    fractal_training(**options, curves=[coarse], activation="relu")
    assert len(list(tmp_path.iterdir())) == 3
    fractal_training(**options, curves=[coarse], activation=dc.activations.Sigmoid(2.0))
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.parametrize(
    "options, message",
    [
        ({"curves": []}, "expected at least one curve, such as dc.data.coarse"),
        ({"depths": [1, 0]}, "depths must be at least 1; got 0"),
        ({"widths": [0]}, "widths must be at least 1; got 0"),
        ({"learning_rate": -1.0}, "learning_rate must be finite and at least 0"),
        ({"batch_size": 0}, "batch_size must be at least 1; got 0"),
        ({"train_points": 0}, "train_points must be at least 1; got 0"),
        ({"test_points": 0}, "test_points must be at least 1; got 0"),
    ],
)
def test_nothing_to_train_on_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        fractal_training(**{**SMALL, **options}, key=jax.random.key(0))


def test_a_curve_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="count is 3, but there are only 2 levels"):
        fractal_training(**SMALL, curves=[finest(3)], key=jax.random.key(0))
