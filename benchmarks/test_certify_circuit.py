"""Certificates by polynomials in rationals, and of circuits gate by gate."""

import pytest

import deepconstruct as dc

BUILT = {
    "identity": lambda: dc.flat_product(8, activation="power"),
    "circuit": lambda: dc.product_tree(64),
    "circuit, polynomial": lambda: dc.polynomial({(8, 0): 1.0, (1, 7): -2.0}, activation="softplus"),
}


@pytest.mark.parametrize("name", BUILT)
def test_certificates(benchmark, name):
    construction, method = BUILT[name](), name.split(",")[0]
    found = benchmark.pedantic(lambda: dc.certify(construction, method=method), rounds=5, warmup_rounds=1)
    assert found.verdict == "proved"
