"""Networks that are called exact are: sums and biases that a dtype doesn't hold are refused, with ways that work."""

import math
import re

import numpy as np
import pytest

import deepconstruct as dc
from deepconstruct._arithmetic.exactness import is_exact_on
from deepconstruct._arithmetic.rounding import growth, holds_grid
from deepconstruct.constructions.boolean.table import moebius, zeta


def counting(n):
    """Inputs with 0, 1, ..., n bits set."""
    return np.tril(np.ones((n + 1, n)), -1)


def is_right(construction, x):
    return np.array_equal(np.asarray(construction(x)).astype(float)[:, 0], x.sum(axis=1) % 2)


@pytest.mark.parametrize(
    "dtype,step,largest,holds",
    [
        ("float16", 1.0, 2048, True),
        ("float16", 1.0, 2049, False),
        ("float16", 0.5, 1024, True),
        ("float16", 64.0, 70000, False),
        ("bfloat16", 1.0, 256, True),
        ("bfloat16", 0.5, 129, False),
        ("float32", 1e-45, 0.0, False),
    ],
)
def test_a_dtype_holds_the_multiples_of_a_step_up_to_its_digits(dtype, step, largest, holds):
    assert holds_grid(dtype, step, largest) is holds


def test_growth_is_infinite_where_there_is_no_bound():
    assert growth(4, 2.0**-4) == 1 / 3
    assert growth(np.array([4, 100]), 2.0**-4).tolist() == [1 / 3, math.inf]


@pytest.mark.default_cases(1)
@pytest.mark.parametrize(
    "dtype,activation,k", [("float16", "relu", 2048), ("float16", "step", 1024), ("bfloat16", "relu", 256)]
)
def test_bit_products_are_exact_up_to_the_largest_count_and_beyond_by_groups(dtype, activation, k):
    for count, layers in ((k, 1), (k + 1, 2), (3 * k - 1, 2)):
        unit = dc.bit_product(count, activation=activation, dtype=dtype)
        assert unit.claim.error.is_exact
        assert is_exact_on(unit.network, unit.claim.domain)
        assert dc.cost(unit).layers == layers
        ends = np.ones((4, count))
        ends[1, -1] = ends[2, 0] = ends[3, : count // 2] = 0
        assert np.asarray(unit(ends)).astype(float).ravel().tolist() == [1.0, 0.0, 0.0, 0.0]
        assert unit.claim.target == dc.targets.Product(count)


def test_sigmoid_units_need_their_bias_too():
    with pytest.raises(
        ValueError,
        match=r"can't count 129 bits; .* or use activation='relu', which makes groups of them, or use at most 128 bits",
    ):
        dc.bit_product(129, tolerance=0.1, dtype="bfloat16")


@pytest.mark.parametrize("dtype,activation,n", [("float16", "relu", 63), ("bfloat16", "step", 128)])
def test_counting_is_exact_up_to_the_largest_sum(dtype, activation, n):
    assert is_right(dc.parity_shallow(n, activation=activation, dtype=dtype), counting(n))


@pytest.mark.default_cases(1)
@pytest.mark.parametrize(
    "dtype,activation,n", [("float16", "step", 1025), ("bfloat16", "relu", 40), ("float16", "relu", 5000)]
)
def test_counting_beyond_goes_by_groups(dtype, activation, n):
    built = dc.parity_shallow(n, activation=activation, dtype=dtype)
    assert built.claim.error.is_exact
    # Intervals don't tell that wires of ReLU gates hold bits.
    assert activation == "relu" or is_exact_on(built.network, built.claim.domain)
    assert built.claim.target == dc.targets.Parity(n)
    assert is_right(built, counting(n)[:: max(n // 40, 1)])
    mixed = np.random.default_rng(0).integers(0, 2, (50, n)).astype(float)
    assert is_right(built, mixed)


@pytest.mark.parametrize("encoding", ["bits", "signs"])
@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("dtype,n,arity", [("float16", 12, 12), ("bfloat16", 6, 6), ("bfloat16", 37, 3)])
def test_trees_are_exact_where_they_are_not_refused(dtype, n, arity, fused, encoding):
    tree = dc.parity(n, arity=arity, fused=fused, encoding=encoding, dtype=dtype)
    assert tree.claim.error.is_exact
    x = counting(n)
    got = np.asarray(tree(1 - 2 * x if encoding == "signs" else x)).astype(float)[:, 0]
    assert np.array_equal((1 - got) / 2 if encoding == "signs" else got, x.sum(axis=1) % 2)


@pytest.mark.parametrize("dtype,arity", [("float16", 64), ("bfloat16", 12)])
def test_trees_of_large_arity_are_refused_with_ways_that_work(dtype, arity):
    with pytest.raises(ValueError, match=f"parity: sums of relu gates of arity {arity} are too large for") as refusal:
        dc.parity(64, arity=arity, dtype=dtype)
    ways = re.findall(r"(activation|dtype|arity)='?(\w+)'?", str(refusal.value).split("; ")[1])
    assert {"arity"} <= {name for name, _ in ways}
    for name, value in ways:
        options = {"arity": arity, "dtype": dtype, name: int(value) if name == "arity" else value}
        assert is_right(dc.parity(64, **options), counting(64))


def test_step_trees_have_no_radius_where_rounding_fills_it():
    assert dc.parity(64, activation="step", arity=64, dtype="float16").claim.robustness == dc.Robustness()


def test_gates_of_many_inputs_are_refused_with_a_depth_that_works():
    with pytest.raises(ValueError, match=r"have up to 1024 inputs, more than bfloat16 counts; use .*depth=4"):
        dc.parity_bounded_depth(64, 3, dtype="bfloat16")
    assert is_right(dc.parity_bounded_depth(64, 4, dtype="bfloat16"), counting(64))
    assert is_right(dc.parity_bounded_depth(9, 2, dtype="bfloat16"), counting(9))


# Tables -------------------------------------------------------------------------------------------

TABLES = [
    [1e38, -1e38, 1e38, -1e38],
    [1e-42, 0, 0, 1e-42],
    [1e-42, 1, -1e-42, 3],
    [1, 1e-20],
    [3e38, -3e38],
    [3.0, -1.0, 2.0, 1e-5],
]


@pytest.mark.parametrize("basis", ["moebius", "minterm"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("table", TABLES, ids=str)
def test_tables_of_extreme_values_are_within_their_claims_or_refused(table, dtype, basis):
    try:
        built = dc.boolean_function(table, basis=basis, dtype=dtype)
    except ValueError:
        with pytest.raises(
            ValueError, match=f"boolean_function: sums of up to .* leave the range of {dtype}; scale the"
        ):
            dc.boolean_function(table, basis=basis, dtype=dtype)
        assert np.abs(table).max() * len(table) > np.finfo(dtype).max
        return
    bits = (np.arange(len(table))[:, None] >> np.arange(built.in_size)) & 1
    # Flushed to zero, a small value is off by itself.
    off = np.abs(np.asarray(built(bits)).astype(float)[:, 0] - table)
    tiny = float(np.finfo(dtype).tiny)
    lost = max((abs(value) for value in table if abs(value) < tiny), default=0.0)
    assert max(off.max(), lost) <= built.claim.error.largest


def test_tables_whose_coefficients_round_are_not_called_exact():
    # Its coefficient 1e-20 - 1 is -1 in double precision: on the grid, and another table.
    assert not dc.boolean_function([1.0, 1e-20], dtype="float64").claim.error.is_exact
    assert dc.boolean_function([1.0, 0.0], dtype="float16").claim.error.is_exact


def test_zeta_inverts_moebius():
    table = np.random.default_rng(0).integers(-9, 9, (16, 2)).astype(float)
    assert np.array_equal(zeta(moebius(table)), table)


def test_sums_too_long_for_the_dtype_are_refused_with_a_way_that_works():
    table = np.random.default_rng(0).uniform(-1, 1, 256)
    with pytest.raises(
        ValueError, match=r"sums of 255 terms have no error bound in bfloat16; use basis='minterm' \(err"
    ):
        dc.boolean_function(table, dtype="bfloat16")
    built = dc.boolean_function(table, basis="minterm", dtype="bfloat16")
    bits = (np.arange(256)[:, None] >> np.arange(8)) & 1
    assert np.abs(np.asarray(built(bits)).astype(float)[:, 0] - table).max() <= built.claim.error.largest < 0.05


def test_classifiers_of_bits_take_a_tolerance():
    logits = [[0.0, 1e-3], [3.0, 4.0]]
    with pytest.raises(
        ValueError, match=r"boolean_classifier: tolerance 1e-09 is below the floor of .* dtype='float64' \("
    ):
        dc.boolean_classifier(logits, tolerance=1e-9, dtype="float32")
    built = dc.boolean_classifier(logits, activation="sigmoid", tolerance=1e-9, dtype="float64")
    assert built.claim.error.largest <= 1e-9
    with pytest.raises(ValueError, match=r"boolean_classifier: sums of up to .* leave the range of float32; scale"):
        dc.boolean_classifier([[1e38, -1e38], [-1e38, 1e38], [0, 0], [0, 0]], dtype="float32")
