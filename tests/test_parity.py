"""Parity trees: exact on every input, robust within the claim, and as cheap as the formulas say."""

import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit

import deepconstruct as dc
from deepconstruct.activations import Sigmoid
from deepconstruct.constructions.parity import tree
from deepconstruct.linear import as_matrix
from deepconstruct.network import flat_layers
from marks import slow_among

PRECISIONS = ["float32", "float64"]
ACTIVATIONS = ["relu", "step", "sigmoid"]
TOLERANCE = {"float32": 2e-6, "float64": 1e-14}
SHAPES = [(encoding, fused) for encoding in ("bits", "signs") for fused in (True, False)]


def all_bits(n):
    """All `2^n` inputs, features first."""
    return (np.arange(2**n)[None, :] >> np.arange(n)[:, None]) & 1


def encoded(bits, encoding):
    return bits if encoding == "bits" else 1 - 2 * bits


def wanted(bits, encoding):
    return encoded(np.bitwise_xor.reduce(bits, axis=0)[None], encoding)


# Hundreds of small programs: machine code that is quick to make, and one compilation for several.
@functools.partial(jax.jit, static_argnums=2, compiler_options={"xla_backend_optimization_level": 0})
def run_together(networks, bits, encodings):
    """Outputs of several networks on the same bits, features first."""
    return [net(encoded(bits, kind), axis=0) for net, kind in zip(networks, encodings, strict=True)]


def runs(n, shapes, **options):
    """`(construction, output, wanted)` for every encoding and fusion, on all inputs."""
    bits = all_bits(n)
    built = [dc.parity(n, encoding=encoding, fused=fused, **options) for encoding, fused in shapes]
    encodings = tuple(encoding for encoding, _ in shapes)
    outputs = run_together(tuple(c.network for c in built), bits.astype(np.int8), encodings)
    return [
        (c, np.asarray(y), wanted(bits, encoding)) for c, y, encoding in zip(built, outputs, encodings, strict=True)
    ]


@pytest.mark.default_cases(2)
@pytest.mark.parametrize("n", slow_among(range(1, 17), (5, 6, *range(9, 16))))
@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("activation", ["relu", "step"])
def test_relu_and_step_are_bit_exact_on_every_input(activation, dtype, n):
    for construction, got, expected in runs(n, SHAPES, activation=activation, dtype=dtype):
        assert got.dtype == dtype
        assert np.array_equal(got, expected)
        assert construction.claim.error.is_exact


@pytest.fixture
def error_only(monkeypatch):
    """Bound the error on bits only: the search for a radius is slow, and other tests look at it."""

    def bound(levels, dtype, **options):
        return tree.sigmoid_error(levels, 0.0, dtype, **options), 0.0, 0.0

    monkeypatch.setattr(tree, "sigmoid_robustness", bound)


@pytest.mark.default_cases(1)
@pytest.mark.usefixtures("error_only")
@pytest.mark.parametrize("n", slow_among(range(1, 17), (5, 6, *range(9, 16))))
@pytest.mark.parametrize("dtype", PRECISIONS)
def test_calibrated_sigmoids_only_round(dtype, n):
    for construction, got, expected in runs(n, SHAPES, activation="sigmoid", dtype=dtype):
        assert got.dtype == dtype
        error = np.abs(got - expected).max()
        assert error <= TOLERANCE[dtype]
        assert error <= construction.claim.error.absolute


@pytest.mark.default_cases(2)
@pytest.mark.usefixtures("error_only")
@pytest.mark.parametrize("n", [2, 3, 13])
@pytest.mark.parametrize("dtype", PRECISIONS)
def test_raw_sigmoids_round_to_the_right_bit_within_their_claim(dtype, n):
    for construction, got, expected in runs(n, SHAPES, activation="sigmoid", readout="raw", dtype=dtype):
        signs = isinstance(construction.claim.domain, dc.domains.Signs)
        assert np.array_equal(np.sign(got) if signs else np.round(got), expected)
        error = np.abs(got.astype(np.float64) - expected).max()
        assert 1e-3 < error <= construction.claim.error.absolute


@pytest.mark.default_cases(4)
@pytest.mark.usefixtures("error_only")
@pytest.mark.parametrize("n", slow_among([3, 5, 7, 9, 14], (7, 9)))
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("arity", [3, 4])
def test_wider_gates_are_right_on_every_input(arity, activation, n):
    for construction, got, expected in runs(n, SHAPES[1:3], activation=activation, arity=arity, dtype="float32"):
        error = np.abs(got - expected).max()
        assert error <= (TOLERANCE["float32"] * 10 if activation == "sigmoid" else 0)
        assert error <= construction.claim.error.absolute


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("n", slow_among([37, 1000, 4096], [1000]))
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_large_trees_see_every_single_bit(activation, n):
    construction = dc.parity(n, activation=activation, dtype="float32")
    bits = np.random.default_rng(n).integers(0, 2, (n, 1000), dtype=np.int8)
    flipped = bits[:, :1] ^ np.eye(n, dtype=np.int8)
    got = np.asarray(jax.jit(construction)(np.concatenate([bits, flipped], axis=1).T)).T
    assert np.abs(got[:, :1000] - wanted(bits, "bits")).max() <= construction.claim.error.absolute
    assert np.array_equal(np.round(got[0, 1000:]), np.full(n, 1 - bits[:, 0].sum() % 2))


@pytest.mark.parametrize("k", range(1, 13))
def test_cost_of_a_power_of_two(k):
    n, cost = 2**k, dc.cost(dc.parity(2**k, dtype="float32"))
    assert (cost.depth, cost.neurons, cost.synapses, cost.width) == (k, 2 * (n - 1), 6 * n - 6, n)
    assert cost.linear_neurons == 0


@pytest.mark.parametrize("k", range(1, 11))
def test_cost_of_the_three_neuron_gates(k):
    cost = dc.cost(dc.parity(2**k, fused=False, dtype="float32"))
    assert (cost.depth, cost.neurons) == (2 * k, 3 * (2**k - 1))


@pytest.mark.parametrize("n", [1, 2, 3, 5, 6, 7, 11, 17, 31, 33, 100, 127, 1000])
def test_any_size_has_the_depth_of_the_power_of_two_below_it(n):
    three_input_gates, wires = 0, n
    while wires > 1:
        three_input_gates, wires = three_input_gates + wires % 2, wires // 2
    cost = dc.cost(dc.parity(n, dtype="float32"))
    assert (cost.depth, cost.neurons) == (math.floor(math.log2(n)), 2 * (n - 1) - three_input_gates)


@pytest.mark.parametrize("n,neurons,synapses", [(5, 7, None), (17, 31, None), (33, 63, None), (31, 56, 195)])
def test_cost_as_measured_for_odd_sizes(n, neurons, synapses):
    cost = dc.cost(dc.parity(n, dtype="float32"))
    assert cost.neurons == neurons
    assert synapses in (None, cost.synapses)


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("n", [2, 3, 13, 16])
@pytest.mark.parametrize("activation", ["relu", "step"])
def test_weights_are_integers_or_halves(activation, n):
    for encoding, fused in SHAPES:
        network = dc.parity(n, activation=activation, encoding=encoding, fused=fused, dtype="float32").network
        assert all(np.array_equal(2 * leaf, np.round(2 * leaf)) for leaf in jax.tree.leaves(network))


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("fused", [True, False])
def test_tied_weights_compute_the_same(activation, fused):
    options = {"activation": activation, "fused": fused, "dtype": "float32"}
    free, tied = dc.parity(16, **options), dc.parity(16, tied=True, **options)
    first, second = run_together((free.network, tied.network), all_bits(16).astype(np.int8), ("bits", "bits"))
    assert np.abs(first - second).max() <= 2 * free.claim.error.absolute
    assert dc.cost(tied).synapses == dc.cost(free).synapses
    assert dc.cost(tied).parameters < dc.cost(free).parameters


def test_tied_weights_are_one_block_a_level():
    # The first level has 2 x 2 weights and 2 biases, the others 2 x 4 and 2, the readout 2.
    assert dc.cost(dc.parity(16, tied=True)).parameters == 6 + 3 * 10 + 2


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("n", [2, 5, 8, 16])
def test_labels_map_units_to_gates(n, fused):
    # Units of one gate read the same wires, and two gates share none.
    for layer in flat_layers(dc.parity(n, fused=fused, dtype="float32").network)[: -1 if fused else None]:
        assert layer.label is not None
        reads = np.asarray(as_matrix(layer.linear)) != 0
        gates = [layer.label.gate(unit, layer.out_size) for unit in range(layer.out_size)]
        for one, other in itertools.combinations(range(layer.out_size), 2):
            together = bool((reads[one] & reads[other]).any())
            assert together == (gates[one] == gates[other])


def moved_corners(n, delta):
    """All bits, each moved by `delta` up or down in every combination: `(bits, moved)`."""
    bits = np.repeat(all_bits(n), 2**n, axis=1)
    signs = np.tile(2 * all_bits(n) - 1, (1, 2**n))
    return bits, bits + delta * signs


@pytest.mark.default_cases(4)
@pytest.mark.parametrize("n", [2, 3, 5, 7])
@pytest.mark.parametrize("encoding", ["bits", "signs"])
def test_step_gates_shrug_off_noise_up_to_the_radius(n, encoding):
    construction = dc.parity(n, activation="step", encoding=encoding, dtype="float32")
    bits, moved = moved_corners(n, construction.claim.robustness.radius * (1 if encoding == "bits" else 0.5))
    got = jax.jit(construction.network)(encoded(moved, encoding).T.astype(np.float32))
    assert np.array_equal(got.T, wanted(bits, encoding))


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("n,inputs", [(2, 2), (3, 3), (5, 3), (8, 2)])
def test_step_radius_is_as_large_as_can_be(n, inputs):
    construction = dc.parity(n, activation="step", dtype="float32")
    assert 0.999 / (2 * inputs) < construction.claim.robustness.radius < 1 / (2 * inputs)
    zeros_moved_up = np.full((1, n), 1.01 / (2 * inputs), np.float32)
    layer = flat_layers(construction.network)[0]
    assert np.any(layer.apply(jnp.asarray(zeros_moved_up)[:, :, None]) != 0)


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("dtype", PRECISIONS)
def test_calibrated_error_does_not_grow_with_depth(dtype):
    claims = [dc.parity(2**k, activation="sigmoid", dtype=dtype).claim.error.absolute for k in (4, 12)]
    assert claims[0] <= claims[1] <= 1.01 * claims[0]
    deep = dc.parity(2**12, activation="sigmoid", dtype=dtype).network
    bits = np.random.default_rng(0).integers(0, 2, (2**12, 256), dtype=np.int8)
    assert np.abs(np.asarray(jax.jit(deep)(bits.T)).T - wanted(bits, "bits")).max() <= TOLERANCE[dtype]


REFUSED = [
    # Which network, and where its least inverse temperature lies.
    ({"n": 4096, "readout": "raw"}, (7.17, 7.5)),
    ({"n": 4096, "readout": "raw", "fused": False}, (6.0, 6.3)),
    ({"n": 8, "readout": "raw"}, (4.0, 7.17)),
    ({"n": 27, "readout": "raw", "arity": 3}, (6.0, 9.5)),
    # The calibrated readout is exact for any of them: only its rounding has to stay small.
    ({"n": 4096, "readout": "calibrated", "dtype": "float32"}, (1.0, 4.7)),
]


@pytest.mark.parametrize("options,bounds", REFUSED)
def test_refused_sigmoids_are_told_the_least_inverse_temperature(options, bounds):
    options = {"dtype": "float64", **options}
    with pytest.raises(ValueError, match=rf"inverse temperature 1 with the {options['readout']} readout") as refusal:
        dc.parity(activation=Sigmoid(1.0), **options)
    least = float(str(refusal.value).split("Sigmoid(")[1].split(")")[0])
    assert bounds[0] <= least <= bounds[1]
    assert dc.parity(activation=Sigmoid(least), **options).claim.error.absolute <= 0.25
    with pytest.raises(ValueError, match="error bound above 0"):
        dc.parity(activation=Sigmoid(0.98 * least), **options)


# Inverse temperature and the radius of the basin, from the scalar recursion of the gate.
BASINS = [(5, 0.0249), (6, 0.0831), (8, 0.1434), (10, 0.1728), (12, 0.1898), (16, 0.2083), (20, 0.2181)]


@pytest.mark.parametrize("beta,basin", BASINS)
def test_sigmoid_radius_lies_in_the_basin(beta, basin):
    radius = dc.parity(16, activation=Sigmoid(beta), dtype="float32").claim.robustness.radius
    assert 0.7 * basin <= radius <= basin


@pytest.mark.parametrize("beta,contracts", [(4.65, False), (4.75, True)])
def test_calibrated_gates_contract_from_inverse_temperature_4_7(beta, contracts):
    claim = dc.parity(16, activation=Sigmoid(beta), dtype="float32").claim
    assert (claim.robustness.radius > 1e-6) == contracts


@pytest.mark.parametrize("fused", [True, False])
def test_claim_of_one_raw_gate_is_true_and_tight(fused):
    xor = dc.parity(2, activation="sigmoid", readout="raw", fused=fused, dtype="float32")
    worst = np.abs(np.asarray(xor(all_bits(2).T), np.float64).T - wanted(all_bits(2), "bits")).max()
    assert worst <= xor.claim.error.absolute <= 1.01 * worst


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("beta", [6.0, 10.0, 16.0])
def test_claim_of_one_calibrated_gate_allows_for_inexact_activations(beta, dtype):
    # Each unit wrong by as much as claims allow for, in the worst direction, in exact arithmetic else.
    xor = dc.parity(2, activation=Sigmoid(beta), dtype=dtype)
    weights = np.abs(np.asarray(as_matrix(flat_layers(xor.network)[-1].linear), np.float64))
    units = expit(beta * (np.arange(3)[:, None] - np.array([0.5, 1.5])))
    off = Sigmoid().ulps() * np.spacing(units.astype(dtype)).astype(np.float64)
    worst = float((off @ weights[0]).max())
    assert worst <= xor.claim.error.absolute <= 5 * worst


def grid_around_corners(radius, dtype):
    """The four corners, moved by a dense grid of offsets: `(bits, moved, delta)`."""
    steps = np.linspace(-radius, radius, 129)
    offsets = np.stack(np.meshgrid(steps, steps)).reshape(2, 1, -1)
    bits = np.broadcast_to(all_bits(2)[:, :, None], (2, 4, offsets.shape[-1])).reshape(2, -1)
    moved = (bits + np.broadcast_to(offsets, (2, 4, offsets.shape[-1])).reshape(2, -1)).astype(dtype)
    return bits, moved, np.abs(moved.astype(np.float64) - bits).max(axis=0)


@pytest.mark.default_cases(5)
@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("activation,readout", [*((a, "calibrated") for a in ACTIVATIONS), ("sigmoid", "raw")])
def test_moved_inputs_of_one_gate_stay_within_radius_and_gain(activation, readout, fused, dtype):
    xor = dc.parity(2, activation=activation, readout=readout, fused=fused, dtype=dtype)
    bits, moved, delta = grid_around_corners(xor.claim.robustness.radius * (1 - 1e-6), dtype)
    error = np.abs(np.asarray(jax.jit(xor.network)(moved.T), np.float64).T - wanted(bits, "bits"))[0]
    rounding = np.where(delta > 0, xor.claim.robustness.rounding, 0)
    assert np.all(error <= xor.claim.error.absolute + xor.claim.robustness.gain * delta + rounding)


@pytest.mark.parametrize("readout", ["calibrated", "raw"])
def test_bound_of_moved_inputs_is_within_ten_times_what_the_grid_shows(readout):
    xor = dc.parity(2, activation="sigmoid", readout=readout, dtype="float32")
    bits, moved, delta = grid_around_corners(xor.claim.robustness.radius * (1 - 1e-6), "float32")
    error = np.abs(np.asarray(jax.jit(xor.network)(moved.T), np.float64).T - wanted(bits, "bits"))[0]
    assert xor.claim.error.absolute + xor.claim.robustness.gain * delta.max() <= 10 * error.max()


def test_gain_of_the_relu_gate_is_reached():
    xor = dc.parity(2, dtype="float64")
    up = 0.25
    assert abs(float(xor(np.array([1.0 + up, 0.0 + up]))[0]) - 1) == xor.claim.robustness.gain * up


@pytest.mark.parametrize("kind", [list, tuple, np.asarray])
def test_an_empty_batch_and_any_kind_of_bits_are_taken(kind):
    xor = dc.parity(3, dtype="float32")
    assert xor(np.zeros((0, 3))).shape == (0, 1)
    assert xor(kind([True, False, False])).tolist() == [1.0]
    assert xor(kind([1, 1, 0])).tolist() == [0.0]
