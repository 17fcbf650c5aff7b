"""Composition of networks, and of constructions with their claims."""

import itertools
import math
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import deepconstruct as dc
from deepconstruct import activations, linear
from deepconstruct._bias import TiledBias
from deepconstruct.domains import Bits, Product, Signs, Space
from deepconstruct.network import flat_layers
from deepconstruct.targets import DFT, Iterated, Realified

RELU, TANH, IDENTITY = activations.ReLU(), activations.Tanh(), activations.Identity()


def draw(*shape: int, seed: int = 0) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape))


def net(
    *sizes: int, activation: activations.AbstractActivation = RELU, biases: bool = True, seed: int = 0
) -> dc.Network:
    """A dense network with a linear readout."""
    layers = []
    for index, (size_in, size_out) in enumerate(itertools.pairwise(sizes)):
        bias = draw(size_out, seed=seed + 70 + index) if biases else None
        act = activation if index < len(sizes) - 2 else IDENTITY
        layers.append(dc.Layer(linear.Dense(draw(size_out, size_in, seed=seed + index)), bias, act))
    return dc.Network(tuple(layers))


def tied(outer: int) -> dc.Network:
    """A tied hidden layer with a tied bias, `2 outer -> 3 outer`."""
    layer = dc.Layer(linear.Kronecker(draw(3, 2), outer=outer), TiledBias(draw(3), outer=outer), TANH)
    return dc.Network((layer, dc.Layer(linear.Kronecker(draw(1, 3), outer=outer))))


def run(network, x) -> np.ndarray:
    # One program in place of one for every operation.
    return np.asarray(jax.jit(getattr(network, "network", network))(x))


def all_bits(n: int) -> np.ndarray:
    return np.array(list(itertools.product([0.0, 1.0], repeat=n)))


def agree(network: dc.Network, function, x: jax.Array) -> bool:
    found, wanted = jax.jit(lambda x: (network(x), function(x)))(x)
    return same(found, wanted)


def same(found, wanted) -> bool:
    return found.shape == wanted.shape and np.allclose(found, wanted, rtol=0, atol=1e-12)


# Networks -----------------------------------------------------------------------------------------

PAIRS = {
    "dense": lambda: (net(3, 5, 4), net(4, 6, 2, seed=7)),
    "no biases": lambda: (net(3, 5, 4, biases=False), net(4, 6, 2, biases=False, seed=7)),
    "bias only inside": lambda: (net(3, 5, 4), net(4, 6, 2, biases=False, seed=7)),
    "bias only outside": lambda: (net(3, 5, 4, biases=False), net(4, 6, 2, seed=7)),
    "linear readouts only": lambda: (net(3, 4), net(4, 2, seed=7)),
    "tied": lambda: (net(3, 5, 6), tied(3)),
    "tied into dense": lambda: (tied(3), net(3, 4, 2)),
    "repeat inside": lambda: (dc.repeat(net(3, 4, 3), 3), net(3, 5, 2, seed=7)),
    "repeat outside": lambda: (net(2, 4, 3), dc.repeat(net(3, 5, 3, seed=7), 3, merge=False)),
}


@pytest.mark.default_cases(3)
@pytest.mark.parametrize("merge", [True, False])
@pytest.mark.parametrize("make", PAIRS.values(), ids=PAIRS.keys())
def test_series_is_plain_composition(make, merge):
    first, second = make()
    x = draw(6, first.in_size, seed=3)
    assert agree(dc.series(first, second, merge=merge), lambda x: second(first(x)), x)


@pytest.mark.parametrize("merge,depth,neurons,linear_neurons", [(True, 2, 11, 0), (False, 3, 15, 4)])
def test_merging_adds_depths_and_neurons(merge, depth, neurons, linear_neurons):
    cost = dc.cost(dc.series(net(3, 5, 4), net(4, 6, 2), merge=merge))
    assert (cost.depth, cost.neurons, cost.linear_neurons) == (depth, neurons, linear_neurons)


@pytest.mark.parametrize("merge", [True, False])
def test_two_linear_layers_are_never_merged(merge):
    both = dc.series(dc.fft(8), dc.fft(8, inverse=True), merge=merge)
    assert dc.cost(both).layers == 6
    assert dc.cost(both).synapses == 2 * dc.cost(dc.fft(8)).synapses


def test_series_of_many_runs_in_order():
    parts = [net(2, 3, 4), net(4, 3, seed=1), net(3, 5, 2, seed=2)]
    x = draw(5, 2)
    assert agree(dc.series(*parts), lambda x: parts[2](parts[1](parts[0](x))), x)


def test_series_of_one_is_equal_to_it():
    network = net(2, 3, 1)
    found = dc.series(network)
    assert jax.tree.structure(found) == jax.tree.structure(network)
    assert all(map(np.array_equal, jax.tree.leaves(found), jax.tree.leaves(network)))


def test_permutations_are_merged():
    turn = dc.Network((dc.Layer(linear.Permutation([1, 2, 0])),))
    rectify = dc.Network((dc.Layer(linear.Permutation([2, 1, 0]), activation=RELU),))
    x = draw(4, 3)
    assert agree(dc.series(turn, rectify), lambda x: rectify(turn(x)), x)


SIDES = {
    "equal depths": lambda: [net(2, 3, 1), net(3, 4, 2, seed=5)],
    "other depths": lambda: [net(2, 3, 1), net(3, 4, 5, 2), net(1, 2)],
    "deeper first": lambda: [net(3, 4, 5, 2), net(2, 3, 1)],
    "other activations": lambda: [net(2, 3, 1), net(2, 3, 1, activation=TANH)],
    "some without biases": lambda: [net(2, 3, 1, biases=False), net(2, 3, 1)],
    "none with biases": lambda: [net(2, 3, 1, biases=False), net(1, 2, 1, biases=False)],
    "tied biases": lambda: [tied(2), tied(3)],
    "tied and free biases": lambda: [tied(2), net(2, 3, 1), net(1, 2, 1, biases=False)],
    "one": lambda: [net(2, 3, 1)],
    "leafless": lambda: [dc.Network((dc.Layer(linear.Permutation([1, 0])),)), net(2, 1)],
}
REPEATS = {
    "equal times": lambda: [dc.repeat(net(2, 3, 2), 4), dc.repeat(net(3, 4, 3, seed=5), 4)],
    "other times": lambda: [dc.repeat(net(2, 3, 2), 4), dc.repeat(net(3, 4, 3, seed=5), 2)],
    "other block lengths": lambda: [dc.repeat(net(2, 2), 3), dc.repeat(net(2, 3, 2), 3, merge=False)],
    "with plain layers": lambda: [dc.repeat(net(2, 3, 2), 3), net(2, 3, 1)],
    "some without biases": lambda: [dc.repeat(net(2, 3, 2), 3), dc.repeat(net(2, 3, 2, biases=False), 3)],
    "tied biases": lambda: [dc.repeat(dc.series(net(1, 2), tied(1)), 3), dc.repeat(net(2, 3, 2), 3)],
    "leafless": lambda: [dc.repeat(dc.Network((dc.Layer(linear.Permutation([1, 2, 0])),)), 2) for _ in range(2)],
}
CHAINS = {**SIDES, **{f"repeats, {name}": make for name, make in REPEATS.items()}}


@pytest.mark.default_cases(2)
@pytest.mark.parametrize("make", CHAINS.values(), ids=CHAINS.keys())
def test_parallel_runs_each_on_its_own_inputs(make):
    networks = make()
    starts = np.cumsum([0, *(n.in_size for n in networks)])
    x = draw(6, int(starts[-1]), seed=3)
    parts = list(zip(networks, starts[:-1].tolist(), strict=True))
    assert agree(
        dc.parallel(*networks), lambda x: jnp.concatenate([n(x[:, a : a + n.in_size]) for n, a in parts], axis=-1), x
    )


FANS = ["other depths", "some without biases", "tied and free biases", "repeats, equal times", "one"]


@pytest.mark.default_cases(2)
@pytest.mark.parametrize("name", FANS)
def test_fan_out_runs_all_on_the_same_input(name):
    networks = [dc.series(net(2, n.in_size, seed=20), n) for n in CHAINS[name]()]
    x = draw(6, 2, seed=3)
    assert agree(dc.fan_out(*networks), lambda x: jnp.concatenate([n(x) for n in networks], axis=-1), x)


def test_padding_is_behind_the_readout_and_costs_its_outputs():
    deep, shallow = net(3, 4, 5, 2), net(2, 6, 1)
    cost, parts = dc.cost(dc.parallel(deep, shallow)), [dc.cost(deep), dc.cost(shallow)]
    assert cost.depth == 2
    assert cost.linear_neurons == 1
    assert cost.synapses == parts[0].synapses + parts[1].synapses + 1
    assert cost.parameters == parts[0].parameters + parts[1].parameters


def test_missing_biases_become_no_parameters():
    with_bias, without = net(2, 3, 1), net(2, 3, 1, biases=False)
    both = dc.parallel(with_bias, without)
    assert dc.cost(both).parameters == dc.cost(with_bias).parameters + dc.cost(without).parameters


@pytest.mark.parametrize("name,scans", [("equal times", True), ("other times", False)])
def test_repeats_stay_one_block_only_if_their_times_agree(name, scans):
    kinds = {type(part) for part in dc.parallel(*REPEATS[name]()).layers}
    assert (dc.Repeat in kinds) == scans


@pytest.mark.default_cases(3)
@pytest.mark.parametrize("merge", [True, False])
@pytest.mark.parametrize("times,sizes", [(1, (3, 4, 3)), (2, (3, 4, 3)), (5, (2, 3, 4, 2)), (5, (3, 3))])
def test_repeat_equals_the_series(sizes, times, merge):
    part = net(*sizes, activation=TANH)

    def unrolled(x):
        for _ in range(times):
            x = part(x)
        return x

    assert agree(dc.repeat(part, times, merge=merge), unrolled, draw(5, sizes[0], seed=3))


def test_repeat_is_scanned_and_costs_what_the_series_costs():
    part = net(3, 4, 5, 3)
    repeated = dc.repeat(part, 6)
    assert sum(isinstance(layer, dc.Repeat) for layer in repeated.layers) == 1
    assert dc.cost(repeated) == dc.cost(dc.series(*[part] * 6))


def test_repeat_is_untied():
    repeated = dc.repeat(net(3, 4, 3), 3)
    gradient = jax.jit(jax.grad(lambda n: jnp.sum(n(jnp.ones(3)))))(repeated)
    block = next(part for part in gradient.layers if isinstance(part, dc.Repeat))
    weight = jax.tree.leaves(block)[0]
    assert weight.shape[0] == 2
    assert not np.allclose(weight[0], weight[1])


@pytest.mark.parametrize("n", [1, 2, 4, 8, 32])
def test_realified_fft_is_the_fft_of_stacked_parts(n):
    x = np.random.default_rng(0).normal(size=(3, n, 2)) @ [1, 1j]
    wanted = np.fft.fft(x)
    found = run(dc.realify(dc.fft(n)), np.concatenate([x.real, x.imag], axis=-1))
    assert same(found, np.concatenate([wanted.real, wanted.imag], axis=-1))


@pytest.mark.parametrize("stages", [1, 2, 3, 5, 7])
def test_realified_fft_has_the_synapses_of_the_formula(stages):
    n = 2**stages
    assert dc.cost(dc.realify(dc.fft(n))).synapses == 6 * n * stages - 6 * n + 8


@pytest.mark.promotes
def test_realify_takes_biases_and_repeats():
    network = dc.Network(
        (dc.Layer(linear.Dense(draw(2, 2) + 1j * draw(2, 2, seed=1)), draw(2) + 1j * draw(2, seed=9)),)
    )
    network = dc.repeat(network, 3)
    x = np.asarray(draw(4, 4))
    wanted = run(network, x[:, :2] + 1j * x[:, 2:])
    assert same(run(dc.realify(network), x), np.concatenate([np.real(wanted), np.imag(wanted)], axis=-1))


# Constructions ------------------------------------------------------------------------------------


def test_two_parities_of_8_make_the_tree_of_16():
    tree = dc.series(dc.parallel(dc.parity(8), dc.parity(8)), dc.parity(2))
    cost, certificate = dc.cost(tree), dc.certify(tree)
    assert (cost.depth, cost.neurons, cost.synapses) == (4, 30, 90)
    assert (certificate.verdict, certificate.method, certificate.found) == ("proved", "modules", dc.Bound())


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_composed_tree_is_bit_equal_to_parity_16(dtype):
    tree = dc.series(dc.parallel(dc.parity(8, dtype=dtype), dc.parity(8, dtype=dtype)), dc.parity(2, dtype=dtype))
    x = all_bits(16).astype(dtype)
    found = run(tree, x)
    assert np.array_equal(found, run(dc.parity(16, dtype=dtype), x))
    assert np.array_equal(found, x.sum(axis=-1, keepdims=True) % 2)


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("activation,merge", [("relu", True), ("relu", False), ("step", True), ("sigmoid", True)])
def test_composed_constructions_are_certified(activation, merge):
    def make(n):
        return dc.parity(n, activation=activation)

    tree = dc.series(dc.parallel(make(3), dc.fan_out(make(4), make(4))), make(3), merge=merge)
    assert dc.certify(tree).verdict == "proved"


def test_composed_targets_domains_and_codomains():
    both = dc.parallel(dc.parity(2), dc.parity(3, encoding="signs"))
    assert both.claim.domain == Product((Bits(2), Signs(3)))
    assert both.claim.codomain == Product((Bits(1), Signs(1)))
    assert dc.series(dc.parity(3), dc.parity(1)).claim.domain == Bits(3)
    assert dc.fan_out(dc.parity(3), dc.parity_shallow(3)).claim.codomain == Bits(2)


def test_joined_domains_fit_the_next_construction():
    assert dc.parallel(dc.parity(2), dc.parity(3)).claim.codomain.issubset(dc.parity(2).claim.domain)


def test_repeated_construction_has_the_iterated_target():
    fourth = dc.repeat(dc.fft(4, norm="ortho"), 4)
    assert fourth.claim.target == Iterated(DFT(4, "ortho"), 4)
    assert dc.certify(fourth).verdict == "proved"
    assert same(run(fourth, np.eye(4)), np.eye(4) + 0j)


@pytest.mark.parametrize("times", [1, 2, 4])
def test_repeated_construction_claims_what_the_series_claims(times):
    part = dc.parity(1) if times == 1 else dc.fft(4, norm="ortho")
    repeated, unrolled = dc.repeat(part, times), dc.series(*[part] * times)
    for name in ("error", "robustness", "domain", "codomain", "dtype"):
        assert getattr(repeated.claim, name) == getattr(unrolled.claim, name)


def test_realified_construction_is_proved():
    real = dc.realify(dc.fft(8))
    assert real.claim.target == Realified(DFT(8))
    assert real.claim.domain == Space(16)
    assert real.claim.dtype == "float64"
    assert dc.certify(real).verdict == "proved"


def test_claims_of_merged_joints_stay_of_use():
    # Infinite rounding would be sound and say nothing.
    tree = dc.series(dc.parallel(dc.parity(2), dc.parity(2)), dc.parity(2, activation="step"))
    assert tree.claim.robustness.radius == 0 or math.isfinite(tree.claim.robustness.rounding)


# Refusals -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kinds", [("float64", "complex128"), ("float32", "complex64")], ids=str)
def test_parity_into_fft_is_refused_by_names_sizes_and_domains(kinds):
    with pytest.raises(ValueError, match=r"^series: ") as caught:
        dc.series(dc.parity(8, dtype=kinds[0]), dc.fft(4, dtype=kinds[1]))
    for part in ("parity(8)", "dft(4)", "Bits(n=1)", "size 1", "Space(n=4, field='complex')", "size 4"):
        assert part in str(caught.value)


XOR = dc.parity(2)
BAD = [
    (lambda: dc.series(), ValueError, "series: expected at least one network or construction; got none"),
    (lambda: dc.parallel(), ValueError, "parallel: expected at least one"),
    (lambda: dc.fan_out(), ValueError, "fan_out: expected at least one"),
    (lambda: dc.series(XOR, XOR.network), TypeError, "series: pass either networks or constructions, not a mix"),  # pyright: ignore
    (lambda: dc.parallel(XOR.network, XOR), TypeError, "parallel: pass either networks or constructions, not a mix"),  # pyright: ignore
    (lambda: dc.fan_out(XOR, XOR.network), TypeError, "fan_out: pass either networks or constructions, not a mix"),  # pyright: ignore
    (lambda: dc.parallel(XOR, 3), TypeError, "parallel: pass either networks or constructions"),  # pyright: ignore
    (lambda: dc.series(net(2, 3), net(2, 3)), ValueError, "the first network gives 3 numbers but the second takes 2"),
    (lambda: dc.series(XOR, XOR), ValueError, r"parity\(2\) gives Bits\(n=1\) \(size 1\) but parity\(2\) takes"),
    (lambda: dc.fan_out(net(2, 3), net(3, 2)), ValueError, r"fan_out: all networks must take one size; got \[2, 3\]"),
    (lambda: dc.fan_out(XOR, dc.parity(2, encoding="signs")), ValueError, r"parity\(2, signs\) takes Signs\(n=2\)"),
    (lambda: dc.parallel(XOR, dc.parity(2, dtype="float32")), ValueError, "one dtype; got float32, float64"),
    (lambda: dc.series(XOR, dc.parity(1, dtype="float32")), ValueError, "is float64 but .* is float32"),
    (lambda: dc.repeat(net(2, 3), 2), ValueError, "repeat: the network takes 2 numbers but gives 3"),
    (lambda: dc.repeat(XOR, 2), ValueError, "repeat: the network takes 2 numbers but gives 1"),
    (lambda: dc.repeat(net(2, 2), 0), ValueError, "repeat: times must be at least 1; got 0"),
    (lambda: dc.repeat(net(2, 2), 1.5), TypeError, "repeat: times must be an integer"),  # pyright: ignore
    (lambda: dc.realify(net(2, 3, 2)), ValueError, "realify: every layer must be linear"),
    (lambda: dc.realify(dc.parity(1)), ValueError, r"realify: parity\(1\) must be an injective linear target"),
]  # fmt: skip


@pytest.mark.parametrize("make,error,message", BAD)
def test_what_does_not_fit_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_signs_do_not_enter_bits():
    with pytest.raises(ValueError, match=re.escape("parity(2, signs) gives Signs(n=1)")):
        dc.series(dc.parity(2, encoding="signs"), dc.parity(1))


def gates_of(layer) -> list[int]:
    return layer.label.gates(layer.out_size).tolist()


@pytest.mark.parametrize("sizes", [(20, 20), (4, 4), (7, 5), (6, 6, 6)])
def test_gates_of_networks_side_by_side_are_those_of_each(sizes):
    chains = [flat_layers(dc.parity(n).network) for n in sizes]
    both = flat_layers(dc.parallel(*map(dc.parity, sizes)).network)
    for layer, *parts in zip(both[:2], *(chain[:2] for chain in chains), strict=True):
        gates: list[int] = []
        for part in parts:
            first = max(gates, default=-1) + 1
            gates += [first + gate for gate in gates_of(part)]
        assert gates_of(layer) == gates


def test_a_gate_of_networks_side_by_side_is_cut_out_alone():
    both = dc.parallel(dc.parity(4), dc.parity(4))
    gates = gates_of(both.network.layers[0])
    replace: dict[Any, float] = {(0, unit): 0.0 for unit, gate in enumerate(gates) if gate == 2}
    x = np.array(list(itertools.product([0.0, 1.0], repeat=8)))
    found, wanted = np.asarray(dc.run_with(both, x, replace=replace)), np.asarray(both(x))
    assert np.array_equal(found[:, 0], wanted[:, 0])  # gates 0 and 1 are those of the first network
    assert not np.array_equal(found[:, 1], wanted[:, 1])
