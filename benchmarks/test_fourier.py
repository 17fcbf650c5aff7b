"""The FFT network at n = 1024, 512 vectors, complex64, against `jnp.fft.fft` and the dense product."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import deepconstruct as dc

N, BATCH = 1024, 512
RUN = "fft 1024 x 512, complex64: run"


@pytest.fixture(scope="module")
def rows():
    generator = np.random.default_rng(0)
    values = generator.normal(size=(BATCH, N)) + 1j * generator.normal(size=(BATCH, N))
    return jnp.asarray(values, jnp.complex64)


@pytest.fixture(scope="module")
def columns(rows):
    return jnp.asarray(np.ascontiguousarray(np.asarray(rows).T))


@pytest.fixture(scope="module")
def network():
    return dc.fft(N, dtype="complex64").network


@pytest.mark.benchmark(group=RUN)
def test_jax_fft(run, rows):
    run(jax.jit(jnp.fft.fft), rows)


@pytest.mark.benchmark(group=RUN)
def test_jax_fft_features_first(run, columns):
    run(jax.jit(lambda x: jnp.fft.fft(x, axis=0)), columns)


@pytest.mark.benchmark(group=RUN)
def test_network_batch_first(run, network, rows):
    result = run(jax.jit(lambda network, x: network(x)), network, rows)
    assert np.allclose(result, np.fft.fft(rows), atol=1e-3)


@pytest.mark.benchmark(group=RUN)
def test_network_features_first(run, network, columns):
    result = run(jax.jit(lambda network, x: network(x, axis=0)), network, columns)
    assert np.allclose(result, np.fft.fft(columns, axis=0), atol=1e-3)


@pytest.mark.benchmark(group=RUN)
def test_dense_product(run, rows):
    matrix = jnp.asarray(np.fft.fft(np.eye(N)), jnp.complex64)
    run(jax.jit(lambda m, x: jnp.matmul(x, m, precision="highest")), matrix, rows)


@pytest.mark.benchmark(group="fft 1024 x 512, complex64: gradient of weights and inputs")
def test_gradient(run, network, columns):
    loss = jax.jit(jax.grad(lambda network, x: jnp.sum(jnp.abs(network(x, axis=0)) ** 2), argnums=(0, 1)))
    run(loss, network, columns)


@pytest.mark.benchmark(group="fft 1024: build")
def test_build(benchmark):
    benchmark.pedantic(lambda: dc.fft(N), rounds=5, warmup_rounds=1)


@pytest.mark.benchmark(group="fft 1024 x 512: compile")
def test_compile(compile_time, network, rows):
    compile_time(lambda network, x: network(x), network, rows)
