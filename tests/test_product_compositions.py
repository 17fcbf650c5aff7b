"""Parities, then products, then polynomials: the error that is claimed for the composition is never exceeded."""

import itertools

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

import deepconstruct as dc
from deepconstruct.testing import excess, inputs
from marks import slow_among
from rationals import error_within, evaluate, fractions

DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])
UNITS = ("relu", "step", "sigmoid")


def bits(n):
    """All inputs of `n` bits."""
    return np.array(list(itertools.product([0.0, 1.0], repeat=n)))


def product(kind, count, activation, dtype):
    """A network that multiplies `count` numbers."""
    if kind == "gate" and count == 2:
        return dc.multiplication_gate(activation=activation, dtype=dtype)
    if kind == "eight neurons" and count == 2 and activation != "square":
        return dc.multiplication_gate(activation=activation, richardson=True, dtype=dtype)
    if kind == "flat":
        return dc.flat_product(count, activation="power" if activation == "square" else activation, dtype=dtype)
    return dc.product_tree(count, activation=activation, dtype=dtype)


def composed(parities, kind, activation, polynomial, *, merge, dtype, unit="relu", outer="square"):
    """A polynomial of products of parities of so many bits."""
    parts = [dc.parity(n, activation=unit, dtype=dtype) for n in parities]
    last = dc.polynomial(polynomial, activation=outer, dtype=dtype)
    return dc.series(dc.parallel(*parts), product(kind, len(parts), activation, dtype), last, merge=merge)


def assert_keeps_its_claim(construction, x, seed=0):
    """At `x`, and at inputs moved by up to the radius, in every coordinate or in some."""
    assert excess(construction, x) <= 0
    rng = np.random.default_rng(seed)
    steps = rng.choice([-1.0, 0.0, 1.0], x.shape) * rng.choice([1.0, 1.0, 1e-3], (len(x), 1))
    moved = x + steps * construction.claim.robustness.radius * (1 - 2.0**-10)
    assert excess(construction, x, moved.astype(construction.claim.dtype)) <= 0


# Drawn --------------------------------------------------------------------------------------------

POLYNOMIALS = st.dictionaries(st.integers(0, 4), st.sampled_from([-2.0, -0.5, 0.1, 1.0]), min_size=1, max_size=3)


@st.composite
def compositions(draw, dtype):
    """Parities of 1 to 3 bits, a product of 2 or 3 of them, and a polynomial of that."""
    try:
        return draw_composed(draw, dtype)
    except ValueError as error:
        # A claim may be too weak for the next network; what is asked here is that none is wrong.
        assert "errs by up to" in str(error)  # noqa: PT017
        hypothesis.reject()


def draw_composed(draw, dtype):
    return composed(
        draw(st.lists(st.integers(1, 3), min_size=2, max_size=3)),
        draw(st.sampled_from(["gate", "tree", "flat", "eight neurons"])),
        draw(st.sampled_from(["square", "sigmoid", "gelu", "softplus"])),
        {(power,): value for power, value in draw(POLYNOMIALS).items()},
        merge=draw(st.booleans()),
        dtype=dtype,
        unit=draw(st.sampled_from(UNITS)),
        outer=draw(st.sampled_from(["square", "tanh"])),
    )


@pytest.mark.slow
@DTYPES
@hypothesis.settings(max_examples=6)
@hypothesis.given(data=st.data())
def test_drawn_polynomials_of_products_of_parities_keep_their_claims(dtype, data):
    construction = data.draw(compositions(dtype))
    assert construction.claim.domain == dc.domains.Bits(construction.in_size)
    assert_keeps_its_claim(construction, bits(construction.in_size))


@pytest.mark.slow
@hypothesis.settings(max_examples=10)
@hypothesis.given(data=st.data())
def test_drawn_polynomials_of_products_keep_their_claims(data):
    # Without the parities inputs are numbers, and are drawn.
    inner = product(data.draw(st.sampled_from(["gate", "tree", "flat"])), 2, "sigmoid", "float64")
    other = product("tree", 3, data.draw(st.sampled_from(["square", "gelu"])), "float64")
    last = dc.polynomial({(1, 1): 1.0, (2, 0): data.draw(st.floats(-1, 1, width=16))}, dtype="float64")
    tree = dc.series(dc.parallel(inner, other), last, merge=data.draw(st.booleans()))
    assert_keeps_its_claim(tree, data.draw(inputs(tree)))


# Chosen -------------------------------------------------------------------------------------------


@pytest.mark.default_cases(1)
@DTYPES
@pytest.mark.parametrize("merge", slow_among([True, False], [False]))
@pytest.mark.parametrize("unit", UNITS)
def test_all_inputs_of_a_product_of_three_parities(unit, merge, dtype):
    tree = composed((2, 3, 1), "tree", "tanh", {(3,): 1.0, (1,): -2.0}, merge=merge, dtype=dtype, unit=unit)
    x = bits(6)
    assert_keeps_its_claim(tree, x)
    parities = [x[:, part].sum(axis=1) % 2 for part in (slice(0, 2), slice(2, 5), slice(5, 6))]
    and_of_all = np.prod(parities, axis=0)
    wanted = fractions((and_of_all**3 - 2 * and_of_all)[:, None])
    assert error_within(tree, x, wanted) <= 0  # the target isn't asked here


@pytest.mark.parametrize("merge", [True, False])
@pytest.mark.parametrize("kind", ["tree", "flat"])
def test_relus_and_powers_stay_exact_over_the_rationals(kind, merge):
    tree = composed((2, 3), kind, "square", {(2,): 0.375, (1,): 3.0, (0,): -1.0}, merge=merge, dtype="float64")
    x = bits(5)
    p = ((x[:, 0] + x[:, 1]) % 2) * (x[:, 2:].sum(axis=1) % 2)
    assert (evaluate(tree, x) == fractions((0.375 * p**2 + 3 * p - 1)[:, None])).all()


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("kind", ["gate", "tree", "flat", "eight neurons"])
def test_merging_keeps_depth_and_neurons_down(kind):
    options = {"polynomial": {(2,): 1.0}, "activation": "sigmoid", "dtype": "float64"}
    merged, apart = (composed((2, 2), kind, merge=merge, **options) for merge in (True, False))
    assert dc.cost(apart).linear_neurons == 3
    assert dc.cost(merged).linear_neurons == 0
    assert dc.cost(merged).neurons == dc.cost(apart).neurons - 3
    assert np.allclose(merged(bits(4)), apart(bits(4)), rtol=0, atol=1e-8)


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("merge", [True, False])
def test_raw_sigmoid_parities_pass_their_error_on(merge):
    parts = [dc.parity(n, activation="sigmoid", readout="raw", dtype="float64") for n in (2, 3)]
    gate = dc.multiplication_gate(activation="gelu", dtype="float64")
    tree = dc.series(dc.parallel(*parts), gate, dc.polynomial({(3,): 1.0}, dtype="float64"), merge=merge)
    assert tree.claim.error.absolute >= max(part.claim.error.absolute for part in parts)
    assert_keeps_its_claim(tree, bits(5))


@pytest.mark.parametrize("merge", [True, False])
def test_boolean_functions_feed_quadratic_forms(merge):
    table = np.random.default_rng(0).uniform(-1, 1, (8, 2)) * 0.99
    inner = dc.boolean_function(table, activation="sigmoid", tolerance=1e-9, dtype="float64")
    form = dc.quadratic_form([[1.0, 0.5], [0.5, -2.0]], activation="tanh", dtype="float64")
    tree = dc.series(inner, form, merge=merge)
    rows = table[:, 0] ** 2 + table[:, 0] * table[:, 1] - 2 * table[:, 1] ** 2
    x = np.array([[float(i >> k & 1) for k in range(3)] for i in range(8)])
    assert np.abs(np.asarray(tree(x))[:, 0] - rows).max() <= tree.claim.error.absolute + 1e-15
    assert_keeps_its_claim(tree, x)


@pytest.mark.default_cases(1)
@DTYPES
def test_products_of_bits_feed_polynomials(dtype):
    ands = dc.parallel(dc.bit_product(3, dtype=dtype), dc.bit_product(2, activation="step", dtype=dtype))
    tree = dc.series(ands, dc.polynomial({(1, 1): 1.0, (2, 0): 0.3, (0, 0): 0.1}, activation="exp", dtype=dtype))
    assert_keeps_its_claim(tree, bits(5))


def test_polynomials_feed_classifiers():
    inner = dc.fan_out(dc.polynomial({(2, 1): 1.0}, dtype="float64"), dc.polynomial({(0, 1): -0.5}, dtype="float64"))
    last = dc.gaussian_classifier([[0.0, 0.0], [1.0, -1.0]], np.eye(2), dtype="float64")
    tree = dc.series(inner, last)
    assert_keeps_its_claim(tree, np.random.default_rng(0).uniform(-1, 1, (100, 2)))


def test_a_wrong_claim_is_noticed():
    tree = composed((2, 2), "tree", "exp", {(4,): 1.0}, merge=True, dtype="float32")
    measured = np.abs(np.asarray(tree(bits(4)), float) - tree.claim.target(bits(4))).max()
    assert measured > 0
    low = dc.Claim(tree.claim.target, tree.claim.domain, tree.claim.codomain, dc.Bound(measured / 2), dtype="float32")
    assert excess(dc.claim(tree.network, low), bits(4)) > 0
