"""Every law for every construction of the catalog, in both precisions, slow ones by turns."""

import itertools

import pytest

import deepconstruct as dc
from deepconstruct.construction import shown
from deepconstruct.testing import LAWS

SIZES = [(name, size) for name, entry in dc.catalog.ENTRIES.items() for size in entry.sizes]
PRECISIONS = ("single", "double")

# These compile for seconds: they take every size in one precision, by turns.
SLOW = ("jit_equals_eager", "gradients_are_finite")


def is_run(law, name, size, precision):
    return law not in SLOW or PRECISIONS.index(precision) == dc.catalog.get(name).sizes.index(size) % 2


CASES = [
    (law, name, size, precision)
    for law, (name, size), precision in itertools.product(LAWS, SIZES, PRECISIONS)
    if is_run(law, name, size, precision)
]


def text(value):
    return shown(value) if isinstance(value, dict) else None


@pytest.mark.parametrize("law,name,size,precision", CASES, ids=text)
def test_law(law, name, size, precision):
    kinds = {"real": ("float32", "float64"), "complex": ("complex64", "complex128")}
    dtype = kinds[dc.catalog.get(name).kind][precision == "double"]
    LAWS[law](lambda dtype: dc.catalog.build(name, size, dtype=dtype), dtype)


def test_slow_laws_take_every_entry_in_both_precisions():
    for law, name in itertools.product(SLOW, dc.catalog.ENTRIES):
        assert {case[3] for case in CASES if case[:2] == (law, name)} == set(PRECISIONS), (law, name)
