"""The catalog itself: everything builds, names are unique, and the stated counts are true."""

import ast
import inspect
import math

import pytest

import deepconstruct as dc
from deepconstruct.catalog import ENTRIES, Entry, Formula
from deepconstruct.construction.entry import formula, shown
from deepconstruct.constructions import BUILDERS


def cases(sizes):
    """Pairs of a name and a size, which show as text."""
    return [pytest.param(name, size, id=f"{name}-{shown(size)}") for name, size in sizes]


CASES = [
    (name, size)
    for name, entry in ENTRIES.items()
    for size in [*entry.sizes, *[entry.size][entry.size in entry.sizes :]]
]


@pytest.mark.default_cases(9)
@pytest.mark.parametrize("name,size", cases(CASES))
def test_every_entry_builds_at_every_size_with_the_synapses_of_its_formula(name, size):
    entry, construction = ENTRIES[name], dc.catalog.build(name, size)
    assert isinstance(construction, dc.Construction)
    assert ("complex" in construction.claim.dtype) == (entry.kind == "complex")
    row = dc.catalog.row(entry, construction, size)
    assert row.expected in (None, row.synapses)
    assert row.expected is not None or entry.formula is None or name.startswith("polynomial")


def n(*values, **more):
    return [{"n": value, **more} for value in values]


def squares(largest):
    """Every depth that the builder takes for every number of bits, but for networks that would be large."""
    sizes = [(bits, depth) for bits in range(1, largest) for depth in range(2, 2 + max(1, (bits - 1).bit_length()))]
    return [{"n": bits, "depth": depth} for bits, depth in sizes if bits < 3 * 2 ** (depth - 1)]


# Beyond the sizes of the entries: odd numbers, primes, powers and their neighbors.
MORE = {
    "parity": n(*range(1, 41), 63, 64, 65, 97, 101, 255, 1000),
    "parity_step": n(5, 31),
    "parity_sigmoid": n(5, 31),
    "parity_unfused": n(1, 5, 6, 11, 31),
    "parity_signs": n(1, 5, 31),
    "parity_tied": n(1, 12, 24, 64),
    "parity_ternary": n(*range(1, 13), 26, 27, 28, 80),
    "parity_count": n(5, 40),
    "parity_dnf": n(4, 6),
    "parity_bounded_depth": squares(25),
    "fft": n(8, 32),
    "ifft_ortho": n(8),
    "fft_real": n(1, 8, 32),
    "multiplication_gate": [{"bound": 0.25}],
    "flat_product": n(4),
    "flat_product_power": n(4, 5),
    "product_tree": n(1, 5, 6, 11),
    "product_tree_square": n(*range(1, 13), 21),
    "polynomial": n(4, 16),
    "polynomial_smooth": n(16),
    "hamiltonian_classifier": n(4, 6),
    "bit_product": [{"k": 40}],
    "boolean_function": n(2, 4, 6),
    "boolean_minterm": n(2, 4, 6),
    "boolean_classifier": n(3, 5),
    "fractal_cantor": [{"level": 3}],
    "fractal_carpet": [{"level": 4}],
}


@pytest.mark.default_cases(3)
@pytest.mark.parametrize("name", MORE)
def test_formulas_hold_at_every_other_size_too(name):
    entry = ENTRIES[name]
    counted = [dc.cost(entry.build(size)).synapses for size in MORE[name]]
    assert counted == [entry.synapses(size) for size in MORE[name]]


def test_formulas_of_other_arities_count_as_well():
    tree = inspect.getmodule(inspect.unwrap(dc.parity))
    assert tree is not None
    for arity in (4, 5, 7):
        for bits in (1, 2, 3, 7, 17, 29, 64, 100):
            counted = dc.cost(dc.parity(bits, arity=arity)).synapses
            assert counted == tree.tree_synapses(bits, arity), (bits, arity)


def test_the_closed_form_for_two_inputs_a_gate_is_the_recurrence():
    tree = inspect.getmodule(inspect.unwrap(dc.parity))
    assert tree is not None
    sizes = [*range(1, 3000), 2**20, 2**20 + 1, 2**20 - 1, 10**9 + 7]
    assert [ENTRIES["parity"].synapses(size) for size in sizes] == [tree.tree_synapses(size, 2) for size in sizes]


POWERS, ANY = (4, 16, 64), (1, 2, 3, 6)

# What each text says, read by another route than the count, and at which of the sizes that it names.
TEXTS = [
    ("6 n - 6 for n = 2^k", POWERS, lambda n: 4 * n // 2 + 8 * (n // 2 - 1) + 2),
    ("6 n - 6 for n > 1", (2, 3, 7), lambda n: 6 * n - 6),
    ("(15 n - 21) / 2 for n = 3^k", (3, 9, 81), lambda n: 9 * n // 3 + 27 * (n // 3 - 1) // 2 + 3),
    ("n^2 + n", ANY, lambda n: n**2 + n),
    ("(n + 1) 2^(n-1)", (1, 3, 5), lambda n: (n + 1) * 2 ** (n - 1)),
    (
        "n 2^m + m 4^(m-1) + 2^(m-1) for n = m^2 in depth 3",
        (4, 9, 16),
        lambda n: (lambda m: n * 2**m + m * 4 ** (m - 1) + 2 ** (m - 1))(math.isqrt(n)),
    ),
    ("2 n log2 n for n = 2^k > 1", POWERS, lambda n: 2 * n * round(math.log2(n))),
    ("6 n log2 n - 6 n + 8 for n = 2^k", POWERS, lambda n: 6 * n * round(math.log2(n)) - 6 * n + 8),
    ("12", (1,), lambda n: 8 + 4),
    ("24", (1,), lambda n: 2 * (8 + 4)),
    ("(n + 1) 2^n", ANY, lambda n: n * 2**n + 2**n),
    ("n 2^(n-1) + 2^n - 1", ANY, lambda n: sum(math.comb(n, k) * (k + 1) for k in range(1, n + 1))),
    ("20 n - 28 for n = 2^k > 1", (2, *POWERS), lambda n: 4 * n + 32 * (n // 2 - 1) + 4),
    ("6 n - 6 for n = 2^k > 1", (2, *POWERS), lambda n: 4 * n // 2 + 8 * (n // 2 - 1) + 2),
    ("8 log2 n for n = 2^k > 1", (2, *POWERS), lambda n: 8 * round(math.log2(n))),
    ("40 log2 n - 27 for n = 2^k > 2", POWERS, lambda n: 40 * round(math.log2(n)) - 27),
    ("8 n - 8", (2, 3, 6), lambda n: (n - 1) * (2 * 2 + 2 * 2)),
    ("k", ANY, lambda k: k),
    ("n", ANY, lambda n: n),
    ("sum C(n, j) (j + 1) over j > n/2", ANY, lambda n: over_half(n, lambda j: j + 1)),
    ("(n + 1) sum C(n, j) over j > n/2", ANY, lambda n: over_half(n, lambda j: n + 1)),
    ("sum C(n, j) (j + 2) over j > n/2", ANY, lambda n: over_half(n, lambda j: j + 2)),
    # First the layers of the first level, then those of the others, at last the readout.
    ("24 level - 18 for level > 1", (2, 3, 7), lambda n: (8 + 8) + (n - 2) * (16 + 8) + (8 + 4) + 2),
    ("176 level - 188 for level > 1", (2, 3, 7), lambda n: (32 + 48) + (n - 2) * (128 + 48) + (64 + 16) + 4),
    ("304 level - 348 for level > 1", (2, 3, 7), lambda n: (64 + 48) + (n - 2) * (256 + 48) + (128 + 16) + 4),
    ("960 level - 1192 for level > 1", (2, 3, 7), lambda n: (96 + 192) + (n - 2) * (768 + 192) + (384 + 48) + 8),
    ("108 level - 105 for level > 1", (2, 3, 7), lambda n: (24 + 36) + (n - 2) * (72 + 36) + (36 + 12) + 3),
    ("36 level + 1", ANY, lambda n: (12 + 12) + (n - 1) * (24 + 12) + (8 + 4) + 1),
    # The entries of the eigenvectors, sin(i j pi / (n + 1)), that aren't 0, and the readout.
    ("n^2 + 2 n - sum of gcd(j, n + 1) for j = 1 .. n", (1, 2, 3, 5, 8, 16, 35), lambda n: n + nonzero_sines(n)),
    # A factor of a covariance for every class.
    ("3 n^2 + 3 n", (1, 2, 3, 5, 8), lambda n: 3 * (n * n + n)),
]


def nonzero_sines(n):
    return sum(i * j % (n + 1) != 0 for i in range(1, n + 1) for j in range(1, n + 1))


def over_half(n, summand):
    return sum(math.comb(n, j) * summand(j) for j in range(n + 1) if 2 * j > n)


@pytest.mark.parametrize("text,values,count", TEXTS)
def test_formulas_are_what_their_text_says(text, values, count):
    found = [entry for entry in ENTRIES.values() if entry.formula and entry.formula.text == text]
    assert found
    for entry in found:
        assert [entry.synapses(value) for value in values] == [count(value) for value in values]


def test_no_formula_has_an_untested_text():
    assert {entry.formula.text for entry in ENTRIES.values() if entry.formula} == {text for text, *_ in TEXTS}


@pytest.mark.parametrize(
    "name,size,message",
    [
        ("parity", 0, "n must be at least 1; got 0"),
        ("parity_tied", 5, r"it holds for levels of equal gates, n = 2\^k or 3 2\^k; got n=5"),
        ("parity_bounded_depth", {"n": 5, "depth": 5}, r"it holds for depths from 2 to 1 \+ ceil\(log2 n\); got n=5"),
        ("parity_bounded_depth", {"depth": 1}, r"got n=16, depth=1"),
        ("fft", 12, "it holds for n a power of two; got n=12"),
        ("fft_real", 6, "it holds for n a power of two; got n=6"),
        ("flat_product_symmetric", 4, "it holds for odd n; got n=4"),
        ("polynomial", 6, r"it holds for n = 2\^k > 1; got n=6"),
        ("polynomial_smooth", 2, r"it holds for n = 2\^k > 2; got n=2"),
        ("hamiltonian_classifier", 1, "it holds for two spins or more; got n=1"),
        ("fractal_carpet", 0, "level must be at least 1; got 0"),
        ("parity", {"n": 8, "arity": 3}, "parity: its formula is of n, with all else as usual; got n=8, arity=3"),
    ],
)
def test_a_formula_refuses_sizes_for_which_it_does_not_hold(name, size, message):
    with pytest.raises(ValueError, match=message):
        ENTRIES[name].synapses(size)


@pytest.mark.parametrize("size", [2.5, "4", None, True])
def test_a_formula_refuses_what_is_no_size(size):
    found = ENTRIES["parity"].formula
    assert found is not None
    with pytest.raises(TypeError, match="n must be an integer"):
        found.count(size)


def test_formulas_take_whole_numbers_of_any_kind_and_constants_anything():
    assert formula("n", lambda n: n).count(True + 1) == 2
    assert formula("12", 12).count(bound=0.5) == formula("12", 12).count() == 12
    assert isinstance(ENTRIES["parity"].formula, Formula)


@pytest.mark.parametrize("name", ENTRIES)
def test_every_entry_says_what_it_is(name):
    entry = ENTRIES[name]
    assert entry.name == name
    assert len(entry.summary) > 10
    assert entry.source
    assert entry.kind in ("real", "complex")
    assert len({shown(size) for size in entry.sizes}) == len(entry.sizes) >= 3
    assert all(size.keys() == entry.size.keys() for size in entry.sizes)
    assert repr(entry) == f"Entry({name}: {entry.summary}; shown at {shown(entry.size)})"


def test_names_and_summaries_are_unique():
    files = {inspect.getmodule(inspect.unwrap(builder)) for builder in BUILDERS.values()}
    assert sum(len(module.ENTRIES) for module in files if module) == len(ENTRIES)
    assert dc.catalog.names() == list(ENTRIES)
    assert len({entry.summary for entry in ENTRIES.values()}) == len(ENTRIES)


def test_every_builder_has_an_entry():
    built = {entry.build(entry.sizes[0]).origin for entry in ENTRIES.values()}
    named = {origin.builder for origin in built if isinstance(origin, dc.origins.Built)}
    assert named == set(BUILDERS)


def test_an_entry_is_found_by_name():
    assert dc.catalog.get("fft") is ENTRIES["fft"]


@pytest.mark.parametrize("name", ["parity", "fft", "fft_real"])
def test_the_usual_size_is_built_by_default(name):
    assert dc.catalog.build(name).claim == dc.catalog.build(name, ENTRIES[name].size).claim


def test_a_size_may_be_a_part_or_the_leading_argument():
    entry = ENTRIES["parity_bounded_depth"]
    assert entry.resolve() == {"n": 16, "depth": 3}
    assert entry.resolve(9) == {"n": 9, "depth": 3}
    assert entry.resolve({"depth": 4}) == {"n": 16, "depth": 4}
    assert dc.cost(dc.catalog.build("parity", {"n": 9, "arity": 3})).depth == 2


@pytest.mark.parametrize("name,dtype", [("parity", "float32"), ("fft", "complex64"), ("fft_real", "float32")])
def test_the_dtype_is_handed_on(name, dtype):
    assert dc.catalog.build(name, 4, dtype=dtype).claim.dtype == dtype


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"catalog: no construction 'partiy'; known are parity, .* mean 'parity'\?"):
        dc.catalog.build("partiy")
    with pytest.raises(ValueError, match="catalog: no construction 'dft'"):
        dc.catalog.get("dft")


@pytest.mark.parametrize(
    "name,size,message",
    [
        ("fft", 12, "n=12"),
        ("parity", 0, "got 0"),
        ("parity_tied", 5, "n=5"),
        ("parity", {"arty": 3}, r"parity: no argument 'arty'; it takes n, activation, .* Did you mean 'arity'\?"),
        ("fractal_dust", {"dtype": "float32"}, "fractal_dust: no argument 'dtype'; it takes level, system, margin"),
    ],
)
def test_a_size_that_the_builder_refuses_is_refused(name, size, message):
    with pytest.raises(ValueError, match=message):
        dc.catalog.build(name, size)


def test_the_catalog_can_not_be_changed():
    with pytest.raises(TypeError):
        ENTRIES["mine"] = ENTRIES["fft"]  # pyright: ignore[reportIndexIssue]


# Arguments ----------------------------------------------------------------------------------------

# Beside the problem itself; whichever a builder has, in this order.
SHARED = ("activation", "bound", "tolerance", "dtype")


@pytest.mark.parametrize("name", BUILDERS)
def test_arguments_have_the_same_names_and_order_in_all_builders(name):
    parameters = inspect.signature(BUILDERS[name]).parameters
    shared = [argument for argument in parameters if argument in SHARED]
    assert shared == [argument for argument in SHARED if argument in parameters]
    assert list(parameters)[-1] == "dtype"
    for argument in shared:
        assert parameters[argument].kind is inspect.Parameter.KEYWORD_ONLY
    kinds = [parameter.kind for parameter in parameters.values()]
    assert kinds == sorted(kinds)
    assert all(kind in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY) for kind in kinds)
    assert kinds.count(inspect.Parameter.POSITIONAL_OR_KEYWORD) <= 3
    assert parameters["dtype"].default is None


# The table ----------------------------------------------------------------------------------------


def test_the_table_counts_what_is_built():
    names = ["parity", "fft", "parity_bounded_depth", "quadratic_form"]
    table = dc.catalog.table(names, dtype=None)
    assert len(table) == 4
    rows = {row.name: row for row in table.rows}
    assert rows["parity"].synapses == rows["parity"].expected == 90
    assert rows["parity_bounded_depth"].size == "n=16, depth=3"
    assert rows["quadratic_form"].synapses == rows["quadratic_form"].expected == 68
    head, *lines = repr(table).splitlines()
    assert head.split() == ["name", "computes", "size", "depth", "neurons", "synapses", "theorem", "expected", "error"]
    assert [line.split()[0] for line in lines] == list(rows)


def test_the_table_shows_in_notebooks_and_data_frames():
    table = dc.catalog.table(["parity_count", "boolean_minterm"])
    shown = table._repr_html_()
    assert shown.count("<tr>") == 3
    assert "(n + 1) sum C(n, j) over j &gt; n/2" in shown
    frame = table.to_dataframe()
    assert frame.set_index("name").loc["parity_count", "synapses"] == 272


def test_the_table_refuses_unknown_names_and_says_what_it_needs(monkeypatch):
    with pytest.raises(ValueError, match="no construction 'ft'"):
        dc.catalog.table(["ft"])
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(ImportError, match="catalog: to_dataframe needs pandas"):
        dc.catalog.Table(()).to_dataframe()


def test_a_construction_off_its_formula_has_no_expected_count():
    (row,) = dc.catalog.table(["polynomial"]).rows
    assert row.expected == 24
    entry = ENTRIES["polynomial"]
    assert dc.catalog.row(entry, entry.build(6), 6).expected is None


# One list -----------------------------------------------------------------------------------------


def test_the_package_names_every_builder_and_is_open_to_type_checkers():
    assert set(BUILDERS) <= set(dc.__all__)
    assert dc.__all__ == sorted(dc.__all__)
    assert all(getattr(dc, name) is builder for name, builder in BUILDERS.items())
    with pytest.raises(AttributeError, match="no attribute 'partiy'"):
        _ = dc.partiy
    # In a typed package a name is public where it is imported as itself.
    tree = ast.parse(inspect.getsource(dc))
    aliases = [alias for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names]
    seen = {alias.name for alias in aliases if alias.asname == alias.name}
    assert seen | set(BUILDERS) | {"origins"} == set(dc.__all__)


def test_entries_are_compared_by_identity():
    entry = ENTRIES["parity"]
    assert entry != Entry(entry.name, entry.summary, entry.builder, entry.size, entry.sizes)
    assert len({entry, entry}) == 1
