"""Certificates of networks that nobody built here: proved where they are right, refuted where they aren't."""

import jax
import numpy as np
import optax
import pytest

import deepconstruct as dc
from deepconstruct.domains import Bits, Box
from deepconstruct.network import flat_layers

ADDER = ([[1, 1], [1, 1]], [0, -1]), ([[1, -2], [0, 1]], None)
SUM_AND_CARRY = dc.targets.BooleanFunction([[0, 0], [1, 0], [1, 0], [0, 1]])


def of(*layers, activation="relu", dtype="float32"):
    matrices, biases = zip(*layers, strict=True)
    return dc.Network.from_matrices(matrices, biases, activation, dtype=dtype)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_a_half_adder_written_by_hand_is_proved(dtype):
    claim = dc.Claim(SUM_AND_CARRY, Bits(2), Bits(2), dtype=dtype)
    certificate = dc.certify(of(*ADDER, dtype=dtype), claim)
    assert certificate.verdict == "proved"
    assert certificate.found == dc.Bound(0)


def test_a_wrong_adder_is_refuted_by_an_input_that_fails():
    (first, _), (second, _) = ADDER
    wrong = of((first, [0, -2]), (second, None))
    certificate = dc.certify(wrong, dc.Claim(SUM_AND_CARRY, Bits(2), Bits(2)))
    assert certificate.verdict == "refuted"
    x = np.array([certificate.counterexample])
    assert (np.asarray(wrong(x)) != SUM_AND_CARRY(x)).any()


@pytest.mark.slow
def test_a_trained_network_that_is_thresholded_is_proved():
    bits, wanted = np.array([[0, 0], [1, 0], [0, 1], [1, 1]]), [[0], [1], [1], [0]]
    xor = dc.Claim(dc.targets.Parity(2), Bits(2), Bits(1), error=dc.Bound(0.4))
    start = of(([[1.1, 0.9], [0.8, 1.2], [-0.3, 0.4]], [0.1, -0.8, 0.2]), ([[0.9, -1.7, 0.1]], [0.05]))
    loss = dc.losses.sampled(xor, batch_size=64)
    trained = dc.fit(start, loss, optax.adam(1e-2), steps=400, key=jax.random.key(0)).network
    assert np.abs(np.asarray(trained(bits)) - wanted).max() < 0.4
    assert dc.certify(trained, xor).verdict == "proved"
    last = trained.layers[-1]
    assert isinstance(last, dc.Layer)
    assert isinstance(last.bias, jax.Array)
    decided = dc.Network((*trained.layers[:-1], dc.Layer(last.linear, last.bias - 0.5, "step")))
    certificate = dc.certify(decided, dc.Claim(dc.targets.Parity(2), Bits(2), Bits(1)))
    assert certificate.verdict == "proved"
    assert certificate.found == dc.Bound(0)
    untrained = dc.certify(start, dc.Claim(dc.targets.Parity(2), Bits(2), Bits(1)))
    assert untrained.verdict == "refuted"


PAIR = np.array([[1, -1], [0, 1], [0, -1]])  # max(a, b) = relu(a - b) + relu(b) - relu(-b)
LARGER = np.array([[1, 1, -1]])


def largest_of_four():
    first, outer = np.kron(np.eye(2), PAIR), np.kron(np.eye(2), LARGER)
    return of((first, None), (PAIR @ outer, None), (LARGER, None))


def test_the_largest_of_four_is_proved_on_a_box():
    claim = dc.Claim(dc.targets.Largest(4), Box(4, -1, 1), Box(1, -1, 1), error=dc.Bound(1e-5))
    certificate = dc.certify(largest_of_four(), claim)
    assert certificate.verdict == "proved", certificate
    assert certificate.found is not None
    assert 0 < certificate.found.largest <= 1e-5


def test_another_weight_is_not_the_largest_of_four():
    network = largest_of_four()
    matrices = [np.array(dc.linear.as_matrix(layer.linear)) for layer in flat_layers(network)]
    matrices[1][0, 0] *= 1.001
    wrong = of(*((matrix, None) for matrix in matrices))
    claim = dc.Claim(dc.targets.Largest(4), Box(4, -1, 1), Box(1, -1, 1), error=dc.Bound(1e-5))
    assert dc.certify(wrong, claim).verdict == "refuted"
