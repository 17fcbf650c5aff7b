"""Certificates of finite domains point by point, against running every input; and equivalence."""

import pytest

import deepconstruct as dc
from deepconstruct._certify.points.exhaustive import enumerated

BUILT = {
    "parity(16)": lambda: dc.parity(16),
    "parity(16), sigmoid": lambda: dc.parity(16, activation="sigmoid"),
    "boolean_function(8)": lambda: dc.boolean_function([n.bit_count() % 3 for n in range(256)]),
}


@pytest.mark.benchmark(group="finite domains")
@pytest.mark.parametrize("way", ["proved", "run"])
@pytest.mark.parametrize("name", BUILT)
def test_finite_domains(benchmark, name, way):
    construction = BUILT[name]()
    run = enumerated if way == "run" else lambda construction: dc.certify(construction, method="exhaustive")
    found = benchmark.pedantic(lambda: run(construction), rounds=5, warmup_rounds=1)
    assert found.verdict in ("proved", "enumerated")


@pytest.mark.benchmark(group="equivalence")
def test_equivalence(benchmark):
    a, b = dc.parity(14), dc.parity(14, activation="step")
    assert benchmark.pedantic(lambda: dc.equivalent(a, b), rounds=5, warmup_rounds=1).verdict == "equal"
