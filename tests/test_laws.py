"""Every law for every construction of the catalog, in both precisions."""

import pytest

import deepconstruct as dc
from deepconstruct.testing import LAWS

CASES = [(name, size) for name, entry in dc.catalog.ENTRIES.items() for size in entry.sizes]


@pytest.mark.parametrize("precision", ["single", "double"])
@pytest.mark.parametrize("name,size", CASES)
@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS.keys())
def test_law(law, name, size, precision):
    kinds = {"real": ("float32", "float64"), "complex": ("complex64", "complex128")}
    dtype = kinds[dc.catalog.get(name).kind][precision == "double"]
    law(lambda dtype: dc.catalog.build(name, size, dtype=dtype), dtype)
