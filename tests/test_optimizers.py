"""Every optimizer trains: those that ask for the loss, complex weights, labels and masks that are networks."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import deepconstruct as dc
from deepconstruct import linear

KEY = jax.random.key(0)
LABELED = {"train": optax.sgd(0.1), "freeze": optax.set_to_zero()}


def draw(*shape, seed=0, kind="real"):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=shape)
    return values + 1j * rng.normal(size=shape) if kind == "complex" else values


def matrix_net(matrix):
    return dc.Network((dc.Layer(linear.Dense(jnp.asarray(matrix))),))


def weight(fitted) -> np.ndarray:
    return np.asarray(jax.tree.leaves(fitted.network)[0])


def quadratic(kind, size=3):
    """A start, and a loss that is the squared distance of its one matrix from a target."""
    start, target = (draw(size, size, seed=seed, kind=kind) for seed in (0, 1))
    return start, target, dc.losses.population(target)


@pytest.mark.parametrize("kind", ["real", "complex"])
def test_polyak_steps_have_their_length(kind):
    start, target, loss = quadratic(kind)
    fitted = dc.fit(matrix_net(start), loss, optax.polyak_sgd(max_learning_rate=10.0), steps=1, key=KEY)
    # value / |gradient|^2 = |d|^2 / |2 d|^2, times the gradient 2 d: half of the way.
    assert np.allclose(weight(fitted), (start + target) / 2, rtol=1e-10)


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("kind", ["real", "complex"])
def test_several_small_steps_are_gathered_to_one(kind):
    start, target, loss = quadratic(kind)
    optimizer = optax.MultiSteps(optax.sgd(0.25), 3)
    two, three = (dc.fit(matrix_net(start), loss, optimizer, steps=steps, key=KEY) for steps in (2, 3))
    assert np.array_equal(weight(two), start)
    # The mean of three gradients, gathered in 32 bits.
    assert np.allclose(weight(three), (start + target) / 2, rtol=1e-6)


@pytest.mark.parametrize("kind", ["real", "complex"])
@pytest.mark.parametrize(
    "optimizer, rest",
    [
        pytest.param(optax.lbfgs(), 1e-6, marks=pytest.mark.slow),
        # A step of 0.8 is the first that is short enough; it leaves 0.6 of the distance.
        (optax.chain(optax.sgd(1.0), optax.scale_by_backtracking_linesearch(20)), 1.01 * 0.6**8),
        pytest.param(optax.chain(optax.sgd(1.0), optax.scale_by_zoom_linesearch(20)), 1e-6, marks=pytest.mark.slow),
    ],
    ids=["lbfgs", "backtracking", "zoom"],
)
def test_line_searches_descend_at_every_step(kind, optimizer, rest):
    start, target, loss = quadratic(kind)
    fitted = dc.fit(matrix_net(start), loss, optimizer, steps=8, key=KEY)
    assert np.all(np.diff(fitted.loss) <= 0)
    assert np.linalg.norm(weight(fitted) - target) < rest * np.linalg.norm(start - target)


class Probe:
    """Keeps what it was given, less what it must be, and moves nothing."""

    def init(self, params):
        return jnp.zeros(3)

    def update(self, updates, state, params, **given):
        again, gradient = jax.value_and_grad(given["value_fn"])(params)
        off = max(jnp.abs(a - b).max() for a, b in zip(*map(jax.tree.leaves, (gradient, given["grad"])), strict=True))
        return jax.tree.map(jnp.zeros_like, updates), jnp.stack([given["value"], again - given["value"], off])


def test_the_function_that_is_given_sees_the_batch_of_the_step():
    network = matrix_net(draw(1, 2))
    fitted = dc.fit(network, dc.losses.sampled(dc.parity(2).claim, 5), Probe(), steps=3, key=KEY)
    assert len(set(fitted.loss.tolist())) > 1
    assert np.allclose(fitted.state, [float(fitted.loss[-1]), 0, 0], rtol=0, atol=1e-15)


def test_the_plateau_sees_the_loss():
    start, _, loss = quadratic("real")
    plateau = optax.contrib.reduce_on_plateau(patience=1, factor=0.5)
    fitted = dc.fit(matrix_net(start), loss, optax.chain(optax.set_to_zero(), plateau), steps=4, key=KEY)
    assert float(fitted.state[1].scale) < 1  # the loss stays, so the scale falls
    assert float(fitted.state[1].best_value) == pytest.approx(float(fitted.loss[0]))


@pytest.mark.default_cases(1)
@pytest.mark.parametrize(
    "optimizer",
    [
        optax.contrib.sophia(0.1),
        optax.contrib.sam(
            optax.sgd(0.05), optax.chain(optax.contrib.normalize(), optax.sgd(0.05)), opaque_mode=True, sync_period=2
        ),
        optax.chain(optax.contrib.sophia(0.1), optax.scale_by_backtracking_linesearch(10)),
    ],
    ids=["sophia", "sam", "sophia with a line search"],
)
def test_functions_of_the_network_are_given(optimizer):
    start, _, loss = quadratic("real")
    fitted = dc.fit(matrix_net(start), loss, optimizer, steps=5, key=KEY)
    assert float(fitted.loss[-1]) < float(fitted.loss[0])


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("name", ["momo", "momo_adam", "prodigy"])
def test_optimizers_with_inner_products_get_real_and_imaginary_parts(name):
    """The same steps as on the real problem of the stacked parts."""
    start, target, loss = quadratic("complex")
    optimizer = getattr(optax.contrib, name)()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = dc.fit(matrix_net(start), loss, optimizer, steps=4, key=KEY)
    parts = [np.concatenate([matrix.real, matrix.imag]) for matrix in (start, target)]
    real = dc.fit(matrix_net(parts[0]), dc.losses.population(parts[1]), optimizer, steps=4, key=KEY)
    assert np.allclose(found.loss, real.loss, rtol=1e-9)
    stacked = np.concatenate([np.real(weight(found)), np.imag(weight(found))])
    assert np.allclose(stacked, weight(real), rtol=1e-9)


def test_adam_keeps_complex_moments():
    start, _, loss = quadratic("complex")
    fitted = dc.fit(matrix_net(start), loss, optax.adam(0.1), steps=2, key=KEY)
    assert any(np.iscomplexobj(leaf) for leaf in jax.tree.leaves(fitted.state))


class OwnSign:
    """Not Optax's, but with its interface, and with an argument of its own choice."""

    def init(self, params):
        return ()

    def update(self, updates, state, params, value):
        return jax.tree.map(lambda g: -value * jnp.sign(g), updates), state


def test_whatever_has_init_and_update_is_an_optimizer():
    start, target, loss = quadratic("real")
    fitted = dc.fit(matrix_net(start), loss, OwnSign(), steps=1, key=KEY)
    assert np.allclose(weight(fitted), start - float(fitted.loss[0]) * np.sign(start - target))


@pytest.mark.parametrize("optimizer", [optax.adam, optax.MultiSteps, 0.1, None, "adam"])
def test_what_is_no_optimizer_is_refused(optimizer):
    with pytest.raises(TypeError, match=r"fit: optimizer must be an Optax one, such as optax\.adam\(1e-3\); got "):
        dc.fit(dc.parity(2), dc.losses.l1(1.0), optimizer, steps=1, key=KEY)


def test_lookahead_returns_its_slow_weights():
    start, target, loss = quadratic("real")
    optimizer = optax.lookahead(optax.sgd(0.25), sync_period=2, slow_step_size=0.5)
    one, two = (dc.fit(matrix_net(start), loss, optimizer, steps=steps, key=KEY) for steps in (1, 2))
    assert np.array_equal(weight(one), start)
    # Two halvings of the distance, of which the slow weights go half the way.
    assert np.allclose(weight(two), target + (start - target) * 5 / 8, rtol=1e-12)


# Labels and masks -----------------------------------------------------------------------------------


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("kind", ["real", "complex"])
@pytest.mark.parametrize("extra", [(), (optax.scale_by_backtracking_linesearch(5),)], ids=["plain", "line search"])
def test_labels_may_be_a_network(kind, extra):
    start, target = (draw(2, 2, seed=seed, kind=kind) for seed in (0, 1))
    network = dc.Network((*matrix_net(start).layers, *matrix_net(target).layers))
    labels = jax.tree.unflatten(jax.tree.structure(network), ["train", "freeze"])
    optimizer = optax.chain(optax.multi_transform(LABELED, labels), *extra)  # pyright: ignore[reportArgumentType]
    loss = dc.losses.population(np.zeros((2, 2)))
    first, last = jax.tree.leaves(dc.fit(network, loss, optimizer, steps=2, key=KEY).network)
    assert not np.any(first == start)
    assert np.array_equal(last, target)


def test_masks_may_be_a_network():
    network = dc.Network((dc.Layer(linear.Dense(jnp.ones((2, 2))), jnp.ones(2)),))
    decay = optax.add_decayed_weights(1.0, mask=jax.tree.map(lambda leaf: leaf.ndim > 1, network))
    fitted = dc.fit(
        network, lambda network, key: jnp.zeros(()), optax.chain(decay, optax.scale(-0.5)), steps=1, key=KEY
    )
    assert [leaf.ravel()[0] for leaf in jax.tree.leaves(fitted.network)] == [0.5, 1.0]


def test_a_network_of_labels_gives_itself():
    network = dc.parity(2).network
    labels = jax.tree.map(lambda leaf: "a", network)
    assert labels(network) is labels
    assert repr(labels).startswith("Network(2 -> 1")


def test_a_network_takes_no_network():
    with pytest.raises(TypeError, match="Network: inputs must be numbers; got Network"):
        dc.parity(2).network(dc.parity(2).network)


# Restarts -------------------------------------------------------------------------------------------

RESTARTED = {
    "lbfgs": optax.lbfgs(),
    "multi steps": optax.MultiSteps(optax.adam(1e-2), 2),
    "noise": optax.chain(optax.add_noise(0.1, 0.5, jax.random.key(3)), optax.sgd(1e-2)),
    # Its scale is a weak number of 64 bits, beside weights of 32.
    "plateau": optax.chain(optax.contrib.reduce_on_plateau(patience=1, factor=0.3), optax.adam(1e-2)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", RESTARTED)
@pytest.mark.parametrize("kind", ["real", "complex"])
def test_restarts_change_no_bit(tmp_path, monkeypatch, name, kind):
    start, _, loss = quadratic(kind, 2)
    network = dc.astype(matrix_net(start), "complex64" if kind == "complex" else "float32")

    def train(store=None):
        every = None if store is None else 2
        return dc.fit(network, loss, RESTARTED[name], steps=6, store=store, every=every, key=KEY)

    whole = train()
    with monkeypatch.context() as patch:
        stop_after_the_first_write(patch)
        with pytest.raises(InterruptedError):
            train(tmp_path / "run")
    found = train(tmp_path / "run")
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(whole), strict=True):
        if jnp.issubdtype(one.dtype, jax.dtypes.prng_key):
            one, other = jax.random.key_data(one), jax.random.key_data(other)
        np.testing.assert_array_equal(one, other)


def stop_after_the_first_write(patch):
    from deepconstruct._io.checkpoint import Checkpoint

    write = Checkpoint.write

    def stopped(self, *arguments):
        write(self, *arguments)
        raise InterruptedError

    patch.setattr(Checkpoint, "write", stopped)
