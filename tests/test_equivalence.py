"""Whether two networks compute the same function: proved, refuted by an input, or left open."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import deepconstruct as dc
import rationals
from deepconstruct._bias import bias_vector
from deepconstruct.domains import Bits, Box
from deepconstruct.network import flat_layers


def sees(found, a, b):
    """Whether two networks differ at the witness over the rationals."""
    x = np.array([found.witness])
    return (rationals.evaluate(a, x) != rationals.evaluate(b, x)).any()


def test_two_trees_are_equal_on_bits_though_not_elsewhere():
    a, b = dc.parity(6), dc.parity(6, activation="step")
    found = dc.equivalent(a, b)
    assert (found.verdict, found.method) == ("equal", "pointwise")
    apart = dc.equivalent(a, b, Box(6, 0, 1))
    assert apart.verdict == "different"
    assert sees(apart, a, b)


def copied(network, factor):
    """A network of plain matrices, its first weight times a factor."""
    matrices = [np.array(dc.linear.as_matrix(layer.linear)) for layer in flat_layers(network)]
    matrices[0][0, 0] *= factor
    return dc.Network.from_matrices(matrices, [bias_vector(layer.bias) for layer in flat_layers(network)], "relu")


@pytest.mark.parametrize("factor", [1, 1 + 2.0**-23, -1, 2, 0])
def test_one_other_weight_shows(factor):
    parity = dc.parity(5).network
    other = copied(parity, factor)
    found = dc.equivalent(parity, other, Bits(5))
    assert found.verdict == ("equal" if factor == 1 else "different")
    assert factor == 1 or sees(found, parity, other)


def test_polynomials_are_equal_on_any_box():
    gate, tree = dc.multiplication_gate(activation="square"), dc.product_tree(2, activation="square")
    assert dc.equivalent(gate, tree).method in ("weights", "identity")
    quarter = dc.Network.from_matrices([[[1.0, 1.0], [1.0, -1.0]], [[0.25, -0.25]]], [None, None], "square")
    found = dc.equivalent(gate, quarter, gate.claim.domain)
    assert (found.verdict, found.method) == ("equal", "identity")
    off = dc.Network.from_matrices([[[1.0, 1.0], [1.0, -1.0]], [[0.25, -0.125]]], [None, None], "square")
    found = dc.equivalent(gate, off, gate.claim.domain)
    assert found.verdict == "different"
    assert sees(found, gate, off)


def test_large_trees_are_equal_by_their_claims():
    found = dc.equivalent(dc.parity(60), dc.parity(60, arity=3))
    assert (found.verdict, found.method) == ("equal", "claims")


def test_smooth_gates_of_two_activations_differ():
    found = dc.equivalent(dc.multiplication_gate(), dc.multiplication_gate(activation="softplus"))
    assert found.verdict == "different"
    assert found.values is not None
    assert found.values[0] != found.values[1]


def test_what_no_point_shows_and_no_proof_covers_is_undecided():
    one = dc.Network.from_matrices([[[1.0]], [[1.0]]], [[0.0], None], "sigmoid")
    two = dc.Network.from_matrices([[[-1.0]], [[-1.0]]], [[0.0], [1.0]], "sigmoid")
    found = dc.equivalent(one, two, Box(1, -1, 1))
    assert found.verdict == "undecided"
    assert found.reasons


def test_bad_arguments_are_refused():
    with pytest.raises(TypeError, match="expected networks or constructions; got int"):
        dc.equivalent(dc.parity(2), 3)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="expected a domain, as the claims give 2"):
        dc.equivalent(dc.parity(2), dc.multiplication_gate())
    with pytest.raises(ValueError, match="expected two networks from 3 to 1 numbers"):
        dc.equivalent(dc.parity(2).network, dc.parity(3).network, Bits(3))


def test_nothing_is_proved_of_foreign_classes():
    class Doubled(dc.linear.Dense):
        def apply(self, x):
            return 2 * dc.linear.Dense(self.weight).apply(x)

    plain = dc.Network((dc.Layer(dc.linear.Dense(jnp.ones((1, 2), "float32"))),))
    foreign = dc.Network((dc.Layer(Doubled(jnp.ones((1, 2), "float32"))),))  # pyright: ignore[reportCallIssue]
    assert dc.equivalent(plain, foreign, Bits(2)).verdict == "undecided"


def test_complex_networks_are_not_told_apart_by_their_real_parts():
    forward = dc.fft(4).network
    backward = jax.tree.map(jnp.conj, forward)
    for domain in (Bits(4), dc.domains.Space(4, "complex")):
        assert dc.equivalent(forward, forward, domain).verdict == "equal"
        found = dc.equivalent(forward, backward, domain)
        assert found.verdict == "undecided"
        assert "complex" in str(found)
    turned = dc.Network((dc.Layer(dc.linear.Identity(2), jnp.array([0, 1j], "complex64")),))
    assert dc.equivalent(turned, jax.tree.map(jnp.conj, turned), Bits(2)).verdict == "undecided"
