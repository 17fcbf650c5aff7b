"""Networks of 64 bits that have left their x64 scope are refused by name; what only looks at weights still works."""

import jax
import numpy as np
import optax
import pytest

import deepconstruct as dc

KEY = jax.random.key(0)
FFT, TREE = dc.fft(4, dtype="complex128"), dc.parity(4, dtype="float64")
NET = TREE.network


@pytest.fixture(autouse=True)
def _without_x64():
    with jax.enable_x64(False):
        yield


def identity_loss(network, key):
    return network.layers[0].bias.sum()


REFUSED = {
    "perturb": lambda: dc.perturb(FFT, 0.1, key=KEY),
    "reinitialize": lambda: dc.reinitialize(NET, key=KEY),
    "densify": lambda: dc.densify(FFT),
    "astype": lambda: dc.astype(NET, "float32"),
    "sparsify": lambda: dc.sparsify(TREE, 3),
    "sparsification_curve": lambda: dc.sparsification_curve(TREE, identity_loss),
    "fit": lambda: dc.fit(FFT, identity_loss, optax.sgd(0.1), steps=1, key=KEY),
    "series": lambda: dc.series(TREE),
    "parallel": lambda: dc.parallel(NET, NET),
    "fan_out": lambda: dc.fan_out(TREE, TREE),
    "repeat": lambda: dc.repeat(FFT, 2),
    "realify": lambda: dc.realify(FFT),
    "function_distance": lambda: dc.function_distance(NET, NET, np.zeros(4)),
    "weight_distance": lambda: dc.weight_distance(NET, NET),
    "Network": lambda: NET(np.zeros(4)),
    "jitted Network": lambda: jax.jit(NET)(np.zeros(4)),
    "layer_outputs": lambda: dc.layer_outputs(NET, np.zeros(4)),
    "construction": lambda: TREE(np.zeros(4)),
    "certify": lambda: dc.certify(TREE),
    "sampled": lambda: dc.losses.sampled(TREE.claim, 4)(NET, KEY),
    "population": lambda: dc.losses.population(np.eye(4))(FFT.network, KEY),
    "l1": lambda: dc.losses.l1(1.0)(NET, KEY),
}


@pytest.mark.parametrize("name", REFUSED)
def test_64_bits_outside_of_their_scope_are_refused(name):
    with pytest.raises(ValueError, match=r"(float64|complex128) needs 64-bit JAX, which is off"):
        REFUSED[name]()


def test_questions_about_weights_are_answered():
    assert dc.cost(TREE).synapses == 18
    assert [mask.sum() for mask in dc.sparsity_pattern(NET)] == [8, 8, 2]
    assert NET.dtype == np.float64
    assert "float64" in repr(TREE)
