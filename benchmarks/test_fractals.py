"""Indicator networks of fractals, against the plain membership test; compile time by level."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import deepconstruct as dc

DUST, POINTS = dc.systems.cantor_dust(2), 200_000
LEVELS = [5, 10]
# Dyadic, so that float64 carries every level.
QUARTERS = dc.systems.cantor_dust(2, 1 / 4)


def network(level: int) -> dc.Network:
    """A margin of a half: with it float32 carries ten levels of thirds."""
    return dc.fractal(DUST, level, margin=0.5, dtype="float32").network


def points() -> jax.Array:
    return jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (POINTS, 2)), "float32")


def forward(network: dc.Network, x: jax.Array) -> jax.Array:
    return network(x)


def membership(level: int, x: jax.Array) -> jax.Array:
    return DUST.contains(x, level)


def gradient(network: dc.Network, x: jax.Array) -> dc.Network:
    return jax.grad(lambda network: jnp.mean((network(x) - 1) ** 2))(network)


@pytest.mark.parametrize("level", LEVELS)
def test_network(run, benchmark, level):
    benchmark.group = f"dust of level {level}, 200,000 points, float32: run"
    run(jax.jit(forward), network(level), points())


@pytest.mark.parametrize("level", LEVELS)
def test_membership(run, benchmark, level):
    benchmark.group = f"dust of level {level}, 200,000 points, float32: run"
    run(jax.jit(functools.partial(membership, level)), points())


@pytest.mark.parametrize("level", LEVELS)
def test_gradient(run, benchmark, level):
    benchmark.group = f"dust of level {level}, 200,000 points, float32: gradient"
    run(jax.jit(gradient), network(level), points())


@pytest.mark.parametrize("level", LEVELS)
def test_membership_beside_the_gradient(run, benchmark, level):
    benchmark.group = f"dust of level {level}, 200,000 points, float32: gradient"
    run(jax.jit(functools.partial(membership, level)), points())


@pytest.mark.benchmark(group="dust of ratio 1/4, 200,000 points, float64: compile")
@pytest.mark.parametrize("level", [6, 30])
def test_compile(compile_time, level):
    with jax.enable_x64(True):
        compile_time(forward, dc.fractal(QUARTERS, level, dtype="float64").network, points().astype("float64"))


@pytest.mark.benchmark(group="dust, level 5: build")
def test_build(benchmark):
    benchmark(lambda: dc.fractal(DUST, 5, dtype="float32"))


@pytest.mark.benchmark(group="dust, level 5: build")
def test_plain_array(benchmark):
    """What can't be undercut: handing the weights to JAX."""
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(network(5))]
    benchmark(lambda: jax.block_until_ready([jnp.asarray(leaf) for leaf in leaves]))
