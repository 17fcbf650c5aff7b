"""Noise around the weights, and weights drawn anew: how strong, on which weights, and repeatably."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import deepconstruct as dc
from deepconstruct import linear
from deepconstruct._bias import TiledBias

KEY = jax.random.key(0)
XOR = dc.parity(2)


def layer(map_, bias=None) -> dc.Layer:
    return dc.Layer(map_, bias)


def net(*layers) -> dc.Network:
    return dc.Network(tuple(layers))


def dense(rows: int, cols: int, value: float = 1.0, dtype: str = "float64") -> linear.Dense:
    return linear.Dense(jnp.full((rows, cols), value, dtype))


def random_sparse(size: int, per_row: int) -> linear.Sparse:
    """Exactly `per_row` ones in every row and column."""
    rows = np.repeat(np.arange(size), per_row)
    cols = (rows + 7 * np.tile(np.arange(per_row), size)) % size
    return linear.Sparse(rows, cols, jnp.ones(size * per_row), (size, size))


MAPS = {
    "dense": lambda: net(layer(dense(60, 80))),
    "sparse": lambda: net(layer(random_sparse(900, 5))),
    "blocks": lambda: net(layer(linear.BlockDiagonal(jnp.ones((30, 4, 6, 7))))),
    "tied": lambda: net(layer(linear.Kronecker(jnp.ones((60, 80)), outer=3, inner=2))),
    "butterfly": lambda: net(layer(linear.Butterfly(jnp.ones((250, 4, 4, 2)), np.arange(2000)[::-1]))),
    "direct sum": lambda: net(layer(linear.DirectSum((dense(50, 40), linear.Kronecker(jnp.ones((50, 60))))))),
    "stack": lambda: net(layer(linear.Stack((dense(40, 50), dense(40, 50))))),
    "repeat": lambda: dc.repeat(net(layer(dense(50, 50))), 3),
}
# Inputs and outputs of a whole layer, and of one weight's row and column.
FANS = {
    "dense": ((80, 60), (80, 60)),
    "sparse": ((900, 900), (5, 5)),
    "blocks": ((30 * 6 * 7, 30 * 4 * 7), (6, 4)),
    "tied": ((80 * 6, 60 * 6), (80, 60)),
    "butterfly": ((2000, 2000), (4, 4)),
    "direct sum": ((100, 100), None),
    "stack": ((50, 80), (50, 80)),
    "repeat": ((50, 50), (50, 50)),
}
EVERY = pytest.mark.parametrize("name", MAPS)


@functools.cache
def build(name: str) -> dc.Network:
    return MAPS[name]()


def flat(network) -> np.ndarray:
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(network)])


def noise(before, after) -> np.ndarray:
    return flat(after) - flat(before)


def has_std(values: np.ndarray, wanted: float) -> bool:
    """Within three standard errors, of the standard deviation and of the mean."""
    count = values.size
    assert count > 2000
    spread = abs(np.sqrt(np.mean(values**2)) / wanted - 1) < 3 / np.sqrt(2 * count)
    return bool(spread and abs(np.mean(values)) < 3 * wanted / np.sqrt(count))


@pytest.mark.slow
@EVERY
@pytest.mark.parametrize("fans", ["layer", "pattern"])
def test_glorot_noise_has_the_std_of_its_fans(name, fans):
    fan = FANS[name][fans == "pattern"]
    if fan is None:
        return
    changed = dc.perturb(build(name), 0.3, fans=fans, key=KEY)
    assert has_std(noise(build(name), changed), 0.3 * np.sqrt(2 / sum(fan)))


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("fans,stds", [("layer", [0.1, 0.1]), ("pattern", [np.sqrt(2 / 90), np.sqrt(2 / 110)])])
def test_fans_of_a_direct_sum(fans, stds):
    parts = dc.perturb(build("direct sum"), 1.0, fans=fans, key=KEY).layers[0].linear.parts  # pyright: ignore
    for part, std in zip(parts, stds, strict=True):
        values = flat(part) - 1
        assert abs(np.std(values) / std - 1) < 3 / np.sqrt(2 * values.size)


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("name", ["dense", "sparse", "tied", "repeat"])
@pytest.mark.parametrize("fans", ["layer", "pattern"])
def test_absolute_noise_has_the_std_asked_for(name, fans):
    changed = dc.perturb(build(name), 0.7, scheme="absolute", fans=fans, key=KEY)
    assert has_std(noise(build(name), changed), 0.7)


@pytest.mark.parametrize("value", [-4.0, 0.01])
def test_relative_noise_is_proportional_to_the_weight(value):
    network = net(layer(dense(60, 80, value)))
    assert has_std(noise(network, dc.perturb(network, 0.2, scheme="relative", key=KEY)), 0.2 * abs(value))


@pytest.mark.parametrize("scheme,gain,fan", [("glorot", 2, 140), ("he", 2, 80), ("lecun", 1, 80)])
def test_reinitialized_weights_have_the_variance_of_the_scheme(scheme, gain, fan):
    assert has_std(flat(dc.reinitialize(build("dense"), scheme=scheme, key=KEY)), np.sqrt(gain / fan))


@pytest.mark.parametrize("scheme,gain,fan", [("glorot", 2, 10), ("he", 2, 5), ("lecun", 1, 5)])
def test_reinitialized_patterns_have_the_variance_of_their_fans(scheme, gain, fan):
    changed = dc.reinitialize(build("sparse"), scheme=scheme, fans="pattern", key=KEY)
    assert has_std(flat(changed), np.sqrt(gain / fan))


def complex_net() -> dc.Network:
    return net(layer(dense(60, 80, 2.0, "complex128")))


@pytest.mark.parametrize(
    "change",
    [lambda n: dc.perturb(n, 1.0, key=KEY), lambda n: dc.reinitialize(n, key=KEY)],
    ids=["perturb", "reinitialize"],
)
def test_complex_weights_get_noise_on_each_part(change):
    changed = flat(change(complex_net()))
    centered = changed - np.round(np.mean(changed))
    for part in (centered.real, centered.imag):
        assert has_std(part, np.sqrt(2 / 140))
    assert abs(np.corrcoef(centered.real, centered.imag)[0, 1]) < 3 / np.sqrt(centered.size)


NETWORKS = {
    "parity": lambda: dc.parity(5).network,
    "tied": lambda: dc.parity(4, tied=True).network,
    "unfused": lambda: dc.parity(4, activation="sigmoid", fused=False).network,
    "fft": lambda: dc.fft(4, norm="ortho").network,
    "joined": lambda: dc.parallel(dc.parity(4, tied=True), dc.parity(5)).network,
    "repeat": lambda: dc.repeat(dc.fft(4).network, 3),
}
EACH = pytest.mark.parametrize("name", NETWORKS)


@functools.cache
def example(name: str) -> dc.Network:
    return NETWORKS[name]()


@functools.cache
def noisy(name: str) -> dc.Network:
    return dc.perturb(example(name), 0.5, key=KEY)


def unchanged(before: dc.Network, after: dc.Network) -> bool:
    pairs = zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True)
    return all(old.dtype == new.dtype and np.array_equal(old, new) for old, new in pairs)


@pytest.mark.default_cases(1)
@EACH
def test_zero_noise_is_the_identity(name):
    assert unchanged(example(name), dc.perturb(example(name), 0.0, biases=True, key=KEY))


@pytest.mark.default_cases(2)
@pytest.mark.parametrize("fans", ["layer", "pattern"])
@pytest.mark.parametrize("scheme", ["glorot", "absolute", "relative"])
def test_zero_noise_is_the_identity_in_every_scheme(scheme, fans):
    assert unchanged(example("parity"), dc.perturb(example("parity"), 0.0, scheme=scheme, fans=fans, key=KEY))


@pytest.mark.default_cases(1)
@EACH
def test_the_structure_and_dtype_stay(name):
    network = example(name)
    for changed in (noisy(name), jax.eval_shape(lambda n: dc.reinitialize(n, key=KEY), network)):
        assert isinstance(changed, dc.Network)
        assert jax.tree.structure(changed) == jax.tree.structure(network)
        assert changed.dtype == network.dtype


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_every_dtype_stays(dtype):
    network = dc.parity(4, dtype=dtype).network
    changed = jax.eval_shape(lambda: dc.perturb(network, 0.5, biases=True, key=KEY))
    assert {leaf.dtype.name for leaf in jax.tree.leaves(changed)} == {dtype}


@pytest.mark.parametrize(
    "change", [lambda n, key: dc.perturb(n, 0.4, key=key), lambda n, key: dc.reinitialize(n, key=key)]
)
def test_the_key_decides_the_noise(change):
    first, again, other = (flat(change(example("parity"), jax.random.key(seed))) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_noise_differs_from_leaf_to_leaf():
    network = net(layer(dense(5, 5)), layer(dense(5, 5)))
    first, second = (flat(part) for part in dc.perturb(network, 1.0, key=KEY).layers)
    assert not np.any(first == second)


def test_noise_grows_with_the_scale():
    network = example("fft")
    small, large = (noise(network, dc.perturb(network, scale, key=KEY)) for scale in (0.25, 0.5))
    assert np.allclose(large, 2 * small, rtol=0, atol=1e-14)


@EACH
def test_structured_noise_touches_only_non_zeros(name):
    matrices = [weights(dc.densify(network)) for network in (example(name), noisy(name))]
    for mask, old, new in zip(dc.sparsity_pattern(example(name)), *matrices, strict=True):
        assert np.all(new[~mask] == 0)
        assert np.all(new[mask] != old[mask])


def weights(network: dc.Network) -> list[np.ndarray]:
    """The matrices of a dense network, in the order in which they are applied."""
    matrices = []
    for part in network.layers:
        layers = part.unrolled() if isinstance(part, dc.Repeat) else (part,)
        matrices += [np.asarray(one.linear.weight) for one in layers]  # pyright: ignore
    return matrices


@pytest.mark.default_cases(1)
@EACH
def test_dense_noise_touches_every_entry(name):
    dense = dc.densify(example(name))
    for old, new in zip(weights(dense), weights(dc.perturb(dense, 0.5, key=KEY)), strict=True):
        assert np.all(new != old)


def test_tied_copies_stay_equal():
    changed = dc.perturb(net(layer(linear.Kronecker(jnp.eye(2), outer=3))), 0.5, key=KEY)
    blocks = np.asarray(linear.as_matrix(changed.layers[0].linear)).reshape(3, 2, 3, 2)  # pyright: ignore
    assert np.array_equal(blocks[0, :, 0], blocks[1, :, 1])
    assert np.array_equal(blocks[0, :, 0], blocks[2, :, 2])


def test_repeated_blocks_get_noise_of_their_own():
    changed = dc.perturb(build("repeat"), 0.5, key=KEY)
    first, second, third = jax.tree.leaves(changed)[0]
    assert not np.any(first == second)
    assert not np.any(second == third)


def test_biases_are_left_alone_unless_asked_for():
    network = example("parity")
    changed = dc.perturb(network, 0.5, key=KEY)
    for old, new in zip(network.layers, changed.layers, strict=True):
        assert old.bias is None or np.array_equal(old.bias, new.bias)  # pyright: ignore


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("scheme,std", [("glorot", 0.5 * np.sqrt(2 / 3001)), ("absolute", 0.5), ("relative", 1.5)])
def test_biases_get_the_noise_of_their_layer(scheme, std):
    network = net(layer(dense(3000, 1), jnp.full(3000, 3.0)))
    changed = dc.perturb(network, 0.5, scheme=scheme, biases=True, key=KEY)
    assert has_std(np.asarray(changed.layers[0].bias) - 3.0, std)  # pyright: ignore


def test_tied_biases_get_noise_too():
    network = net(layer(linear.Identity(4), TiledBias(jnp.ones(2), inner=2)))
    bias = dc.perturb(network, 0.5, biases=True, key=KEY).layers[0].bias.vector()  # pyright: ignore
    assert bias[0] == bias[1] != 1
    assert bias[2] == bias[3] != 1


@pytest.mark.parametrize("biases", [True, False])
def test_reinitialize_sets_biases_to_zero_or_keeps_them(biases):
    network = example("parity")
    changed = dc.reinitialize(network, biases=biases, key=KEY)
    for old, new in zip(network.layers, changed.layers, strict=True):
        if old.bias is not None:  # pyright: ignore
            assert np.array_equal(new.bias, jnp.zeros_like(old.bias) if biases else old.bias)  # pyright: ignore


def test_reinitialize_forgets_the_weights():
    network = net(layer(dense(5, 5)))
    other = jax.tree.map(lambda leaf: 100 * leaf, network)
    assert np.array_equal(flat(dc.reinitialize(network, key=KEY)), flat(dc.reinitialize(other, key=KEY)))


def test_reinitialize_keeps_the_pattern():
    network = example("parity")
    changed = dc.reinitialize(network, key=KEY)
    for mask, matrix in zip(dc.sparsity_pattern(network), weights(dc.densify(changed)), strict=True):
        assert np.array_equal(matrix != 0, mask)


@pytest.mark.slow
def test_a_traced_scale_may_be_mapped():
    scales = jnp.array([0.0, 0.3, 0.6])

    def change(scale):
        return dc.perturb(example("parity"), scale, key=KEY)

    many, one = jax.jit(jax.vmap(change))(scales), jax.jit(change)
    for index, scale in enumerate(scales):
        row = flat(jax.tree.map(lambda leaf, i=index: leaf[i], many))
        assert np.allclose(row, flat(one(scale)), rtol=0, atol=1e-14)


@pytest.mark.slow
def test_keys_may_be_mapped():
    keys = jax.random.split(KEY, 2)

    def change(key):
        return dc.perturb(example("parity"), 0.3, key=key)

    many = jax.jit(jax.vmap(change))(keys)
    one = jax.jit(change)(keys[1])
    assert np.allclose(flat(jax.tree.map(lambda leaf: leaf[1], many)), flat(one), rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    "call,error,message",
    [
        (lambda: dc.perturb(XOR, -0.1, key=KEY), ValueError, "perturb: scale must be finite and at least 0"),
        (lambda: dc.perturb(XOR, np.nan, key=KEY), ValueError, "perturb: scale must be finite"),
        (lambda: dc.perturb(XOR, "big", key=KEY), TypeError, "perturb: scale must be a number; got 'big'"),
        (lambda: dc.perturb(XOR, 0.1, scheme="he", key=KEY), ValueError, "perturb: scheme must be one of"),
        (lambda: dc.perturb(XOR, 0.1, fans="both", key=KEY), ValueError, "perturb: fans must be one of"),
        (lambda: dc.reinitialize(XOR, scheme="relative", key=KEY), ValueError, "reinitialize: scheme must"),
        (lambda: dc.reinitialize(XOR, fans="both", key=KEY), ValueError, "reinitialize: fans must be one of"),
    ],
)
def test_bad_arguments_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_old_style_keys_are_taken_too():
    first = dc.perturb(dc.parity(4), 0.1, key=jax.random.PRNGKey(3))
    second = dc.perturb(dc.parity(4), 0.1, key=jax.random.key(3))
    assert all(map(np.array_equal, jax.tree.leaves(first), jax.tree.leaves(second)))
