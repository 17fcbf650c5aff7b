"""Parity in one hidden layer and in AND/OR gates: exact on every input, at the stated cost."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import deepconstruct as dc
from deepconstruct.linear import as_matrix
from deepconstruct.network import flat_layers
from marks import slow_among

PRECISIONS = ["float32", "float64"]


@functools.partial(jax.jit, static_argnums=1)
def errors(network, n):
    """The number of inputs, out of all, on which the output isn't the parity bit for bit."""
    # In blocks, since a disjunctive normal form has 2^(n-1) units for each of the 2^n inputs.
    block = min(2**n, 2**10)

    def count(start):
        bits = ((start + jnp.arange(block))[None, :] >> jnp.arange(n)[:, None]) & 1
        return jnp.sum(network(bits, axis=0)[0] != (bits.sum(axis=0) % 2).astype(network.dtype))

    return jax.lax.map(count, jnp.arange(0, 2**n, block)).sum()


@pytest.mark.default_cases(3)
@pytest.mark.parametrize("n", slow_among(range(1, 15), (5, 6, 8, 9, 11, 12, 13)))
@pytest.mark.parametrize("activation", ["relu", "step"])
@pytest.mark.parametrize("kind", ["count", "dnf"])
def test_one_hidden_layer_is_exact_on_every_input(kind, activation, n):
    # Most in single precision only: double has strictly more room.
    for dtype in PRECISIONS if n in (1, 2, 3, 7, 10) else PRECISIONS[:1]:
        construction = dc.parity_shallow(n, kind=kind, activation=activation, dtype=dtype)
        assert construction.claim.error.is_exact
        assert errors(construction.network, n) == 0


def test_the_count_of_errors_can_see_one():
    assert errors(dc.parity(4, dtype="float32").network, 4) == 0
    or_gate = dc.Network((dc.Layer(dc.linear.Dense(jnp.ones((1, 2))), activation=dc.activations.Step()),))
    assert errors(or_gate, 2) == 1


def depths(n):
    return range(2, max(1 + math.ceil(math.log2(n)), 2) + 1)


EVERY_DEPTH = [(n, depth) for n in range(1, 13) for depth in depths(n)]
SOME_DEPTHS = [(13, 2), (13, 3), (13, 5), (14, 2), (14, 4)]


@pytest.mark.default_cases(3)
@pytest.mark.parametrize("n,depth", slow_among(EVERY_DEPTH + SOME_DEPTHS, EVERY_DEPTH[1::2] + SOME_DEPTHS))
def test_bounded_depth_is_exact_on_every_input(n, depth):
    construction = dc.parity_bounded_depth(n, depth, dtype="float32")
    assert errors(construction.network, n) == 0
    assert dc.cost(construction).depth == depth - 1


@pytest.mark.parametrize("n,depth", [(5, 3), (9, 3), (11, 4)])
def test_bounded_depth_is_exact_in_double_precision(n, depth):
    network = dc.parity_bounded_depth(n, depth, dtype="float64").network
    assert network.dtype == np.float64
    assert errors(network, n) == 0


@pytest.mark.parametrize(
    "n,depth,gates,wires", [(4, 2, 9, 40), (9, 3, 29, 124), (8, 4, 27, 74), (16, 3, 73, 520), (16, 5, 59, 170)]
)
def test_gates_and_wires_as_measured(n, depth, gates, wires):
    cost = dc.cost(dc.parity_bounded_depth(n, depth, dtype="float32"))
    # The output gate is the readout.
    assert (cost.neurons + 1, cost.synapses) == (gates, wires)


@pytest.mark.parametrize("size,levels", [(2, 1), (2, 2), (2, 3), (2, 5), (3, 2), (3, 3), (4, 2), (8, 2), (12, 1)])
def test_number_of_gates_by_formula(size, levels):
    n = size**levels
    gates = sum(n // size**level * 2**size for level in range(1, levels)) + 2 ** (size - 1) + 1
    assert dc.cost(dc.parity_bounded_depth(n, levels + 1, dtype="float32")).neurons + 1 == gates


@pytest.mark.parametrize("n,depth", [(7, 2), (7, 3), (16, 3), (16, 5)])
def test_bounded_depth_holds_only_and_and_or_gates(n, depth):
    layers = flat_layers(dc.parity_bounded_depth(n, depth, dtype="float32").network)[:-1]
    for level, layer in enumerate(layers):
        weights = np.asarray(as_matrix(layer.linear))
        positive, negated = (weights == 1).sum(axis=1), (weights == -1).sum(axis=1)
        assert np.array_equal(positive + negated, (weights != 0).sum(axis=1))
        # An AND is silent unless all literals hold, an OR speaks up for any one.
        needed = np.ones_like(positive) if level % 2 else positive + negated
        assert np.array_equal(jnp.asarray(layer.bias), negated - needed + 0.5)
        assert level == 0 or not negated.any()


@pytest.mark.parametrize("n", [1, 2, 3, 8, 13])
def test_cost_of_counting(n):
    cost = dc.cost(dc.parity_shallow(n, dtype="float32"))
    assert (cost.depth, cost.neurons, cost.synapses) == (1, n, n * n + n)


@pytest.mark.parametrize("n", [1, 2, 3, 8, 13])
def test_cost_of_the_normal_form(n):
    cost = dc.cost(dc.parity_shallow(n, kind="dnf", dtype="float32"))
    assert (cost.depth, cost.neurons, cost.synapses) == (1, 2 ** (n - 1), (n + 1) * 2 ** (n - 1))


def corners(n, delta):
    """Random bits with every one moved by exactly `delta`: `(bits, moved)`."""
    random = np.random.default_rng(n)
    bits = random.integers(0, 2, (4000, n))
    return bits, bits + delta * random.choice([-1, 1], bits.shape)


STEP_NETWORKS = [
    lambda: dc.parity_shallow(7, activation="step", dtype="float32"),
    lambda: dc.parity_shallow(7, kind="dnf", activation="step", dtype="float32"),
    lambda: dc.parity_bounded_depth(9, 3, dtype="float32"),
    lambda: dc.parity_bounded_depth(8, 4, dtype="float32"),
]


@pytest.mark.parametrize("build", STEP_NETWORKS)
def test_step_networks_shrug_off_noise_up_to_the_radius(build):
    construction = build()
    assert construction.claim.robustness.radius > 0.05
    bits, moved = corners(construction.in_size, construction.claim.robustness.radius)
    got = jax.jit(construction.network)(moved.astype(np.float32))
    assert np.array_equal(got[:, 0], bits.sum(axis=1) % 2)


@pytest.mark.parametrize("kind", ["count", "dnf"])
@pytest.mark.parametrize("share", [1e-6, 0.1, 0.5, 1.0])
def test_relu_networks_keep_their_gain(kind, share):
    construction = dc.parity_shallow(6, kind=kind, dtype="float32")
    delta = share * construction.claim.robustness.radius * (1 - 1e-6)
    bits, moved = corners(6, delta)
    error = np.abs(np.asarray(jax.jit(construction.network)(moved.astype(np.float32)))[:, 0] - bits.sum(axis=1) % 2)
    assert error.max() <= construction.claim.allowance(delta * (1 + 1e-6))


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("n,dtype", [(5792, "float32"), (6000, "float64")])
def test_counting_many_bits_is_exact_where_sums_fit(n, dtype):
    network = dc.parity_shallow(n, dtype=dtype).network
    # The positive terms of a full input add up to n^2 / 2, which has to stay below 2^24.
    ones = np.unique(np.concatenate([[0, 1, n - 1, n], np.random.default_rng(0).integers(0, n, 28)]))
    bits = (np.arange(n)[:, None] < ones).astype(np.int8)
    assert np.array_equal(network(bits, axis=0)[0], ones % 2)


@pytest.mark.slow
def test_counting_more_bits_than_single_precision_sums_goes_by_groups():
    built = dc.parity_shallow(5793, dtype="float32")
    assert dc.cost(built).layers == 4
    ones = np.array([0, 1, 2, 2896, 2897, 5792, 5793])
    bits = (np.arange(5793)[:, None] < ones).astype(np.int8)
    assert np.array_equal(built.network(bits, axis=0)[0], ones % 2)
    assert built.claim.error.is_exact


def test_counting_with_step_units_takes_any_number_of_bits():
    network = dc.parity_shallow(6000, activation="step", dtype="float32").network
    assert network(np.ones((1, 6000), np.int8)).tolist() == [[0.0]]


def test_a_normal_form_of_too_many_bits_is_refused():
    with pytest.raises(ValueError, match=r"kind='dnf' has 2\^\(n-1\) units, so n must be at most 20; got 21"):
        dc.parity_shallow(21, kind="dnf")


@pytest.mark.parametrize("n,depth,deepest", [(1, 3, 2), (2, 3, 2), (3, 4, 3), (9, 6, 5), (16, 6, 5)])
def test_a_depth_beyond_the_tree_is_refused(n, depth, deepest):
    with pytest.raises(ValueError, match=f"depth must be at most {deepest} for n={n}; got {depth}"):
        dc.parity_bounded_depth(n, depth)


@pytest.mark.parametrize("n,depth", [(25, 2), (400, 3)])
def test_more_gates_than_memory_takes_are_refused(n, depth):
    with pytest.raises(ValueError, match=rf"n={n} in depth {depth} needs about .* gates; use a larger depth"):
        dc.parity_bounded_depth(n, depth)
