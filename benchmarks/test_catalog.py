"""Every construction of the catalog at its usual size: building it, and running it on a batch of 1,000."""

import jax
import pytest

import deepconstruct as dc

DTYPES = {"real": "float32", "complex": "complex64"}


def built(name):
    entry = dc.catalog.get(name)
    return entry.build(dtype=DTYPES[entry.kind])


@pytest.mark.benchmark(group="catalog: build")
@pytest.mark.parametrize("name", dc.catalog.names())
def test_build(benchmark, name):
    benchmark.pedantic(lambda: jax.block_until_ready(built(name).network), rounds=3, warmup_rounds=1)


@pytest.mark.benchmark(group="catalog: run")
@pytest.mark.parametrize("name", dc.catalog.names())
def test_run(run, name):
    construction = built(name)
    x = construction.claim.domain.sample(jax.random.key(0), (1000,), dtype=construction.claim.dtype)
    result = run(jax.jit(lambda network, x: network(x)), construction.network, x)
    assert result.shape == (1000, construction.out_size)
