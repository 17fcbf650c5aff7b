"""Noise, losses and training mix no dtypes and no ranks, which JAX can be told to refuse."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import deepconstruct as dc

KEY = jax.random.key(0)
NETWORKS = {
    "complex": dc.fft(4, dtype="complex64"),
    "half": dc.parity(4, dtype="float16"),
    "patterns": dc.multiplication_gate(dtype="float32"),
}


@pytest.fixture(autouse=True)
def _strict():
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        yield


@pytest.mark.parametrize("name", NETWORKS)
def test_noise_keeps_the_dtype(name):
    network = NETWORKS[name].network
    made = [dc.perturb(network, 0.1, scheme=scheme, key=KEY) for scheme in ("glorot", "absolute", "relative")]
    made += [dc.reinitialize(network, fans=fans, key=KEY) for fans in ("layer", "pattern")]
    made += [jax.jit(lambda scale: dc.perturb(network, scale, fans="pattern", key=KEY))(jnp.float32(0.1))]
    made += [dc.densify(network), dc.sparsify(network, 2)]
    assert {one.dtype for one in made} == {network.dtype}


def test_complex_networks_train():
    fft = NETWORKS["complex"]
    with jax.enable_x64(False):
        loss = dc.losses.population(fft.claim.target.matrix()) + dc.losses.l1(1e-3)
        fitted = dc.fit(dc.perturb(fft, 0.1, key=KEY), loss, optax.polyak_sgd(0.1), steps=2, key=KEY)
        assert dc.sparsification_curve(fft, loss, keeps=[4, 8]).errors.shape == (2,)
    assert np.all(np.isfinite(fitted.loss))
