"""Sparsification keeps the largest weights of a network: which they are, and how many."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import deepconstruct as dc
from deepconstruct import linear
from deepconstruct.network import flat_layers

KEY = jax.random.key(0)


def layer(map_, bias=None) -> dc.Layer:
    return dc.Layer(map_, bias)


def net(*layers) -> dc.Network:
    return dc.Network(tuple(layers))


def draw(shape, dtype, seed=0):
    return jax.random.normal(jax.random.fold_in(KEY, seed), shape, dtype)


def dense(rows, cols, seed=0) -> linear.Dense:
    return linear.Dense(draw((rows, cols), "float64", seed))


def chain(dtype="float64", seed=0) -> dc.Network:
    """3 -> 5 -> 2 with biases: 15 + 10 weights and 7 biases."""
    first = layer(linear.Dense(draw((5, 3), dtype, seed)), draw((5,), dtype, 100))
    return net(first, layer(linear.Dense(draw((2, 5), dtype, seed + 1)), draw((2,), dtype, 101)))


def weights(network) -> np.ndarray:
    """The free weights of all maps, in order."""
    parts = [layer for part in network.layers for layer in (part.layers if isinstance(part, dc.Repeat) else (part,))]
    return np.concatenate([np.ravel(leaf) for part in parts for leaf in jax.tree.leaves(part.linear)])


def largest(values: np.ndarray, keep: int) -> np.ndarray:
    """The values with zeros for all but the `keep` largest moduli; of equal ones the first stay."""
    order = sorted(range(len(values)), key=lambda index: (-abs(values[index]), index))
    kept = np.zeros_like(values)
    kept[order[:keep]] = values[order[:keep]]
    return kept


def total_of(network) -> int:
    return len(weights(network))


MAPS = {
    "dense": lambda: dense(6, 4),
    "sparse": lambda: linear.Sparse([2, 0, 1, 1], [1, 0, 3, 2], draw((4,), "float64"), (6, 4)),
    "blocks": lambda: linear.BlockDiagonal(draw((2, 3, 2, 1), "float64")),
    "tied": lambda: linear.Kronecker(draw((3, 2), "float64"), outer=2),
    "butterfly": lambda: linear.Butterfly(draw((2, 2, 2, 3), "float64"), np.arange(12)[::-1]),
    "direct sum": lambda: linear.DirectSum((linear.Identity(1), dense(2, 3))),
    "stack": lambda: linear.Stack((dense(1, 3), dense(2, 3, 1))),
    "composed": lambda: linear.Composed(dense(4, 1), dense(1, 3, 1)),
    "sign patterns": lambda: linear.SignPatterns(draw((3,), "float64")),
    "sign product": lambda: linear.SignProduct(jnp.array(0.5), 2),
    "permutation": lambda: linear.Permutation([1, 0]),
}  # fmt: skip


# Which weights are kept ---------------------------------------------------------------------------


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("name", MAPS)
def test_every_structured_map_keeps_its_largest_free_weights(name):
    network = net(layer(MAPS[name]()))
    count = len(np.concatenate([[], *map(np.ravel, jax.tree.leaves(network))]))
    for keep in {0, 1, count // 2, count} & set(range(count + 1)):
        sparse = dc.sparsify(network, keep)
        assert jax.tree.structure(sparse) == jax.tree.structure(network)
        if count:
            assert np.array_equal(weights(sparse), largest(weights(network), keep))


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "complex64", "complex128"])
def test_weights_of_all_layers_compete_in_every_dtype(dtype):
    network = chain() if dtype == "float64" else jax.tree.map(lambda leaf: leaf.astype(dtype), chain(dtype="float32"))
    if dtype.startswith("complex"):
        network = chain(dtype)
    for keep in range(26):
        sparse = dc.sparsify(network, keep)
        assert sparse.dtype == network.dtype == dtype
        assert np.array_equal(weights(sparse), largest(weights(network), keep))


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 31])
def test_the_kept_are_those_above_the_sorted_threshold(size):
    network = net(layer(linear.Dense(draw((size, size), "float32", size))))
    for keep in {1, size, size**2}:
        sparse = np.abs(weights(dc.sparsify(network, keep)))
        assert np.array_equal(np.sort(sparse)[-keep:], np.sort(np.abs(weights(network)))[-keep:])
        assert np.count_nonzero(sparse) == keep


@pytest.mark.slow
def test_large_networks_keep_the_exact_count():
    network = net(*(layer(linear.Dense(draw((257, 257), "float32", seed))) for seed in range(3)))
    sparse = dc.sparsify(network, 70_001)
    assert np.array_equal(weights(sparse), largest(weights(network), 70_001))


@pytest.mark.parametrize("keep", range(9))
def test_of_equal_weights_the_first_stay(keep):
    values = jnp.array([[1.0, -1.0, 1.0, 2.0]])
    network = net(layer(linear.Dense(values.T)), layer(linear.Dense(-values)))
    kept = np.flatnonzero(weights(dc.sparsify(network, keep)))
    assert sorted(kept) == sorted([3, 7, 0, 1, 2, 4, 5, 6][:keep])


def test_zeros_are_kept_where_nothing_else_is_left():
    network = dc.densify(dc.parity(4)).network
    synapses = dc.cost(network).synapses
    assert synapses < total_of(network)
    for keep in (synapses, synapses + 1, total_of(network)):
        assert np.array_equal(weights(dc.sparsify(network, keep)), weights(network))
    assert dc.cost(dc.sparsify(network, synapses - 1)).synapses == synapses - 1


def test_complex_weights_are_ordered_by_modulus():
    values = np.array([[3 + 4j, 4.5, -2 - 6j, 5.5j]])
    sparse = dc.sparsify(net(layer(linear.Dense(jnp.asarray(values)))), 2)
    assert np.array_equal(weights(sparse), [0, 0, -2 - 6j, 5.5j])


@pytest.mark.parametrize("network", [chain(), dc.parity(4, tied=True).network], ids=["free", "tied"])
def test_biases_stay_and_are_not_counted(network):
    sparse = dc.sparsify(network, 0)
    assert np.all(weights(sparse) == 0)
    before, after = ([jax.tree.leaves(part.bias) for part in flat_layers(net)] for net in (network, sparse))
    assert any(np.any(leaf) for leaf in jax.tree.leaves(after))
    assert jax.tree.all(jax.tree.map(np.array_equal, before, after))


def test_each_copy_of_a_repeated_block_has_weights_of_its_own():
    scales = jnp.array([1.0, 10.0, 0.1])[:, None, None]
    network = jax.tree.map(lambda leaf: leaf * scales, dc.repeat(net(layer(dense(2, 2))), 3))
    assert isinstance(network.layers[0], dc.Repeat)
    sparse = dc.sparsify(network, 5)
    assert np.array_equal(weights(sparse), largest(weights(network), 5))
    assert [dc.cost(net(copy)).synapses for copy in flat_layers(sparse)] == [1, 4, 0]


def test_a_tied_weight_counts_once_and_goes_everywhere():
    network = net(layer(linear.Kronecker(jnp.array([[3.0, 2.0], [1.0, 4.0]]), outer=5)))
    assert dc.cost(dc.sparsify(network, 3)).synapses == 15
    with pytest.raises(ValueError, match="at most the number of free weights, 4; got 5"):
        dc.sparsify(network, 5)
    assert dc.cost(dc.sparsify(dc.densify(network), 13)).synapses == 13


def test_a_construction_loses_its_claim():
    sparse = dc.sparsify(dc.parity(4), 18)
    assert isinstance(sparse, dc.Network)
    assert sparse([1, 1, 1, 0]).tolist() == [1.0]
    assert np.array_equal(weights(sparse), weights(dc.parity(4).network))


@pytest.mark.promotes
def test_a_diverged_network_stays_one():
    values = jnp.array([5.0, -jnp.inf, 1e9, jnp.nan])
    network = jax.tree.map(lambda leaf: leaf * values, net(layer(linear.Dense(jnp.ones((1, 4))))))
    assert np.array_equal(weights(dc.sparsify(network, 2)), [0, -np.inf, 0, np.nan], equal_nan=True)


# As a JAX function --------------------------------------------------------------------------------


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("dtype", ["float32", "complex128"])
def test_a_traced_count_gives_the_same_as_a_known_one(dtype):
    network, counts = chain(dtype), jnp.arange(26)
    mapped = jax.jit(jax.vmap(dc.sparsify, in_axes=(None, 0)))(network, counts)
    for count in range(26):
        one = jax.tree.map(lambda leaf, i=count: leaf[i], mapped)
        assert np.array_equal(weights(one), largest(weights(network), count))


def test_a_traced_count_out_of_range_keeps_none_or_all():
    network = chain()
    run = jax.jit(dc.sparsify)
    assert np.all(weights(run(network, -1)) == 0)
    assert np.array_equal(weights(run(network, 1000)), weights(network))


@pytest.mark.slow
def test_vmap_over_networks_ranks_each_by_itself():
    networks = [chain(seed=seed) for seed in (0, 10, 20)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *networks)
    mapped = jax.vmap(dc.sparsify)(stacked, jnp.array([3, 0, 25]))
    for index, (network, keep) in enumerate(zip(networks, (3, 0, 25), strict=True)):
        one = jax.tree.map(lambda leaf, i=index: leaf[i], mapped)
        assert np.array_equal(weights(one), largest(weights(network), keep))


@pytest.mark.slow
def test_gradients_flow_to_kept_weights_only():
    network = dc.perturb(dc.densify(dc.fft(4)), 0.1, key=KEY)
    loss = dc.losses.population(np.fft.fft(np.eye(4)))
    gradient = weights(jax.grad(lambda net: loss(dc.sparsify(net, 14), KEY))(network))
    kept = weights(dc.sparsify(network, 14)) != 0
    assert np.all(np.isfinite(gradient))
    assert np.array_equal(gradient != 0, kept)


def test_no_new_compilation_for_another_count():
    network, traces = chain(), []

    @jax.jit
    def run(network, keep):
        traces.append(None)
        return dc.sparsify(network, keep)

    for keep in (0, 3, 25):
        run(network, keep)
    assert len(traces) == 1


# Refusals -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "keep,error,message",
    [
        (-1, ValueError, "sparsify: keep must be at least 0; got -1"),
        (26, ValueError, "sparsify: keep must be at most the number of free weights, 25; got 26"),
        (2.5, TypeError, r"sparsify: keep must be an integer; got 2\.5"),
        (True, TypeError, "sparsify: keep must be an integer; got True"),
        (np.array([1, 2]), TypeError, "sparsify: keep must be an integer; got array"),
    ],
)
def test_counts_out_of_range_are_refused(keep, error, message):
    with pytest.raises(error, match=message):
        dc.sparsify(chain(), keep)


@pytest.mark.parametrize("keep,got", [(1.0, r"float64 of shape \(\)"), (np.array([1, 2]), r"int64 of shape \(2,\)")])
def test_traced_counts_that_are_not_one_integer_are_refused(keep, got):
    with pytest.raises(TypeError, match="sparsify: keep must be one integer; got " + got):
        jax.jit(dc.sparsify)(chain(), keep)
