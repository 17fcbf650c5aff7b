"""Helpers of the benchmarks: wait for results, and compile outside the clock."""

import jax
import pytest


@pytest.fixture
def run(benchmark):
    """Time `function(*arguments)`, compiled by a first call, until the result is there."""

    def timed(function, *arguments):
        jax.block_until_ready(function(*arguments))
        return benchmark.pedantic(lambda: jax.block_until_ready(function(*arguments)), rounds=15, warmup_rounds=2)

    return timed


@pytest.fixture
def compile_time(benchmark):
    """Time the compilation of `function(*arguments)` from nothing."""

    def timed(function, *arguments):
        def compile_it():
            jax.clear_caches()
            return jax.jit(function).lower(*arguments).compile()

        return benchmark.pedantic(compile_it, rounds=3)

    return timed
