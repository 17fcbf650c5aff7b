"""Training steps of 24 perturbed parity trees, n = 16, batch 1,000, Adam, in one vmapped program."""

from functools import partial

import jax
import jax.numpy as jnp
import optax
import pytest

import deepconstruct as dc

RUNS, STEPS = 24, 100


@pytest.mark.benchmark(group=f"parity 16: {RUNS} runs x {STEPS} steps")
@pytest.mark.parametrize("kind", ["dense", "structured"])
def test_steps(run, kind):
    tree = dc.parity(16, activation="sigmoid", fused=False, readout="raw", dtype="float32")
    network = dc.densify(tree.network) if kind == "dense" else tree.network
    keys = jax.random.split(jax.random.key(0), RUNS)
    starts = jax.vmap(lambda key: dc.perturb(network, 0.3, key=key))(keys)
    train = partial(dc.fit, loss=dc.losses.sampled(tree.claim, 1000), optimizer=optax.adam(1e-4), steps=STEPS)
    fitted = run(jax.jit(jax.vmap(lambda start: train(start, key=jax.random.key(1)))), starts)
    assert bool(jnp.all(jnp.isfinite(fitted.loss)))
