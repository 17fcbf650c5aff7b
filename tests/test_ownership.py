"""No network shares memory with what it was made from, nor two of its leaves: donation deletes only what is donated."""

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
import pytest

import deepconstruct as dc
from deepconstruct import catalog
from deepconstruct.network import own

KEY = jax.random.key(0)
XOR, FFT = dc.parity(4, dtype="float32"), dc.fft(4, dtype="complex64")
FROZEN = optax.multi_transform({"freeze": optax.set_to_zero()}, jax.tree.map(lambda _: "freeze", XOR.network))


def places(network):
    network = getattr(network, "network", network)
    return [leaf.unsafe_buffer_pointer() for leaf in jax.tree.leaves(network)]


MADE = {
    "perturb": lambda: (XOR, dc.perturb(XOR, 0.1, key=KEY)),
    "reinitialize": lambda: (XOR, dc.reinitialize(XOR, biases=False, key=KEY)),
    "densify": lambda: (XOR, dc.densify(XOR)),
    "densify a dense one": lambda: (dense := dc.densify(XOR), dc.densify(dense)),
    "astype": lambda: (XOR, dc.astype(XOR.network, "float32")),
    "sparsify": lambda: (XOR, dc.sparsify(XOR, 3)),
    "fit": lambda: (XOR, dc.fit(XOR, dc.losses.l1(1.0), FROZEN, steps=1, key=KEY).network),
    "realify": lambda: (FFT, dc.realify(FFT)),
    "realify a real one": lambda: (real := dc.realify(FFT).network, dc.realify(real)),
    "series": lambda: (XOR, dc.series(dc.parallel(XOR, XOR), dc.parity(2, dtype="float32"))),
    "series of one": lambda: (XOR, dc.series(XOR)),
    "series of networks": lambda: (FFT, dc.series(FFT.network, FFT.network)),
    "parallel": lambda: (XOR, dc.parallel(XOR, XOR)),
    "fan_out": lambda: (XOR, dc.fan_out(XOR.network, XOR.network)),
    "repeat": lambda: (FFT, dc.repeat(FFT, 2)),
    "repeat once": lambda: (FFT, dc.repeat(FFT.network, 1)),
}


@pytest.mark.default_cases(5)
@pytest.mark.parametrize("name", MADE)
def test_what_is_made_has_memory_of_its_own(name):
    before, after = map(places, MADE[name]())
    assert not set(before) & set(after)
    assert len(set(after)) == len(after)


@pytest.mark.parametrize("name", ["parity", "fft", "boolean_function", "flat_product"])
def test_leaves_of_a_construction_share_nothing(name):
    found = places(catalog.build(name))
    assert len(set(found)) == len(found)


def test_a_donated_step_leaves_the_construction():
    tree = dc.parity(4, dtype="float32")
    step = jax.jit(lambda network: jax.tree.map(lambda leaf: leaf - 0.1, network), donate_argnums=0)
    step(dc.parallel(tree, tree).network)
    step(dc.perturb(tree, 0.1, key=KEY))
    assert tree([0, 1, 1, 1]).tolist() == [1.0]


@pytest.mark.slow
def test_copies_are_made_under_transformations():
    stacked = jax.vmap(lambda scale: own(dc.perturb(XOR, scale, key=KEY)))(jnp.zeros(2, "float32"))
    inside = jax.jit(lambda network: own(network))(XOR.network)
    slope = jax.grad(lambda x: own({"a": x})["a"] ** 2)(3.0)
    assert eqx.tree_equal(jax.tree.map(lambda leaf: leaf[1], stacked), inside)
    assert slope == 6.0
    assert not set(places(XOR)) & set(places(inside))
