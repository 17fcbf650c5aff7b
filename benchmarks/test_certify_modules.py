"""Trees of gates: proofs for a million bits, even and uneven, and for a gate that counts."""

import pytest

import deepconstruct as dc

TREES = {
    "relu": lambda: dc.parity(2**20, dtype="float32"),
    "step": lambda: dc.parity(2**20, activation="step", dtype="float32"),
    "sigmoid": lambda: dc.parity(2**20, activation="sigmoid", dtype="float32"),
    "uneven": lambda: dc.parity(2**20 - 1, dtype="float32"),
    "uneven sigmoid": lambda: dc.parity(2**20 - 1, activation="sigmoid", dtype="float32"),
    "count": lambda: dc.parity_shallow(300, dtype="float32"),
    "normal form": lambda: dc.parity_shallow(8, kind="dnf", dtype="float32"),
}


@pytest.mark.benchmark(group="modules")
@pytest.mark.parametrize("name", TREES)
def test_proof(benchmark, name):
    construction = TREES[name]()
    found = benchmark.pedantic(lambda: dc.certify(construction, method="modules"), rounds=3, warmup_rounds=1)
    assert (found.verdict, found.covers) == ("proved", ("error", "robustness"))
