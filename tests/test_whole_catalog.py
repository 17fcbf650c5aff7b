"""Every construction is proved at the size that is shown, in both precisions, and its bound is no larger than it is."""

import dataclasses
import functools

import pytest

import deepconstruct as dc
from marks import slow_among

CASES = [(name, double) for name in dc.catalog.ENTRIES for double in (False, True)]


@functools.cache
def certified(name, double):
    entry = dc.catalog.get(name)
    construction = entry.build(dtype=entry.dtype(double=double))
    return construction, dc.certify(construction)


def ids(value):
    return ("single", "double")[value] if isinstance(value, bool) else None


@pytest.mark.parametrize("name,double", CASES, ids=ids)
def test_is_proved(name, double):
    construction, certificate = certified(name, double)
    assert certificate.verdict == "proved", certificate
    assert certificate.claimed == construction.claim.error
    assert certificate.found is not None
    assert certificate.found.largest <= construction.claim.error.largest
    assert certificate.found.relative <= construction.claim.error.relative


@pytest.mark.slow
@pytest.mark.parametrize("name,double", slow_among(CASES, [case for case in CASES if case[1]]), ids=ids)
def test_less_than_the_proved_bound_is_not_proved(name, double):
    construction, certificate = certified(name, double)
    assert certificate.found is not None
    absolute, relative = certificate.found.largest, certificate.found.relative
    if absolute == relative == 0:
        pytest.skip("nothing is less than exact")
    less = dataclasses.replace(construction.claim, error=dc.Bound(0.98 * absolute, 0.98 * relative))
    assert dc.certify(construction.network, less).verdict != "proved"
