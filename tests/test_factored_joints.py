"""Joints kept as two factors, dense forms of maps that sum in an order of their own, and what errors become inside."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import deepconstruct as dc
from deepconstruct._arithmetic.exactness import is_exact_on
from deepconstruct._arithmetic.intervals import layer_range
from deepconstruct._arithmetic.sensitivity import sensitivities, slope_bound
from deepconstruct.activations import Concatenate, Custom, Exp, Power, ReLU, Sigmoid, Square, Tanh
from deepconstruct.domains import Bits, Box
from deepconstruct.linear import Composed, Dense, DirectSum
from deepconstruct.network import flat_layers

PRECISIONS = ["float32", "float64"]


def box(n, count=500):
    return np.random.default_rng(n).uniform(-1, 1, (count, n))


def pair_of(make):
    """Two of a construction, side by side, before a third."""
    return dc.series(dc.parallel(make(), make()), make())


@pytest.mark.default_cases(2)
@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("activation", ["sigmoid", "gelu", "square", "exp"])
def test_a_series_of_smooth_gates_claims_little_more_than_its_parts(activation, dtype):
    one = dc.multiplication_gate(activation=activation, dtype=dtype)
    tree = pair_of(lambda: one)
    x = box(4).astype(dtype)
    measured = float(np.abs(np.asarray(tree(x))[:, 0] - x.astype(np.longdouble).prod(axis=1)).max())
    assert measured <= tree.claim.error.absolute <= 4 * one.claim.error.absolute
    assert dc.cost(tree).neurons == 12
    assert dc.cost(tree).linear_neurons == 0
    assert dc.cost(tree).synapses == 20 * 4 - 28


def test_joints_that_round_are_two_factors_and_exact_ones_are_multiplied_out():
    smooth = pair_of(dc.multiplication_gate)
    exact = pair_of(lambda: dc.parity(2))
    assert isinstance(flat_layers(smooth.network)[1].linear, Composed)
    assert not any(isinstance(layer.linear, Composed) for layer in flat_layers(exact.network))


@pytest.mark.parametrize("dtype,size", [("float32", 5e-6), ("float64", 1e-14)])
def test_a_series_of_sigmoid_parities_claims_only_roundoff(dtype, size):
    tree = pair_of(lambda: dc.parity(2, activation="sigmoid", dtype=dtype))
    assert tree.claim.error.absolute < size
    assert dc.certify(tree).verdict == "proved"


@pytest.mark.slow
def test_a_joint_whose_bias_can_not_be_bounded_stays_linear():
    shifted = dc.polynomial({(1,): 1.0, (0,): 0.25}, dtype="float64")
    unknown = dc.multiplication_gate(activation=Custom(jnp.arctan, "arctan"), dtype="float64")
    both = dc.parallel(shifted, shifted)
    scaled = dc.claim(both.network, dc.Claim(**{**vars(both.claim), "codomain": Box(2, -1.0, 1.0)}))
    joined = dc.series(scaled, unknown)
    assert dc.cost(joined).linear_neurons == 2
    assert joined.claim.is_estimate


@pytest.mark.default_cases(4)
@pytest.mark.parametrize(
    "make",
    [
        lambda dtype: dc.flat_product(4, dtype=dtype),
        lambda dtype: dc.flat_product(5, activation="power", dtype=dtype),
        lambda dtype: dc.product_tree(5, dtype=dtype),
        lambda dtype: dc.polynomial({(3, 1): 1.0, (1, 0): -0.5}, dtype=dtype),
        lambda dtype: dc.multiplication_gate(activation="exp", richardson=True, dtype=dtype),
    ],
)
@pytest.mark.parametrize("dtype", PRECISIONS)
def test_densify_adds_the_rounding_of_plain_sums(make, dtype):
    given = make(dtype)
    dense = dc.densify(given)
    assert all(isinstance(layer.linear, Dense) for layer in flat_layers(dense.network))
    assert dense.claim.error.absolute > given.claim.error.absolute
    x = box(given.in_size).astype(dtype)
    wanted = np.asarray(given.claim.target(x.astype(np.longdouble)))
    assert np.abs(np.asarray(dense(x)) - wanted).max() <= dense.claim.error.absolute


class Pairwise(Dense):
    """A user's map that keeps its order."""

    def __init__(self, weight):
        super().__init__(weight)

    @property
    def summation(self):
        return "pairwise"

    def apply(self, x):
        z = self.weight[..., None] * x
        return (z[:, :, 0] + z[:, :, 1]) + (z[:, :, 2] + z[:, :, 3])


@pytest.mark.parametrize("joined", [False, True])
def test_densify_adds_what_a_map_of_the_user_loses_with_its_order(joined):
    ordered, plain = (kind(jnp.ones((1, 4), "float32")) for kind in (Pairwise, Dense))
    linear = DirectSum((ordered, plain)) if joined else ordered
    box, network = dc.domains.Box(linear.in_size, -1, 1), dc.Network((dc.Layer(linear),))
    target, codomain = (
        dc.Target("sums", lambda x: x.reshape(*x.shape[:-1], -1, 4).sum(-1)),
        dc.domains.Box(linear.out_size, -4, 4),
    )
    given = dc.claim(network, dc.Claim(target, box, codomain, dc.Bound(1e-6), dtype="float32"))
    assert dc.densify(given).claim.error.largest > given.claim.error.largest


def test_densify_keeps_the_claim_of_exact_networks():
    squares = dc.series(dc.parallel(dc.parity(2), dc.parity(2)), dc.product_tree(2, activation="square"))
    assert dc.densify(squares).claim == squares.claim


@pytest.mark.slow
def test_densify_refuses_what_it_can_not_bound():
    gate = dc.multiplication_gate(activation=jnp.arctan, dtype="float64")
    with pytest.raises(ValueError, match=r"densify: the rounding of product\(2\) as dense matrices can't be bounded"):
        dc.densify(gate)
    assert dc.densify(gate.network).out_size == 1


def test_cost_of_a_product_gate_is_counted_without_its_matrix():
    cost = dc.cost(dc.flat_product(24, activation="power", dtype="float32"))
    assert cost.neurons == 2**23
    assert cost.synapses == 25 * 2**23
    assert cost.parameters == 25


def test_a_series_into_a_large_product_gate_does_not_multiply_out():
    bits = dc.parallel(*[dc.parity(2, dtype="float64")] * 18)
    joined = dc.series(bits, dc.flat_product(18, activation="power", dtype="float64"))
    x = np.tile([1.0, 0.0], 18)
    assert float(joined(x)[0]) == pytest.approx(1.0, abs=1e-8)


@pytest.mark.parametrize("network,exact", [("square", True), ("sigmoid", False)])
def test_squares_of_small_integers_are_exact(network, exact):
    tree = dc.product_tree(4, activation=network, dtype="float32").network
    assert is_exact_on(tree, Bits(4)) is exact


def test_powers_that_outgrow_the_digits_are_not_exact():
    large = dc.polynomial({(5,): 1.0}, bound=1024, dtype="float32").network
    points = dc.domains.Points([[1023.0]])
    assert not is_exact_on(large, points)
    assert is_exact_on(dc.polynomial({(2,): 1.0}, bound=16, dtype="float32").network, dc.domains.Points([[15.0]]))


ACTIVATIONS = [Square(), Power(3), Exp(), Tanh(), Sigmoid(4.0), ReLU()]


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda activation: activation.name())
def test_slopes_are_bounded_on_intervals(activation):
    low, high = np.array([-2.0, 0.5, -0.1]), np.array([-1.0, 3.0, 0.2])
    points = np.concatenate([np.linspace(a, b, 201) for a, b in zip(low, high, strict=True)])
    slopes = jax.vmap(jax.grad(lambda z: activation(z)))(jnp.asarray(points))
    bound = slope_bound(activation, low, high)
    assert np.abs(slopes).max() <= bound * (1 + 1e-12)
    mixed = Concatenate((activation, ReLU()), (2, 1))
    assert slope_bound(mixed, low, high) == max(slope_bound(activation, low[:2], high[:2]), 1.0)


@pytest.mark.slow
def test_sensitivities_bound_what_shows():
    network = dc.product_tree(4, activation="square", dtype="float64").network
    layers = flat_layers(network)
    low, high = -np.ones(4), np.ones(4)
    shown = sensitivities(layers, low, high)
    generator, x = np.random.default_rng(0), box(4, 50)
    for index in range(len(layers)):
        for point in x:
            h = jnp.asarray(point)
            for layer in layers[:index]:
                h = layer.apply(h[None, :, None])[0, :, 0]
            z = layers[index].linear(h)
            moved = z + 1e-3 * generator.uniform(-1, 1, z.shape)
            outputs = []
            for start in (z, moved):
                h = layers[index].finish(start[None, :, None])[0, :, 0]
                for layer in layers[index + 1 :]:
                    h = layer.apply(h[None, :, None])[0, :, 0]
                outputs.append(h)
            change = float(jnp.abs(outputs[1] - outputs[0]).max())
            assert change <= shown[index] * 1.01e-3 + 1e-12


def test_intervals_of_an_unknown_function_are_the_whole_line():
    layer = dc.Layer(Dense(jnp.ones((1, 1))), activation=Custom(jnp.arctan, "arctan"))
    low, high = layer_range(layer, np.zeros(1), np.ones(1))
    assert low[0] == -np.inf
    assert high[0] == np.inf


def test_estimates_stay_estimates_in_compositions():
    guess = dc.multiplication_gate(activation=jnp.arctan, dtype="float64")
    sure = dc.multiplication_gate(dtype="float64")
    assert guess.claim.is_estimate
    assert not sure.claim.is_estimate
    assert "estimate" in repr(guess)
    assert dc.series(dc.parallel(sure, guess), sure).claim.is_estimate
    assert dc.fan_out(sure, guess).claim.is_estimate
    assert dc.certify(guess, samples=100).verdict == "tested"
