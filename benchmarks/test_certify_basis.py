"""Proofs of linear networks: transforms stage by stage, and by their whole matrix."""

import pytest

import deepconstruct as dc

GROUP = "certify, basis: the fast Fourier transform, complex64"


@pytest.mark.benchmark(group=GROUP)
@pytest.mark.parametrize("n", [64, 1024, 2**14])
def test_fft(benchmark, n):
    construction = dc.fft(n, dtype="complex64")
    found = benchmark.pedantic(lambda: dc.certify(construction, method="basis"), rounds=2, warmup_rounds=1)
    assert found.verdict == "proved"


@pytest.mark.benchmark(group=GROUP)
def test_fft_there_and_back(benchmark):
    construction = dc.series(*(dc.fft(64, inverse=inverse, dtype="complex64") for inverse in (False, True)))
    found = benchmark.pedantic(lambda: dc.certify(construction, method="basis"), rounds=2, warmup_rounds=1)
    assert found.verdict == "proved"
