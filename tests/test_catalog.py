"""The catalog itself: everything builds, names are unique, and the stated counts are true."""

import math

import pytest

import deepconstruct as dc
from deepconstruct.catalog import ENTRIES

CASES = [(name, size) for name, entry in ENTRIES.items() for size in sorted({*entry.sizes, entry.size})]


@pytest.mark.parametrize("name,size", CASES)
def test_every_entry_builds_at_every_size(name, size):
    construction = dc.catalog.build(name, size)
    assert isinstance(construction, dc.Construction)
    is_complex = "complex" in construction.claim.dtype
    assert is_complex == (ENTRIES[name].kind == "complex")


def holds(formula, size):
    """Where the closed form is meant to hold: whole trees, whole blocks, at least one stage."""
    if "sqrt" in formula:
        return math.isqrt(size) ** 2 == size
    if formula in ("6 n - 6", "20 n - 28") or "log2" in formula:
        return size >= 2 and size & (size - 1) == 0
    if formula in ("24 n - 18", "176 n - 188"):  # a single level has no layer that hands on
        return size >= 2
    return True


COUNTED = [(name, size) for name, size in CASES if (formula := ENTRIES[name].formula) and holds(formula[0], size)]


@pytest.mark.parametrize("name,size", COUNTED)
def test_formulas_equal_the_counted_synapses(name, size):
    formula = ENTRIES[name].formula
    assert formula is not None
    assert dc.cost(dc.catalog.build(name, size)).synapses == formula[1](size)


def test_every_formula_is_checked_at_several_sizes():
    for name, entry in ENTRIES.items():
        assert entry.formula is None or len({size for other, size in COUNTED if other == name}) >= 2, name


@pytest.mark.parametrize(
    "text,count",
    [
        ("6 n - 6", lambda n: 6 * n - 6),
        ("n^2 + n", lambda n: n**2 + n),
        ("(n + 1) 2^(n-1)", lambda n: (n + 1) * 2 ** (n - 1)),
        ("n 2^m + m 4^(m-1) + 2^(m-1), m = sqrt n", lambda n: n * 2 ** math.isqrt(n) + third_level(math.isqrt(n))),
        ("2 n log2 n", lambda n: 2 * n * round(math.log2(n))),
        ("6 n log2 n - 6 n + 8", lambda n: 6 * n * round(math.log2(n)) - 6 * n + 8),
        ("12", lambda n: 8 + 4),
        ("24", lambda n: 2 * (8 + 4)),
        ("(n + 1) 2^n", lambda n: n * 2**n + 2**n),
        ("n 2^(n-1) + 2^n - 1", lambda n: sum(math.comb(n, k) * (k + 1) for k in range(1, n + 1))),
        ("20 n - 28", lambda n: 4 * n + 32 * (n // 2 - 1) + 4),
        ("n", lambda n: n),
        # First the layers of the first level, then those of the others, at last the readout.
        ("24 n - 18", lambda n: (8 + 8) + (n - 2) * (16 + 8) + (8 + 4) + 2),
        ("176 n - 188", lambda n: (32 + 48) + (n - 2) * (128 + 48) + (64 + 16) + 4),
        ("36 n + 1", lambda n: (12 + 12) + (n - 1) * (24 + 12) + (8 + 4) + 1),
    ],
)
def test_formulas_are_what_their_text_says(text, count):
    entries = [entry for entry in ENTRIES.values() if entry.formula and entry.formula[0] == text]
    assert entries
    for formula in (entry.formula for entry in entries):
        assert formula is not None
        assert [formula[1](n) for n in (4, 16, 64)] == [count(n) for n in (4, 16, 64)]


def third_level(m):
    return m * 4 ** (m - 1) + 2 ** (m - 1)


def test_no_formula_has_an_untested_text():
    texts = {entry.formula[0] for entry in ENTRIES.values() if entry.formula}
    (marks,) = [
        mark.args[1]
        for mark in test_formulas_are_what_their_text_says.pytestmark  # pyright: ignore[reportFunctionMemberAccess]
    ]
    assert texts == {text for text, _ in marks}


@pytest.mark.parametrize("name", ENTRIES)
def test_every_entry_says_what_it_is(name):
    entry = ENTRIES[name]
    assert entry.name == name
    assert len(entry.summary) > 10
    assert entry.source
    assert entry.kind in ("real", "complex")
    assert len(set(entry.sizes)) == len(entry.sizes) >= 3


def test_names_and_summaries_are_unique():
    assert dc.catalog.names() == list(ENTRIES)
    assert len({entry.summary for entry in ENTRIES.values()}) == len(ENTRIES)


def test_an_entry_is_found_by_name():
    assert dc.catalog.get("fft") is ENTRIES["fft"]


@pytest.mark.parametrize("name", ["parity", "fft", "fft_real"])
def test_the_usual_size_is_built_by_default(name):
    usual = dc.catalog.build(name)
    assert usual.claim == dc.catalog.build(name, ENTRIES[name].size).claim


@pytest.mark.parametrize("name,dtype", [("parity", "float32"), ("fft", "complex64"), ("fft_real", "float32")])
def test_the_dtype_is_handed_on(name, dtype):
    assert dc.catalog.build(name, 4, dtype=dtype).claim.dtype == dtype


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"catalog: no construction 'partiy'; known are parity, .*fft_real"):
        dc.catalog.build("partiy")
    with pytest.raises(ValueError, match="catalog: no construction 'dft'"):
        dc.catalog.get("dft")


@pytest.mark.parametrize("name,size,message", [("fft", 12, "n=12"), ("parity", 0, "got 0"), ("parity_tied", 5, "n=5")])
def test_a_size_that_the_builder_refuses_is_refused(name, size, message):
    with pytest.raises(ValueError, match=message):
        dc.catalog.build(name, size)


def test_the_catalog_can_not_be_changed():
    with pytest.raises(TypeError):
        ENTRIES["mine"] = ENTRIES["fft"]  # pyright: ignore[reportIndexIssue]
