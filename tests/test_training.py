"""Losses against direct computation and Monte Carlo; training: descent, progress, mapping, divergence."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import deepconstruct as dc
from deepconstruct import linear, losses

KEY = jax.random.key(0)
XOR = dc.parity(2)
DFT8 = np.fft.fft(np.eye(8))


def draw(*shape: int, seed: int = 0, kind: str = "real") -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=shape)
    return values + 1j * rng.normal(size=shape) if kind == "complex" else values


def matrix_net(*matrices: np.ndarray) -> dc.Network:
    return dc.Network(tuple(dc.Layer(linear.Dense(jnp.asarray(matrix))) for matrix in matrices))


def constant(value: complex, n: int = 2) -> dc.Network:
    """A network whose output is always `value`."""
    weight = jnp.zeros((1, n), jnp.result_type(value))
    return dc.Network((dc.Layer(linear.Dense(weight), jnp.full(1, value)),))


# Losses -------------------------------------------------------------------------------------------


def test_sampled_is_the_mean_square_on_the_drawn_batch():
    network = matrix_net(draw(1, 2))
    x = np.asarray(XOR.claim.domain.sample(KEY, (50,)))
    wanted = np.mean((x @ draw(1, 2).T - x.sum(axis=1, keepdims=True) % 2) ** 2)
    assert float(losses.sampled(XOR.claim, 50)(network, KEY)) == pytest.approx(float(wanted), rel=1e-12)


def test_sampled_is_a_mean_over_outputs_and_batch():
    claim = dc.fft(4).claim
    x = np.asarray(claim.domain.sample(KEY, (30,)))
    wanted = np.mean(np.abs(x @ draw(4, 4, kind="complex").T - np.fft.fft(x)) ** 2)
    found = losses.sampled(claim, 30)(matrix_net(draw(4, 4, kind="complex")), KEY)
    assert found.dtype == "float64"
    assert float(found) == pytest.approx(float(wanted), rel=1e-12)


def test_sampled_draws_anew_with_every_key():
    network, loss = constant(0.25), losses.sampled(dc.parity(2).claim, 7)
    values = {float(loss(network, jax.random.key(seed))) for seed in range(8)}
    assert len(values) > 1
    assert float(loss(network, KEY)) == float(loss(network, KEY))


def test_chance_is_a_quarter():
    assert float(losses.sampled(XOR.claim, 1000)(constant(0.5), KEY)) == 0.25


@pytest.mark.parametrize("kind", ["real", "complex"])
def test_population_is_the_squared_frobenius_norm(kind):
    first, second, target = (draw(*shape, seed=s, kind=kind) for s, shape in enumerate([(4, 3), (2, 4), (2, 3)]))
    wanted = np.linalg.norm(second @ first - target) ** 2
    found = losses.population(target)(matrix_net(first, second), KEY)
    assert float(found) == pytest.approx(float(wanted), rel=1e-12)


@pytest.mark.parametrize("kind", ["real", "complex"])
def test_population_of_colored_inputs_is_the_trace(kind):
    weight, target, root = (draw(3, 3, seed=s, kind=kind) for s in range(3))
    covariance = root @ root.conj().T
    difference = weight - target
    wanted = np.trace(difference @ covariance @ difference.conj().T).real
    found = losses.population(target, covariance=covariance)(matrix_net(weight), KEY)
    assert float(found) == pytest.approx(float(wanted), rel=1e-12)


@pytest.mark.parametrize("colored", [False, True])
def test_population_is_the_expectation_over_inputs(colored):
    weight, target, root = (draw(3, 3, seed=s, kind="complex") for s in range(3))
    root = root if colored else np.eye(3)
    z = draw(200_000, 3, seed=9, kind="complex") / np.sqrt(2)
    errors = np.sum(np.abs(z @ root.T @ (weight - target).T) ** 2, axis=1)
    found = losses.population(target, covariance=root @ root.conj().T)(matrix_net(weight), KEY)
    assert abs(float(found) - errors.mean()) < 4 * errors.std() / np.sqrt(len(errors))


def test_population_needs_no_key():
    loss = losses.population(DFT8)
    assert float(loss(dc.fft(8).network, jax.random.key(1))) == float(loss(dc.fft(8).network, jax.random.key(2)))


def test_population_takes_extended_precision():
    assert float(losses.population(dc.targets.DFT(8).matrix())(dc.fft(8).network, KEY)) < 1e-28


L1_NET = dc.Network(
    (
        dc.Layer(linear.Dense(jnp.array([[1.0, -2.0], [0.0, 3.0]])), jnp.array([50.0, 60.0])),
        dc.Layer(linear.Dense(jnp.array([[-0.5, 0.0]]))),
    )
)


@pytest.mark.parametrize("squared,wanted", [(False, 0.1 * (6 + 0.5)), (True, 0.1 * (36 + 0.25))])
def test_l1_sums_the_moduli_of_weights(squared, wanted):
    assert float(losses.l1(0.1, squared=squared)(L1_NET, KEY)) == pytest.approx(wanted, rel=1e-14)


@pytest.mark.parametrize("squared", [False, True])
def test_l1_counts_every_layer_of_a_repeat(squared):
    part = dc.Network((dc.Layer(linear.Dense(jnp.array([[1.0, -2.0], [0.0, 3.0]])), activation=dc.activations.Tanh()),))
    loss = losses.l1(0.5, squared=squared)
    assert float(loss(dc.repeat(part, 3), KEY)) == pytest.approx(3 * float(loss(part, KEY)), rel=1e-14)


def test_l1_of_tied_weights_counts_every_copy():
    tied = dc.Network((dc.Layer(linear.Kronecker(jnp.array([[2.0, -1.0]]), outer=3)),))
    assert float(losses.l1(1.0)(tied, KEY)) == 9


def test_l1_takes_layers_without_weights():
    part = dc.Network((dc.Layer(linear.Permutation([1, 0]), jnp.ones(2), dc.activations.Tanh()),))
    assert np.isfinite(losses.l1(1.0)(dc.repeat(part, 2), KEY))


@pytest.mark.parametrize("squared,scale", [(False, 1), (True, 2 * 6)])
def test_l1_has_the_slope_of_the_sign_and_none_at_zero(squared, scale):
    gradient = jax.grad(losses.l1(0.1, squared=squared))(L1_NET, KEY)
    slopes = np.asarray(jax.tree.leaves(gradient)[0])
    assert np.allclose(slopes, 0.1 * scale * np.array([[1, -1], [0, 1]]), rtol=1e-14)
    assert slopes[1, 0] == 0


def test_l1_of_complex_weights_is_their_modulus():
    network = matrix_net(np.array([[3 + 4j, 0]]))
    assert float(losses.l1(2.0)(network, KEY)) == 10
    gradient = np.asarray(jax.tree.leaves(jax.grad(losses.l1(2.0))(network, KEY))[0])
    # Conjugated, it is the direction of ascent: the unit vector of the weight.
    assert np.allclose(gradient.conj(), [[2 * (0.6 + 0.8j), 0]], rtol=1e-14)


@pytest.mark.slow
def test_losses_add_up_with_one_key():
    parts = [losses.sampled(XOR.claim, 5), losses.l1(0.1), losses.l1(0.2, squared=True)]
    total = parts[0] + parts[1] + parts[2]
    assert float(total(XOR.network, KEY)) == pytest.approx(sum(float(p(XOR.network, KEY)) for p in parts), rel=1e-14)


def test_losses_only_add_to_losses():
    with pytest.raises(TypeError, match="unsupported operand"):
        losses.l1(0.1) + 1  # pyright: ignore


def test_strengths_may_be_mapped():
    many = jax.vmap(lambda beta: losses.l1(beta)(L1_NET, KEY))(jnp.array([0.0, 1.0, 2.0]))
    assert many.tolist() == [0.0, 6.5, 13.0]


BAD = [
    (lambda: losses.sampled(XOR, 5), TypeError, "sampled: expected a Claim, such as .*; got Construction"),  # pyright: ignore
    (lambda: losses.sampled(XOR.claim, 0), ValueError, "sampled: batch_size must be at least 1; got 0"),
    (lambda: losses.l1(-1.0), ValueError, "l1: beta must be finite and at least 0; got -1"),
    (lambda: losses.l1(np.inf), ValueError, "l1: beta must be finite"),
    (lambda: losses.population(np.ones(3)), ValueError, r"population: matrix must be finite of shape \(out, in\)"),
    (lambda: losses.population([[np.nan]]), ValueError, "population: matrix must be finite"),
    (lambda: losses.population(np.eye(2), covariance=np.eye(3)), ValueError, r"covariance must have shape \(2, 2\)"),
    (lambda: losses.population(np.eye(2), covariance=-np.eye(2)), ValueError, "Hermitian and positive definite"),
    (lambda: losses.population(np.eye(2), covariance=[[1, 0.9], [0, 1]]), ValueError, "must be Hermitian and pos"),
    (lambda: dc.fit(XOR, losses.l1(1.0), optax.sgd(0.1), steps=0, key=KEY), ValueError, "fit: steps must be at"),
    (lambda: dc.fit(XOR, losses.l1(1.0), optax.sgd(0.1), steps=1.5, key=KEY), TypeError, "fit: steps must be an"),  # pyright: ignore
]  # fmt: skip


@pytest.mark.parametrize("call,error,message", BAD)
def test_bad_arguments_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


# Training -----------------------------------------------------------------------------------------

START = dc.parity(4, activation="sigmoid", fused=False, readout="raw").network
START = jax.tree.map(lambda leaf: 0.9 * leaf, START)
SAMPLED = losses.sampled(dc.parity(4).claim, 20)


def equal_leaves(first: object, second: object) -> bool:
    return all(map(np.array_equal, jax.tree.leaves(first), jax.tree.leaves(second)))


def test_sgd_descends_step_by_step():
    weight, target, rate = draw(2, 2), draw(2, 2, seed=1), 0.05
    fitted = dc.fit(matrix_net(weight), losses.population(target), optax.sgd(rate), steps=4, key=KEY)
    for value in fitted.loss:
        assert float(value) == pytest.approx(float(np.linalg.norm(weight - target) ** 2), rel=1e-12)
        weight = weight - rate * 2 * (weight - target)
    assert np.allclose(jax.tree.leaves(fitted.network)[0], weight, rtol=1e-12)


def test_complex_sgd_descends():
    weight, target = draw(2, 2, kind="complex"), draw(2, 2, seed=1, kind="complex")
    fitted = dc.fit(matrix_net(weight), losses.population(target), optax.sgd(0.05), steps=1, key=KEY)
    assert np.allclose(jax.tree.leaves(fitted.network)[0], weight - 0.1 * (weight - target), rtol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("steps", [7, 230])
def test_a_progress_bar_changes_no_bit(steps):
    plain, shown = (
        dc.fit(START, SAMPLED, optax.adam(1e-2), steps=steps, progress=progress, key=KEY) for progress in (False, True)
    )
    assert plain.loss.shape == shown.loss.shape == (steps,)
    assert equal_leaves(plain, shown)


def test_the_key_decides_the_batches():
    first, again, other = (
        dc.fit(START, SAMPLED, optax.adam(1e-2), steps=7, key=jax.random.key(seed)) for seed in (0, 0, 1)
    )
    assert equal_leaves(first, again)
    assert not np.array_equal(first.loss, other.loss)


@pytest.mark.slow
def test_fit_may_be_mapped_over_keys():
    keys = jax.random.split(KEY, 3)

    def train(key):
        return dc.fit(START, SAMPLED, optax.adam(1e-2), steps=7, key=key)

    many, one = jax.jit(jax.vmap(train))(keys), jax.jit(train)
    assert many.loss.shape == (3, 7)
    for index, key in enumerate(keys):
        assert np.allclose(many.loss[index], one(key).loss, rtol=1e-9)


def test_fit_takes_constructions_and_returns_a_bare_network():
    fitted = dc.fit(XOR, losses.sampled(XOR.claim, 8), optax.sgd(0.1), steps=3, key=KEY)
    assert isinstance(fitted.network, dc.Network)
    assert np.array_equal(fitted.loss, np.zeros(3))
    assert equal_leaves(fitted.network, XOR.network)


@pytest.mark.parametrize("progress", [False, True])
def test_a_diverging_run_is_not_aborted(progress):
    start = matrix_net(draw(2, 2), draw(2, 2, seed=1))
    loss = losses.population(draw(2, 2, seed=2))
    fitted = dc.fit(start, loss, optax.sgd(10.0), steps=120, progress=progress, key=KEY)
    assert fitted.loss.shape == (120,)
    assert np.isfinite(fitted.loss[0])
    assert np.all(np.isnan(fitted.loss[-10:]))


OPTIMIZERS = {"sgd": (optax.sgd(0.01), 300), "adam": (optax.adam(1e-3), 800)}


@functools.cache
def disturbed_fft(dense: bool) -> dc.Network:
    network = dc.fft(8, dtype="complex128").network
    return dc.perturb(dc.densify(network) if dense else network, 0.2, key=KEY)


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("name,dense", [("sgd", True), ("adam", True), ("adam", False)])
def test_the_fft_is_found_again_from_noise(name, dense):
    optimizer, steps = OPTIMIZERS[name]
    start, loss = disturbed_fft(dense), losses.population(DFT8)
    fitted = dc.fit(start, loss, optimizer, steps=steps, key=KEY)
    assert float(fitted.loss[0]) > 1
    assert float(loss(fitted.network, KEY)) < 1e-10
    assert jax.tree.structure(fitted.network) == jax.tree.structure(start)


# The basin of parity ------------------------------------------------------------------------------

PARITY16 = dc.parity(16, activation="sigmoid", readout="raw", fused=False, dtype="float32")
SEEDS = jax.random.split(jax.random.key(7), 5)


@functools.cache
def basin(scale: float, dense: bool):
    """Start weights of five seeds, and one compiled program that trains them."""
    network = dc.densify(PARITY16.network) if dense else PARITY16.network
    loss = losses.sampled(PARITY16.claim, 1000)
    starts = jax.jit(jax.vmap(lambda key: dc.perturb(network, scale, key=key)))(SEEDS)

    def train(start, rate, key):
        return dc.fit(start, loss, optax.adam(rate), steps=2000, key=key).network

    return starts, jax.jit(jax.vmap(train, in_axes=(0, None, 0)))


def fresh_errors(networks: dc.Network) -> np.ndarray:
    """The mean square error of every network on fresh inputs."""
    x = np.random.default_rng(5).integers(0, 2, (8192, 16)).astype("float32")
    return np.asarray(jax.jit(jax.vmap(lambda n: jnp.mean((n(x) - x.sum(axis=1, keepdims=True) % 2) ** 2)))(networks))


def comes_home(scale: float, dense: bool, rate: float) -> tuple[np.ndarray, np.ndarray]:
    starts, train = basin(scale, dense)
    return fresh_errors(starts), fresh_errors(train(starts, rate, SEEDS))


@pytest.mark.slow
def test_from_little_structured_noise_every_seed_returns():
    before, after = comes_home(0.3, False, 1e-4)
    assert np.all(after < before / 5)
    assert np.all(after < 0.03)


@pytest.mark.slow
def test_without_a_learning_rate_none_returns():
    before, after = comes_home(0.3, False, 0.0)
    assert not np.any(after < before / 5)


@pytest.mark.slow
def test_from_much_dense_noise_none_returns():
    _, after = comes_home(0.75, True, 1e-4)
    assert np.all(after > 0.2)


@pytest.mark.parametrize("network", [dc.parity(8), dc.fft(4)], ids=["nonlinear", "another size"])
def test_population_refuses_networks_that_its_matrix_does_not_fit(network):
    with pytest.raises(ValueError, match="population: the matrix needs a linear network 8 -> 8 without biases; got"):
        dc.losses.population(np.eye(8))(network.network, jax.random.key(0))
