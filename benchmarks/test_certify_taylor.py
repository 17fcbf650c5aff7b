"""Proofs of gates and flat products by Taylor series, and their parts."""

import numpy as np
import pytest

import deepconstruct as dc
from deepconstruct._certify.series.balls import ranges
from deepconstruct._certify.series.range import largest_modulus

pytest.importorskip("flint")

GATES = ("sigmoid", "tanh", "softplus", "gelu", "gelu_tanh", "silu", "exp", "sin", "square")


def certified(construction: dc.Construction) -> str:
    ranges.cache_clear()  # else only the first round would look at the activations
    return dc.certify(construction, method="taylor").verdict


@pytest.mark.benchmark(group="proofs of gates")
@pytest.mark.parametrize("name", GATES)
def test_gates(benchmark, name):
    gate = dc.multiplication_gate(activation=name, dtype="float32")
    assert benchmark(lambda: certified(gate)) == "proved"


@pytest.mark.benchmark(group="proofs of flat products")
@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_flat_products(benchmark, n):
    product = dc.flat_product(n, dtype="float32")
    assert benchmark.pedantic(lambda: certified(product), rounds=3) == "proved"


@pytest.mark.benchmark(group="a polynomial's largest modulus")
@pytest.mark.parametrize("n", [1, 2, 3])
def test_cells(benchmark, n):
    rng = np.random.default_rng(0)
    exponents, values = rng.integers(0, 8, (20, n)), rng.normal(size=20)
    peak = benchmark(lambda: largest_modulus(exponents, values, 1e-3))
    assert peak.bound <= np.abs(values).sum() * (1 + 1e-12)
