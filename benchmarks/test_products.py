"""Products in one hidden layer of all sign patterns, against stored signs; product trees; Boolean functions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import deepconstruct as dc

# n inputs, batch
SHAPES = [(16, 1), (16, 64), (20, 1)]


def flat_tanh(n: int) -> dc.Network:
    """The network of a flat product; at such `n` no useful claim holds for tanh, so it is put together here."""
    patterns = dc.linear.SignPatterns(jnp.full(n, 1 / n, "float32"))
    product = dc.linear.SignProduct(jnp.asarray(0.5**n, "float32"), n)
    return dc.Network((dc.Layer(patterns, None, dc.activations.Tanh()), dc.Layer(product)))


def stored_signs(n: int) -> tuple[jax.Array, jax.Array]:
    """The weights of the same network as dense matrices, built in NumPy."""
    signs = (1 - 2 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)).astype(np.float32)
    return jnp.asarray(signs / np.float32(n)), jnp.asarray(signs.prod(axis=1) * np.float32(0.5**n))


def dense_product(signs: jax.Array, weights: jax.Array, x: jax.Array) -> jax.Array:
    """The forward pass of the dense network."""
    units = jnp.tanh(jnp.matmul(signs, x.T, precision="highest"))
    return jnp.matmul(weights, units, precision="highest")


def points(n: int, batch: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (batch, n)), "float32")


def forward(network: dc.Network, x: jax.Array) -> jax.Array:
    return network(x)


def label(shape: tuple[int, int]) -> str:
    return f"{shape[0]}x{shape[1]}"


@pytest.mark.parametrize("shape", SHAPES, ids=label)
def test_network(run, benchmark, shape):
    benchmark.group = f"flat product {label(shape)}, tanh, float32: run"
    # Over the reals 0 for even n, since tanh is odd: what is left is rounding.
    result = run(jax.jit(forward), flat_tanh(shape[0]), points(*shape))
    assert np.abs(np.asarray(result)).max() < 1e-6


@pytest.mark.parametrize("shape", SHAPES, ids=label)
def test_stored_signs(run, benchmark, shape):
    benchmark.group = f"flat product {label(shape)}, tanh, float32: run"
    run(jax.jit(dense_product), *stored_signs(shape[0]), points(*shape))


@pytest.mark.benchmark(group="flat product 20x1, z^20, float32: run")
def test_power(run):
    gate = dc.flat_product(20, activation="power", dtype="float32")
    result = run(jax.jit(forward), gate.network, jnp.ones((1, 20), "float32"))
    assert abs(float(result[0, 0]) - 1) <= gate.claim.error.absolute


@pytest.mark.benchmark(group="flat product 20x1, z^20, float32: run")
def test_power_with_stored_signs(run):
    signs, weights = stored_signs(20)
    half = slice(0, 2**20, 2)  # the first input keeps its sign, as in the gate
    product = jax.jit(lambda s, w, x: jnp.matmul(w, jax.lax.integer_pow(jnp.matmul(s, x.T, precision="highest"), 20)))
    run(product, jnp.array(signs[half]), jnp.array(weights[half]), points(20, 1))


@pytest.mark.parametrize("n", [16, 20])
def test_build(benchmark, n):
    benchmark.group = f"flat product {n}: build"
    benchmark.pedantic(lambda: jax.block_until_ready(flat_tanh(n)), rounds=5, warmup_rounds=1)


@pytest.mark.parametrize("n", [16, 20])
def test_build_claimed(benchmark, n):
    benchmark.group = f"flat product {n}: build"
    benchmark.pedantic(lambda: dc.flat_product(n, activation="power", dtype="float32"), rounds=5, warmup_rounds=1)


@pytest.mark.parametrize("n", [16, 20])
def test_build_stored_signs(benchmark, n):
    benchmark.group = f"flat product {n}: build"
    benchmark.pedantic(lambda: jax.block_until_ready(stored_signs(n)), rounds=3, warmup_rounds=1)


@pytest.mark.parametrize("shape", SHAPES, ids=label)
def test_compile(compile_time, benchmark, shape):
    benchmark.group = f"flat product {label(shape)}: compile"
    compile_time(forward, flat_tanh(shape[0]), points(*shape))


@pytest.mark.benchmark(group="flat product 24x1, z^24, float32: run")
def test_large(run):
    network, x = dc.flat_product(24, activation="power", dtype="float32").network, points(24, 1)
    compiled = jax.jit(forward)
    memory = compiled.lower(network, x).compile().memory_analysis()
    if memory is not None:  # not every backend tells
        assert memory.temp_size_in_bytes < 50e6
    result = run(compiled, network, x)
    assert np.allclose(result, np.prod(np.asarray(x, float), axis=1), atol=1e-5)


@pytest.mark.benchmark(group="product tree 64x4096, float32: run")
@pytest.mark.parametrize("activation", ["sigmoid", "square"])
def test_tree(run, activation):
    network, x = dc.product_tree(64, activation=activation, dtype="float32").network, points(64, 4096)
    result = run(jax.jit(forward), network, x)
    assert np.allclose(result[:, 0], np.prod(np.asarray(x, float), axis=1), atol=1e-2)


@pytest.mark.benchmark(group="product tree 64x4096, float32: run")
def test_tree_densified(run):
    network = dc.densify(dc.product_tree(64, dtype="float32").network)
    run(jax.jit(forward), network, points(64, 4096))


@pytest.mark.benchmark(group="product tree 64: build")
def test_build_tree(benchmark):
    benchmark.pedantic(lambda: dc.product_tree(64, dtype="float32"), rounds=5, warmup_rounds=1)


@pytest.mark.benchmark(group="boolean function of 10 bits, all inputs: run")
@pytest.mark.parametrize("basis", ["moebius", "minterm"])
def test_boolean(run, basis):
    table = np.random.default_rng(0).integers(0, 2, 2**10)
    bits = jnp.asarray((np.arange(2**10)[:, None] >> np.arange(10)) & 1, "float32")
    result = run(jax.jit(forward), dc.boolean_function(table, basis=basis, dtype="float32").network, bits)
    assert np.array_equal(np.asarray(result)[:, 0], table)


@pytest.mark.benchmark(group="boolean function of 10 bits: build")
@pytest.mark.parametrize("basis", ["moebius", "minterm"])
def test_build_boolean(benchmark, basis):
    table = np.random.default_rng(0).integers(0, 2, 2**10)
    benchmark.pedantic(lambda: dc.boolean_function(table, basis=basis, dtype="float32"), rounds=5, warmup_rounds=1)
