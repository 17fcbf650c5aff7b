"""Proofs of compositions: parts are certified, joined anew and compared."""

import pytest

import deepconstruct as dc


def _gates():
    gate = dc.multiplication_gate()
    return dc.series(dc.parallel(gate, gate), gate)


def _trees():
    eight, two = (dc.parity(n, activation="sigmoid") for n in (8, 2))
    return dc.series(dc.parallel(eight, eight), two)


def _repeated():
    two = dc.parity(2)
    return dc.repeat(dc.fan_out(two, two), 64)


MADE = {"gates": _gates, "trees": _trees, "repeated": _repeated}


@pytest.mark.benchmark(group="certify, composition")
@pytest.mark.parametrize("name", MADE)
def test_composition(benchmark, name):
    construction = MADE[name]()
    found = benchmark.pedantic(lambda: dc.certify(construction, method="composition"), rounds=2, warmup_rounds=1)
    assert found.verdict == "proved"
