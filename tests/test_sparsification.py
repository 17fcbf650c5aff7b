"""Errors against the number of weights kept, and the optimal number."""

# Wrong arguments are refused, too.
# pyright: reportArgumentType=false

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import deepconstruct as dc
from deepconstruct import linear, losses

KEY = jax.random.key(0)


def chain(seed=0) -> dc.Network:
    """3 -> 5 -> 2 with biases: 25 weights."""
    first, second = (jax.random.normal(jax.random.key(seed + i), shape) for i, shape in enumerate([(5, 3), (2, 5)]))
    return dc.Network((dc.Layer(linear.Dense(first), jnp.ones(5)), dc.Layer(linear.Dense(second), jnp.ones(2))))


def magnitude(network, key):
    """An error that isn't monotone."""
    return jnp.abs(jnp.sum(network(jnp.arange(3.0))))


def dft_loss(n):
    return losses.population(np.fft.fft(np.eye(n)))


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("batch_size", [None, 1, 4, 1000])
def test_errors_are_those_of_sparsified_networks(batch_size):
    network = chain()
    curve = dc.sparsification_curve(network, magnitude, keeps=range(0, 26, 3), batch_size=batch_size)
    assert curve.counts == tuple(range(0, 26, 3))
    expected = [magnitude(dc.sparsify(network, count), None) for count in curve.counts]
    assert np.allclose(curve.errors, expected, rtol=1e-12)


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("n", [1, 2, 4, 8, 16, 32])
def test_the_dense_fft_needs_two_weights_a_row(n):
    curve = dc.sparsification_curve(dc.densify(dc.fft(n, dtype="complex128")), dft_loss(n))
    needed = 2 * n * (n.bit_length() - 1) if n > 1 else 1
    assert curve.counts[-1] == (n**2 * (n.bit_length() - 1) if n > 1 else 1)
    assert float(curve.optimal(1e-20)) == needed
    assert np.all(curve.errors[needed:] < 1e-20)
    # Every weight lost from the last stage costs its row n / 2 entries of modulus one.
    assert np.isclose(curve.errors[needed - 1], max(n / 2, 1))
    assert np.all(curve.errors[:needed] >= max(n / 2, 1) * (1 - 1e-9))


def test_the_structured_fft_has_no_weight_to_spare():
    curve = dc.sparsification_curve(dc.fft(8, dtype="complex128"), dft_loss(8))
    assert curve.counts == tuple(range(49))
    assert float(curve.optimal(1e-20)) == 48


@pytest.mark.default_cases(3)
@pytest.mark.parametrize("size", [0, 1, 5, 1024, 1025, 1100, 5000, 100_000])
def test_default_counts_are_all_and_then_one_percent_apart(size):
    column = linear.Sparse(np.arange(size), np.zeros(size, int), jnp.ones(size, "float32"), (size + 1, 1))
    network = dc.Network((dc.Layer(column),))
    curve = dc.sparsification_curve(network, lambda network, key: jnp.zeros(()))
    counts = np.array(curve.counts)
    assert counts[0] == 0
    assert counts[-1] == size
    assert np.array_equal(counts[:1025], np.arange(min(size, 1024) + 1))
    assert np.all(np.diff(counts) > 0)
    assert np.all(counts[1:] <= np.maximum(counts[:-1] + 1, 1.01 * counts[:-1]))


def test_several_networks_give_a_row_each():
    networks = [dc.densify(dc.fft(4)), dc.perturb(dc.densify(dc.fft(4)), 0.1, key=KEY)]
    curve = dc.sparsification_curve(networks, dft_loss(4))
    assert curve.errors.shape == (2, 33)
    for row, network in zip(curve.errors, networks, strict=True):
        assert np.allclose(row, dc.sparsification_curve(network, dft_loss(4)).errors, rtol=1e-12)


@pytest.mark.slow
def test_stacked_networks_are_vmapped():
    base = dc.densify(dc.fft(4)).network
    starts = jax.vmap(lambda key: dc.perturb(base, 0.1, key=key))(jax.random.split(KEY, 3))
    curve = jax.jit(jax.vmap(lambda network: dc.sparsification_curve(network, dft_loss(4), keeps=[0, 8, 16, 32])))(
        starts
    )
    assert curve.counts == (0, 8, 16, 32)
    for index in range(3):
        one = jax.tree.map(lambda leaf, i=index: leaf[i], starts)
        single = dc.sparsification_curve(one, dft_loss(4), keeps=[0, 8, 16, 32])
        assert np.allclose(curve.errors[index], single.errors, rtol=1e-12)


def test_the_error_is_compiled_once():
    traces = []

    def error(network, key):
        traces.append(None)
        return magnitude(network, key)

    for seed in range(3):
        dc.sparsification_curve(chain(seed=seed), error, keeps=range(seed, seed + 8), batch_size=4)
    assert len(traces) == 1


@pytest.mark.slow
def test_random_errors_draw_the_same_inputs_at_every_count():
    xor = dc.parity(4)
    synapses = dc.cost(xor).synapses
    loss = losses.sampled(xor.claim, 50)
    curve = dc.sparsification_curve(xor, loss, keeps=[3, synapses - 1, synapses], key=KEY)
    expected = [loss(dc.sparsify(xor, count), KEY) for count in curve.counts]
    assert np.allclose(curve.errors, expected)
    assert curve.errors[-1] == 0 < curve.errors[0]


@pytest.mark.slow
def test_trained_networks_have_curves():
    base = dc.densify(dc.fft(4, norm="ortho")).network
    loss = losses.population(np.fft.fft(np.eye(4), norm="ortho"))

    def run(scale, key):
        start = dc.perturb(base, scale, key=key)
        fit = dc.fit(start, loss + losses.l1(1e-3), optax.adam(1e-2), steps=500, key=key)
        return dc.sparsification_curve(fit.network, loss)

    curves = jax.jit(jax.vmap(run))(jnp.array([0.1, 0.1, 1.0]), jax.random.split(KEY, 3))
    near = curves.errors[:2]
    assert np.all(near[:, 16] < 0.1)
    assert np.all(near[:, 15] > 0.4)
    assert np.all(curves.optimal(0.1)[:2] == 16)


# The optimal count --------------------------------------------------------------------------------


def test_optimal_is_the_first_count_within_the_tolerance():
    curve = dc.SparsificationCurve((0, 2, 5, 9), jnp.array([3.0, 0.5, 0.7, 0.25]))
    assert [float(curve.optimal(tolerance)) for tolerance in (3.0, 0.7, 0.5, 0.49, 0.25)] == [0, 2, 2, 9, 9]
    assert np.isnan(curve.optimal(0.2))


def test_optimal_is_by_default_the_first_count_of_least_error():
    curve = dc.SparsificationCurve((0, 2, 5, 9), jnp.array([[3.0, 0.5, 0.25, 0.25], [1.0, 2.0, 3.0, 4.0]]))
    assert curve.optimal().tolist() == [5, 0]


def test_failed_runs_have_no_optimal_count():
    errors = jnp.array([[1.0, jnp.nan, jnp.nan], [1.0, 0.5, jnp.inf], [1.0, 0.5, 0.0]])
    curve = dc.SparsificationCurve((0, 1, 4), errors)
    for tolerance, expected in ((None, [np.nan, 1, 4]), (0.1, [np.nan, np.nan, 4]), (0.5, [np.nan, 1, 1])):
        assert np.array_equal(curve.optimal(tolerance), expected, equal_nan=True)


def test_optimal_works_inside_jit():
    curve = dc.SparsificationCurve((0, 1, 4), jnp.array([1.0, 0.5, 0.0]))
    assert [float(jax.jit(lambda c, t: c.optimal(t))(curve, tolerance)) for tolerance in (0.5, 0.0)] == [1, 4]


@pytest.mark.parametrize(
    "arguments,error,message",
    [
        ({"keeps": [1, 1]}, ValueError, r"keeps must increase from 0 or more to at most 25.*; got \[1, 1\]"),
        ({"keeps": [-1, 1]}, ValueError, "sparsification_curve: keeps must increase from 0 or more to at most"),
        ({"keeps": [1, 26]}, ValueError, r"the number of free weights; got \[1, 26\]"),
        ({"keeps": []}, ValueError, r"the number of free weights; got \[\]"),
        ({"keeps": [0.5]}, TypeError, r"sparsification_curve: keeps must be integers; got \[0\.5\]"),
        ({"keeps": 5}, TypeError, "sparsification_curve: keeps must be integers; got 5"),
        ({"batch_size": 0}, ValueError, "sparsification_curve: batch_size must be at least 1; got 0"),
        ({"error": None}, TypeError, r"error must be called as error\(network, key\), as those of dc.losses are; got"),
        ({"error": lambda network, key: jnp.ones(3)}, ValueError, r"error must give one real number; got .*\(3,\)"),
        ({"error": lambda network, key: 1j}, ValueError, "error must give one real number; got complex128"),
        ({"network": 3}, TypeError, "sparsification_curve: expected a Network or Construction; got int"),
        ({"network": []}, ValueError, "curve: expected a network, or a list of networks of one structure; got .*0 str"),
        ({"network": [dc.fft(2), dc.fft(4)]}, ValueError, "a list of networks of one structure; got 2 structures"),
        ({"key": 3}, TypeError, "sparsification_curve: key must be one PRNG key"),
    ],
)  # fmt: skip
def test_wrong_curves_are_refused(arguments, error, message):
    arguments = {"network": chain(), "error": magnitude} | arguments
    with pytest.raises(error, match=message):
        dc.sparsification_curve(arguments.pop("network"), arguments.pop("error"), **arguments)


def test_negative_tolerances_are_refused():
    with pytest.raises(ValueError, match="optimal: tolerance must be finite and at least 0; got -1"):
        dc.SparsificationCurve((0,), jnp.ones(1)).optimal(-1)
