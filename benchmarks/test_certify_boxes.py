"""Proofs of networks of fractals, and of the largest of some numbers."""

import jax.numpy as jnp
import numpy as np
import pytest

import deepconstruct as dc
from deepconstruct import systems
from deepconstruct.activations import ReLU
from deepconstruct.linear import Dense
from deepconstruct.network import Layer, Network

SYSTEMS = {
    "cantor": (systems.cantor(), 5),
    "dust": (systems.cantor_dust(), 5),
    "rotated": (systems.rotated_dust(), 4),
    "reflected": (systems.reflected_dust(3), 3),
    "triangle": (systems.sierpinski_triangle(), 5),
    "carpet": (systems.sierpinski_carpet(), 5),
}


@pytest.mark.benchmark(group="proofs of fractals")
@pytest.mark.parametrize("name", SYSTEMS)
def test_fractals(benchmark, name):
    system, level = SYSTEMS[name]
    construction = dc.fractal(system, level, dtype="float32")
    found = benchmark.pedantic(lambda: dc.certify(construction, method="boxes"), rounds=3)
    assert (found.verdict, found.covers) == ("proved", ("error", "robustness"))


@pytest.mark.benchmark(group="proofs of the largest number")
def test_largest_of_three(benchmark):
    first = np.array([[1.0, -1, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]])
    second = np.array([[1.0, 1, -1, -1, 1], [0, 0, 0, 1, -1], [0, 0, 0, -1, 1]])
    layers = [Layer(Dense(jnp.asarray(matrix, "float32")), None, ReLU()) for matrix in (first, second)]
    network = Network((*layers, Layer(Dense(jnp.array([[1.0, 1.0, -1.0]], "float32")))))
    claim = dc.Claim(
        dc.targets.Largest(3), dc.domains.Box(3, -1.0, 1.0), dc.domains.Space(1), error=1e-5, dtype="float32"
    )
    construction = dc.claim(network, claim)
    assert benchmark.pedantic(lambda: dc.certify(construction, method="boxes"), rounds=3).verdict == "proved"
