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


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("name", NETWORKS)
def test_noise_keeps_the_dtype(name):
    network = NETWORKS[name].network
    made = [dc.perturb(network, 0.1, scheme=scheme, key=KEY) for scheme in ("glorot", "absolute", "relative")]
    made += [dc.reinitialize(network, fans=fans, key=KEY) for fans in ("layer", "pattern")]
    made += [jax.jit(lambda scale: dc.perturb(network, scale, fans="pattern", key=KEY))(jnp.float32(0.1))]
    made += [dc.densify(network), dc.sparsify(network, 2)]
    assert {one.dtype for one in made} == {network.dtype}


@pytest.mark.slow
def test_complex_networks_train():
    fft = NETWORKS["complex"]
    with jax.enable_x64(False):
        loss = dc.losses.population(fft.claim.target.matrix()) + dc.losses.l1(1e-3)
        fitted = dc.fit(dc.perturb(fft, 0.1, key=KEY), loss, optax.polyak_sgd(0.1), steps=2, key=KEY)
        assert dc.sparsification_curve(fft, loss, keeps=[4, 8]).errors.shape == (2,)
    assert np.all(np.isfinite(fitted.loss))


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("optimizer", [optax.adam(1e-3), optax.lbfgs()], ids=["adam", "lbfgs"])
def test_optimizers_that_mix_dtypes_themselves_train(optimizer):
    fitted = dc.fit(NETWORKS["patterns"], dc.losses.l1(1e-3), optimizer, steps=2, key=KEY)
    assert np.all(np.isfinite(fitted.loss))
    assert fitted.network.dtype == "float32"


def test_complex_networks_train_as_they_do_with_promotion():
    def train():
        return dc.fit(NETWORKS["complex"], dc.losses.l1(1e-3), optax.adam(0.1), steps=2, key=KEY)

    strict = train()
    with jax.numpy_dtype_promotion("standard"):
        assert jax.tree.all(jax.tree.map(np.array_equal, train().network, strict.network))
    # Complex weights weren't cut into parts, as for an optimizer that refuses them.
    assert any(jnp.iscomplexobj(leaf) for leaf in jax.tree.leaves(strict.state))


DOMAINS = [
    (dc.domains.Bits(1), [1, 2, 0]),
    (dc.domains.Signs(1), [1, 255, 0]),
    (dc.domains.Points([[1.0], [3.0]]), [1, 2, 3]),
    (dc.domains.Box(1, 0.5, 2.0), [1, 3, 2]),
]


@pytest.mark.default_cases(3)
@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8", "int32", "bool"])
@pytest.mark.parametrize("domain,values", DOMAINS, ids=repr)
def test_membership_is_the_same_in_numpy_and_jax(domain, values, dtype):
    x = np.array(values).astype(dtype)[:, None]
    assert jax.jit(domain.contains)(x).tolist() == domain.contains(x).tolist()
    assert domain.contains(jnp.asarray(x)[None]).tolist() == [domain.contains(x).tolist()]


def test_booleans_count_as_numbers():
    double = dc.Target("double", lambda x: 2 * x)
    assert double(jnp.array([True, False])).tolist() == double([True, False]).tolist() == [2, 0]
    assert double(np.array([True, False])).tolist() == [2, 0]


def test_any_integers_count_weights():
    network = NETWORKS["patterns"].network
    for count in (jnp.int8(2), jnp.uint32(2)):
        kept = jax.jit(dc.sparsify)(network, count)
        assert dc.cost(kept) == dc.cost(dc.sparsify(network, 2))


def test_networks_of_two_precisions_are_compared_and_cast():
    single, double = dc.parity(2, dtype="float32"), dc.parity(2, dtype="float64")
    assert float(dc.function_distance(single, double, np.eye(2))) == 0
    assert dc.astype(single, "float64").claim.dtype == "float64"
    assert dc.parallel(single.network, double.network).dtype == "float64"


def test_fractal_distributions_draw():
    distribution = dc.data.FractalDistribution(dc.systems.cantor(), 3, dc.data.coarse)
    x, labels = distribution.sample(KEY, 5)
    assert (x.shape, labels.shape) == ((5, 1), (5,))


def test_tolerances_of_any_precision_are_compared():
    curve = dc.sparsification_curve(NETWORKS["patterns"], lambda network, _: jnp.float32(0.5), keeps=[1, 2])
    assert [float(curve.optimal(bound)) for bound in (np.float64(0.5), 1, None)] == [1, 1, 1]
