"""Every law for every construction of the catalog, in both precisions, those that compile much by turns."""

import itertools

import pytest

import deepconstruct as dc
from deepconstruct.construction.entry import shown
from deepconstruct.testing import LAWS

PRECISIONS = ("single", "double")

# These compile for seconds, the longer the larger: they take the least size in one precision and the next in the
# other, by turns; without the slow tests the latter.
# Without slow tests all other laws that compile take that size too.
LONGEST = ("jit_equals_eager", "gradients_are_finite")
# These compile nothing.
SHORTEST = ("leaves_are_inexact", "cost_counts_nonzeros", "file_keeps_everything")


def is_due(name, size, precision):
    """Whether it is a precision's turn: neighboring sizes and neighboring entries differ."""
    entries = list(dc.catalog.ENTRIES)
    turn = entries.index(name) + dc.catalog.get(name).sizes.index(size)
    return PRECISIONS.index(precision) == turn % 2


def is_run(law, name, size, precision):
    return law not in LONGEST or (size in dc.catalog.get(name).sizes[:2] and is_due(name, size, precision))


def is_slow(law, name, size, precision):
    if law in LONGEST:
        return size != dc.catalog.get(name).sizes[1]
    return law not in SHORTEST and not (size == dc.catalog.get(name).sizes[1] and is_due(name, size, precision))


# The laws of one construction follow one another, and share what it compiles.
CASES = [
    (law, name, size, precision)
    for name, entry in dc.catalog.ENTRIES.items()
    for size, precision, law in itertools.product(entry.sizes, PRECISIONS, LAWS)
    if is_run(law, name, size, precision)
]


_BUILT = {}


def built(name, size, dtype):
    """A construction; the last few are kept, since neighboring tests ask for the same."""
    at = name, shown(size), dtype
    if at not in _BUILT:
        while len(_BUILT) >= 4:
            del _BUILT[next(iter(_BUILT))]
        _BUILT[at] = dc.catalog.build(name, size, dtype=dtype)
    return _BUILT[at]


def text(value):
    return shown(value) if isinstance(value, dict) else None


@pytest.mark.parametrize(
    "law,name,size,precision",
    [pytest.param(*case, marks=[pytest.mark.slow] * is_slow(*case)) for case in CASES],
    ids=text,
)
def test_law(law, name, size, precision):
    kinds = {"real": ("float32", "float64"), "complex": ("complex64", "complex128")}
    dtype = kinds[dc.catalog.get(name).kind][precision == "double"]
    build = dc.catalog.build if law == "one_trace" else built
    LAWS[law](lambda dtype: build(name, size, dtype=dtype), dtype)


@pytest.mark.parametrize("law", LAWS)
def test_every_entry_keeps_every_law_in_both_precisions(law):
    for name, entry in dc.catalog.ENTRIES.items():
        cases = [case for case in CASES if case[:2] == (law, name)]
        expected = entry.sizes[:2] if law in LONGEST else entry.sizes
        assert {shown(size) for _, _, size, _ in cases} == set(map(shown, expected)), name
        assert {precision for *_, precision in cases} == set(PRECISIONS), name


@pytest.mark.parametrize("law", LAWS)
def test_without_slow_tests_every_entry_keeps_every_law(law):
    quick = [case for case in CASES if case[0] == law and not is_slow(*case)]
    assert {precision for *_, precision in quick} == set(PRECISIONS)
    for name, entry in dc.catalog.ENTRIES.items():
        sizes = {shown(size) for _, known, size, _ in quick if known == name}
        expected = entry.sizes if law in SHORTEST else entry.sizes[1:2]
        assert sizes == set(map(shown, expected)), name
