"""Digests tell apart whatever decides what a network computes, or what a claim says, and nothing else."""

import dataclasses
import functools
import subprocess
import sys
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import deepconstruct as dc
from deepconstruct.activations import AbstractActivation, Custom, ReLU, Sigmoid
from deepconstruct.construction.encoding import digest
from deepconstruct.domains import Bits
from deepconstruct.linear import AbstractLinear, Dense, Permutation, Sparse
from deepconstruct.network import flat_layers


def network(linear=None, bias=None, activation=None, label=None):
    linear = Dense(jnp.eye(2, dtype="float32")) if linear is None else linear
    return dc.Network((dc.Layer(linear, bias, activation or ReLU(), label),))


def own_activation(factor):
    class Own(AbstractActivation):
        power: int = eqx.field(static=True, default=1)

        def __call__(self, z, *, axis=-1):
            return factor * z**self.power

        def lipschitz(self):
            return 1.0

        def ulps(self):
            return 0

        def name(self):
            return "own"

    return Own


class Doubled(Dense):
    """A class derived from one of the library's."""

    def apply(self, x):
        return 2 * super().apply(x)


def doubled(weight: Any) -> Any:
    return Doubled(weight)  # pyright: ignore[reportCallIssue]


def scaled(factor):
    return lambda z: factor * z


def last_bit(array):
    return jnp.asarray(np.nextafter(np.asarray(array), np.float32(2)))


EYE = jnp.eye(2, dtype="float32")

NETWORKS = {
    "plain": lambda: network(),
    "one unit in the last place": lambda: network(Dense(last_bit(EYE))),
    "a zero's sign": lambda: network(Dense(EYE * jnp.array([1.0, -1.0], "float32") * jnp.array([[1.0], [-1.0]]))),
    "another dtype": lambda: network(Dense(EYE.astype("bfloat16"))),
    "the same bits as another dtype": lambda: network(Dense(EYE.astype("bfloat16").view("float16"))),
    "another shape": lambda: network(Dense(jnp.ones((1, 2), "float32"))),
    "that shape turned": lambda: network(Dense(jnp.ones((2, 1), "float32"))),
    "another map": lambda: network(Sparse([0, 1], [0, 1], jnp.ones(2, "float32"), (2, 2))),
    "other columns": lambda: network(Sparse([0, 1], [1, 0], jnp.ones(2, "float32"), (2, 2))),
    "a permutation": lambda: network(Permutation([0, 1])),
    "another permutation": lambda: network(Permutation([1, 0])),
    "a bias": lambda: network(bias=jnp.zeros(2, "float32")),
    "a label": lambda: network(label=dc.Label("and")),
    "another label": lambda: network(label=dc.Label("or")),
    "a steep sigmoid": lambda: network(activation=Sigmoid(10.0)),
    "a steeper sigmoid": lambda: network(activation=Sigmoid(20.0)),
    "a function": lambda: network(activation=Custom(jnp.arctan, "own")),
    "another function": lambda: network(activation=Custom(jnp.tanh, "own")),
    "code": lambda: network(activation=Custom(lambda z: z + 1, "own")),
    "other constants": lambda: network(activation=Custom(lambda z: z + 2, "own")),
    "other operations": lambda: network(activation=Custom(lambda z: z * 2, "own")),
    "a closure": lambda: network(activation=Custom(scaled(2.0), "own")),
    "another closure": lambda: network(activation=Custom(scaled(3.0), "own")),
    "closed arrays": lambda: network(activation=Custom(scaled(np.ones(2)), "own")),
    "other closed arrays": lambda: network(activation=Custom(scaled(np.zeros(2)), "own")),
    "compiled": lambda: network(activation=Custom(jax.jit(scaled(2.0)), "own")),
    "vectorized": lambda: network(activation=Custom(jax.vmap(scaled(2.0)), "own")),
    "partial": lambda: network(activation=Custom(functools.partial(jnp.add, 1.0), "own")),
    "another partial": lambda: network(activation=Custom(functools.partial(jnp.add, 2.0), "own")),
    "an own class": lambda: network(activation=own_activation(1)()),
    "an own class, another field": lambda: network(activation=own_activation(1)(2)),
    "an own class of that name": lambda: network(activation=own_activation(3)()),
    "a derived class": lambda: network(doubled(EYE)),
    "two layers": lambda: dc.Network(network().layers * 2),
    "repeated": lambda: dc.Network((dc.Repeat.copies(flat_layers(network()), 2),)),
    "repeated once more": lambda: dc.Network((dc.Repeat.copies(flat_layers(network()), 3),)),
    "diverged": lambda: jax.tree.map(lambda leaf: leaf * np.float32("nan"), network()),
    "stacked": lambda: jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), network()),
}


@pytest.mark.promotes
def test_equal_networks_agree_and_all_others_differ():
    found = {name: digest(build()) for name, build in NETWORKS.items()}
    assert {name: digest(build()) for name, build in NETWORKS.items()} == found
    assert len(set(found.values())) == len(found)


def claim(**changes):
    return dataclasses.replace(dc.Claim(dc.targets.Parity(3), Bits(3), Bits(1), dtype="float32"), **changes)


CLAIMS = {
    "plain": lambda: claim(),
    "another target": lambda: claim(target=dc.targets.Product(3)),
    "an own target": lambda: claim(target=dc.Target("own", scaled(2.0))),
    "another function": lambda: claim(target=dc.Target("own", scaled(3.0))),
    "another name": lambda: claim(target=dc.Target("other", scaled(2.0))),
    "an own target inside": lambda: claim(target=dc.targets.Realified(dc.Target("own", scaled(2.0)))),
    "another domain": lambda: claim(domain=dc.domains.Signs(3)),
    "points": lambda: claim(domain=dc.domains.Points([[0.0, 1.0, 2.0]])),
    "other points": lambda: claim(domain=dc.domains.Points([[0.0, 1.0, 3.0]])),
    "another codomain": lambda: claim(codomain=dc.domains.Space(1)),
    "an error": lambda: claim(error=dc.Bound(1e-3)),
    "a relative error": lambda: claim(error=dc.Bound(relative=1e-3)),
    "errors": lambda: claim(codomain=Bits(2), error=dc.Bound([0.0, 1e-3])),
    "errors the other way": lambda: claim(codomain=Bits(2), error=dc.Bound([1e-3, 0.0])),
    "a radius": lambda: claim(robustness=dc.Robustness(1.0, 2.0)),
    "an infinite radius": lambda: claim(robustness=dc.Robustness(np.inf, 2.0)),
    "another dtype": lambda: claim(dtype="float64"),
    "another source": lambda: claim(source="elsewhere"),
    "an estimate": lambda: claim(status="estimate"),
}


def test_equal_claims_agree_and_all_others_differ():
    found = {name: digest(build()) for name, build in CLAIMS.items()}
    assert {name: digest(build()) for name, build in CLAIMS.items()} == found
    assert len(set(found.values())) == len(found)


def test_values_of_globals_count():
    def made(value):
        scope = {"value": value}
        exec("def function(z):\n    return value * z", scope)
        return digest(network(activation=Custom(scope["function"], "own")))

    assert made(1.0) == made(1.0) != made(2.0)


def test_functions_that_name_themselves_have_a_digest():
    def power(n):
        return lambda z: z * power(n - 1)(z) if n else z

    assert digest(network(activation=Custom(power(2), "own"))) != digest(network(activation=Custom(power(3), "own")))


def test_what_nothing_describes_never_has_the_same_digest_twice():
    opaque = network(activation=Custom(scaled(iter(range(3))), "own"))
    assert digest(opaque) != digest(opaque)


def test_another_process_finds_the_same_digest():
    code = (
        "import jax, deepconstruct as dc; from deepconstruct.construction.encoding import digest\n"
        "jax.config.update('jax_enable_x64', True)\n"
        "tree = dc.parity(8, dtype='float32')\n"
        "print(digest(tree.network), digest(tree.claim))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    tree = dc.parity(8, dtype="float32")
    assert shown == [digest(tree.network), digest(tree.claim)]


@pytest.mark.parametrize("value", [dc.parity(2), dc.parity(2).network.layers[0], "network", 3])
def test_other_values_have_no_digest(value):
    with pytest.raises(TypeError, match="digest: expected a Network or a Claim; got"):
        digest(value)


def test_traced_weights_have_no_digest():
    def step(weights):
        return digest(weights) and weights

    with pytest.raises(TypeError, match="digest: the weights are being traced; call it outside jit"):
        jax.jit(step)(network())


def test_keys_among_the_leaves_have_no_digest():
    holder = jax.tree.map(lambda _: jax.random.key(0), network())
    with pytest.raises(TypeError, match="digest: PRNG keys can't be stored; store"):
        digest(holder)


def test_subclasses_are_told_from_their_bases():
    assert isinstance(doubled(EYE), AbstractLinear)
    assert digest(network(doubled(EYE))) != digest(network(Dense(EYE)))
