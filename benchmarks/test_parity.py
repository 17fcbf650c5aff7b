"""Parity of 2^20 bits, batch 8, against NumPy's XOR; and certification of all 2^24 inputs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import deepconstruct as dc

N, BATCH = 2**20, 8


@pytest.fixture(scope="module")
def bits():
    return np.random.default_rng(0).integers(0, 2, (BATCH, N))


@pytest.mark.benchmark(group="parity 2^20 x 8: run")
@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8"])
def test_numpy_xor(benchmark, bits, dtype):
    values = bits.astype(dtype)
    benchmark.pedantic(lambda: np.bitwise_xor.reduce(values, axis=-1), rounds=15, warmup_rounds=2)


@pytest.mark.benchmark(group="parity 2^20 x 8: run")
@pytest.mark.parametrize("tied", [False, True], ids=["untied", "tied"])
def test_network(run, bits, tied):
    network = dc.parity(N, tied=tied, dtype="float32").network
    x = jnp.asarray(bits, jnp.float32)
    result = run(jax.jit(lambda network, x: network(x)), network, x)
    assert np.array_equal(np.asarray(result)[:, 0], bits.sum(axis=-1) % 2)


@pytest.mark.benchmark(group="parity 2^20: build")
@pytest.mark.parametrize("tied", [False, True], ids=["untied", "tied"])
def test_build(benchmark, tied):
    benchmark.pedantic(lambda: jax.block_until_ready(dc.parity(N, tied=tied).network), rounds=5, warmup_rounds=1)


@pytest.mark.benchmark(group="parity 2^20 x 8: compile")
@pytest.mark.parametrize("tied", [False, True], ids=["untied", "tied"])
def test_compile(compile_time, bits, tied):
    compile_time(lambda network, x: network(x), dc.parity(N, tied=tied).network, jnp.asarray(bits, jnp.float32))


@pytest.mark.benchmark(group="parity 24: certify all inputs")
def test_certify(benchmark):
    xor = dc.parity(24)
    certificate = benchmark.pedantic(lambda: dc.certify(xor, method="exhaustive"), rounds=3, warmup_rounds=1)
    assert certificate.verdict == "proved"
