"""Functions of bits: exact over the rationals, within their claims in floats; targets, files, refusals."""

# Wrong arguments are part of the point here.
# pyright: reportArgumentType=false

import functools
import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

import deepconstruct as dc
from deepconstruct import targets
from deepconstruct.activations import Sigmoid, Step
from deepconstruct.constructions.boolean.table import moebius
from deepconstruct.network import flat_layers
from rationals import error_within, evaluate, fractions

BASES, UNITS = ("moebius", "minterm"), ("relu", "step", "sigmoid")


@functools.cache
def bits(n):
    """All inputs; row `i` has the binary digits of `i`, lowest first."""
    return np.array([[float(i >> k & 1) for k in range(n)] for i in range(2**n)])


def random_table(seed, *, outputs=1):
    """Of 1 to 8 bits: small integers, bits, or multiples of 2^-20 that cancel badly."""
    rng, n = np.random.default_rng(seed), seed % 8 + 1
    shape = (2**n, outputs)
    if seed % 3 == 0:
        return rng.integers(-7, 8, shape).astype(float)
    return rng.integers(0, 2, shape).astype(float) if seed % 3 == 1 else rng.integers(-(2**21), 2**21, shape) / 2.0**20


def real_table(n, seed=0, outputs=1):
    """Numbers of any size."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(2**n, outputs)) * 10.0 ** rng.uniform(-3, 3)


def assert_keeps_its_claim(construction, x, wanted, rng):
    """At all of `x`, and at inputs moved by the whole radius, by a thousandth of it, and to where it hurts."""
    assert error_within(construction, x, wanted) <= 0
    radius = construction.claim.robustness.radius * (1 - 2.0**-10)
    assert radius > 0
    for steps in (rng.choice([-1.0, 1.0], x.shape), rng.uniform(-1, 1, x.shape) / 1000, 1 - 2 * x):
        moved = (x + steps * radius).astype(construction.claim.dtype).astype(float)
        assert error_within(construction, x, wanted, moved) <= 0


# Tables -------------------------------------------------------------------------------------------


@pytest.mark.default_cases(4)
@pytest.mark.parametrize("basis", BASES)
@pytest.mark.parametrize("start", range(0, 200, 25))
def test_relus_compute_two_hundred_tables_exactly(basis, start):
    for seed in range(start, start + 25):
        values = random_table(seed)
        built = dc.boolean_function(values, basis=basis, dtype="float64")
        assert (evaluate(built, bits(seed % 8 + 1)) == fractions(values)).all(), seed


@pytest.mark.parametrize("basis", BASES)
def test_steps_compute_tables_exactly(basis):
    for seed in range(24):
        table = random_table(seed, outputs=2)
        built = dc.boolean_function(table, basis=basis, activation="step", dtype="float64")
        assert (evaluate(built, bits(seed % 8 + 1)) == fractions(table)).all(), seed


@pytest.mark.default_cases(6)
@pytest.mark.parametrize("activation", UNITS)
@pytest.mark.parametrize("basis", BASES)
@pytest.mark.parametrize("n,dtype", [(1, "float32"), (3, "float64"), (5, "float32"), (8, "float64")])
def test_tables_keep_their_claims(n, basis, activation, dtype):
    table = real_table(n, outputs=n % 3 + 1)
    built = dc.boolean_function(table, basis=basis, activation=activation, dtype=dtype)
    assert_keeps_its_claim(built, bits(n), fractions(table), np.random.default_rng(n))


@pytest.mark.parametrize("basis", BASES)
@pytest.mark.parametrize("activation", ["relu", "step"])
def test_small_integers_are_exact_bit_for_bit(basis, activation):
    table = random_table(6, outputs=2)
    built = dc.boolean_function(table, basis=basis, activation=activation, dtype="float32")
    assert built.claim.error.is_exact
    assert np.array_equal(built(bits(7)), table)


@pytest.mark.parametrize("basis", BASES)
@pytest.mark.parametrize("activation", UNITS)
@pytest.mark.parametrize("value", [0.0, 1.0, -0.3])
def test_constant_tables(basis, activation, value):
    table = np.full((4, 1), value)
    built = dc.boolean_function(table[:, 0], basis=basis, activation=activation, dtype="float64")
    assert_keeps_its_claim(built, bits(2), fractions(table), np.random.default_rng(0))
    if basis == "moebius":
        assert dc.cost(built).neurons == 0


def test_costs_are_at_most_those_of_the_docstring():
    for n in (1, 2, 3, 5):
        dense = np.random.default_rng(n).normal(size=2**n)
        moebius_cost, minterm_cost = (dc.cost(dc.boolean_function(dense, basis=basis)) for basis in BASES)
        assert (moebius_cost.neurons, minterm_cost.neurons) == (2**n - 1, 2**n)
        assert moebius_cost.synapses == n * 2 ** (n - 1) + 2**n - 1
        assert minterm_cost.synapses == (n + 1) * 2**n
        assert moebius_cost.depth == minterm_cost.depth == 1


@pytest.mark.parametrize("n", [1, 2, 3, 6])
def test_moebius_coefficients_are_the_double_sum(n):
    table = np.random.default_rng(n).integers(-9, 10, (2**n, 1)).astype(float)
    expected = [
        sum((-1) ** (s.bit_count() - t.bit_count()) * table[t, 0] for t in range(2**n) if t & s == t)
        for s in range(2**n)
    ]
    assert moebius(table)[:, 0].tolist() == expected


@pytest.mark.default_cases(2)
@pytest.mark.parametrize("n", [1, 2, 5, 10])
def test_moebius_coefficients_of_parity(n):
    sizes = np.array([i.bit_count() for i in range(2**n)])
    expected = np.where(sizes == 0, 0, (-2.0) ** (sizes - 1))
    assert np.array_equal(moebius((sizes % 2)[:, None]), expected[:, None])
    assert np.abs(expected).sum() == (3**n - 1) / 2
    built = dc.boolean_function(sizes % 2)
    assert np.array_equal(built(bits(n)), dc.parity(n)(bits(n)))


# Sigmoids -----------------------------------------------------------------------------------------


def inverse_temperature(construction):
    activation = flat_layers(construction.network)[0].activation
    assert isinstance(activation, Sigmoid)
    return activation.inverse_temperature


@pytest.mark.default_cases(6)
@pytest.mark.parametrize("basis", BASES)
@pytest.mark.parametrize("n", [1, 4, 7])
@pytest.mark.parametrize("tolerance", [1e-2, 1e-6, 1e-10])
def test_sigmoids_keep_the_tolerance_that_is_asked_for(n, basis, tolerance):
    table = random_table(24 + n - 1)  # of n bits
    built = dc.boolean_function(table, basis=basis, activation="sigmoid", tolerance=tolerance, dtype="float64")
    assert built.claim.error.absolute <= tolerance
    assert np.abs(np.asarray(built(bits(n))) - table).max() <= tolerance
    weights = moebius(table)[1:] if basis == "moebius" else table
    needed = 2 * math.log(np.abs(weights).sum() / (tolerance / 2))
    assert inverse_temperature(built) <= max(needed + 1, 1)


def test_the_default_tolerance_follows_the_largest_value():
    for size in (1e-3, 1.0, 1e5):
        built = dc.boolean_function([0, size, -size, 0.5 * size], activation="sigmoid", dtype="float64")
        assert 1e-8 * size < built.claim.error.absolute <= 1.1e-6 * size


# AND ----------------------------------------------------------------------------------------------


def few_zeros(k):
    """All inputs of a few bits; of many, those with no, one or two zeros, and no bit at all."""
    if k <= 7:
        return bits(k)
    return np.concatenate([np.ones((1, k)), 1 - np.eye(k), 1 - np.eye(k) - np.roll(np.eye(k), 1, 0), np.zeros((1, k))])


@pytest.mark.default_cases(2)
@pytest.mark.parametrize("k", [1, 2, 3, 7, 40])
@pytest.mark.parametrize("activation", ["sigmoid", "relu", Step(), Sigmoid(3.0), Sigmoid(99.0)])
def test_products_of_bits_keep_their_claims(k, activation):
    dtype = "float64" if k == 3 else "float32"
    built, x = dc.bit_product(k, activation=activation, dtype=dtype), few_zeros(k)
    assert [layer.out_size for layer in built.network.layers] == [1]
    assert_keeps_its_claim(built, x, fractions(x.prod(axis=1, keepdims=True)), np.random.default_rng(k))
    assert built.claim.error.is_exact == (activation in ("relu", Step()))


@pytest.mark.default_cases(6)
@pytest.mark.parametrize("k", [1, 2, 3, 7, 40])
@pytest.mark.parametrize("beta", [1.0, 8.0, 20.0])
def test_a_sigmoid_errs_by_exactly_half_its_inverse_temperature(k, beta):
    built, x = dc.bit_product(k, activation=Sigmoid(beta), dtype="float64"), few_zeros(k)
    error = np.abs(np.asarray(built(x)) - x.prod(axis=1, keepdims=True)).max()
    assert error == pytest.approx(1 / (1 + math.exp(beta / 2)), rel=1e-6)
    assert built.claim.error.absolute == pytest.approx(error, rel=1e-6)


@pytest.mark.parametrize("digits", [4, 6, 10])
def test_the_temperature_of_the_paper_gives_half_of_the_digits(digits):
    def error(beta):
        return 1 - float(dc.bit_product(3, activation=Sigmoid(beta), dtype="float64")([1.0, 1.0, 1.0])[0])

    assert error(digits * math.log(10)) > 0.9 * 10 ** (-digits / 2)
    assert error(2 * digits * math.log(10)) <= 10.0**-digits * (1 + 1e-5)


@pytest.mark.parametrize("tolerance", [0.4, 0.1, 1e-3, 1e-6, 1e-10, 1e-15])
def test_products_of_bits_get_the_least_temperature_that_keeps_the_tolerance(tolerance):
    built = dc.bit_product(5, tolerance=tolerance, dtype="float64")
    assert built.claim.error.absolute <= tolerance
    if tolerance > 1e-14:
        assert 1 / (1 + math.exp((inverse_temperature(built) - 1) / 2)) > tolerance or inverse_temperature(built) == 1


# Tolerances ---------------------------------------------------------------------------------------


def offered(message):
    """The arguments that a refusal offers."""
    found = []
    for way in re.findall(r"(?:use |, or )(.*?) \(error", message):
        options = dict(re.findall(r"(\w+)='(\w+)'", way))
        steeper = re.search(r"[Ss]igmoid\((\d+)\)", way)
        options |= {"activation": Sigmoid(float(steeper.group(1)))} if steeper else {}
        found.append(options | ({"dtype": "float64"} if "in float64" in way else {}))
    return found


def assert_offers_hold(build, asked, least):
    with pytest.raises(ValueError, match=r"is below the floor of .* for .* in ") as refusal:
        build(**asked)
    ways = offered(str(refusal.value))
    assert len(ways) >= least
    for way in ways:
        assert way, str(refusal.value)
        assert build(**{**asked, **way}).claim.error.absolute <= asked["tolerance"]


@pytest.mark.parametrize("n", [2, 5])
@pytest.mark.parametrize(
    "options,tolerance,least",
    [
        ({"dtype": "float32"}, 1e-9, 1),
        ({"dtype": "float32", "activation": "sigmoid"}, 1e-9, 1),
        ({"dtype": "float32", "activation": Sigmoid(10.0)}, 1e-3, 2),
        ({"dtype": "float64", "activation": Sigmoid(10.0), "basis": "minterm"}, 1e-9, 2),
        ({"dtype": "float64", "activation": Sigmoid(10.0)}, 1e-18, 0),
    ],
)
def test_what_a_refused_tolerance_offers_reaches_it(n, options, tolerance, least):
    table = np.random.default_rng(n).uniform(-1, 1, 2**n)
    assert_offers_hold(lambda **kw: dc.boolean_function(table, **kw), {**options, "tolerance": tolerance}, least)


@pytest.mark.parametrize(
    "options,tolerance,least",
    [
        ({"dtype": "float32"}, 1e-7, 2),
        ({"dtype": "float64"}, 1e-16, 1),
        ({"dtype": "float32", "activation": Sigmoid(5.0)}, 1e-3, 3),
        ({"dtype": "float64", "activation": Sigmoid(40.0)}, 1e-12, 2),
    ],
)
def test_what_a_product_of_bits_offers_reaches_it(options, tolerance, least):
    assert_offers_hold(lambda **kw: dc.bit_product(3, **kw), {**options, "tolerance": tolerance}, least)


# Classifiers --------------------------------------------------------------------------------------


@pytest.mark.default_cases(5)
@pytest.mark.parametrize("n,classes", [(1, 2), (3, 3), (5, 5)])
@pytest.mark.parametrize("basis", BASES)
@pytest.mark.parametrize(
    "activation,dtype", [("relu", "float32"), ("relu", "float64"), ("step", "float64"), ("sigmoid", "float64")]
)
def test_boolean_classifiers_keep_their_claims(n, classes, basis, activation, dtype):
    logits = np.log(np.random.default_rng(n).dirichlet(np.ones(classes), 2**n)) + 3.0
    built = dc.boolean_classifier(logits, basis=basis, activation=activation, dtype=dtype)
    wanted = fractions(scipy.special.softmax(logits.astype(np.longdouble), axis=1).astype(float))
    assert_keeps_its_claim(built, bits(n), wanted, np.random.default_rng(0))


# Targets and files --------------------------------------------------------------------------------

SQUARE_SUM = targets.Polynomial(2, ((((2, 0), 1.0), ((1, 1), -0.1)), (((0, 3), 2.0),)))
TARGETS = {
    "polynomial": (SQUARE_SUM, 2),
    "boolean function": (targets.BooleanFunction(random_table(10, outputs=2)), 3),
    "boolean classifier": (targets.BooleanClassifier(real_table(3, 1, 3)), 3),
    "hamiltonian": (targets.HamiltonianClassifier(SQUARE_SUM, (0.25, 0.75)), 2),
    "gaussian": (targets.GaussianClassifier([[0.0, 1.0], [2.0, 0.0]], [np.eye(2), 2 * np.eye(2)], (0.5, 0.5)), 2),
}


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("target,n", TARGETS.values(), ids=TARGETS.keys())
def test_targets_take_either_library_and_keep_its_precision(target, n):
    x = bits(n) if "boolean" in target.name else np.random.default_rng(0).normal(size=(7, n))
    wide = target(x.astype(np.longdouble))
    assert wide.dtype == np.longdouble
    for precision in ("float32", "float64"):
        narrow = target(jnp.asarray(x, precision))
        assert isinstance(narrow, jax.Array)
        assert narrow.dtype == precision
        assert np.allclose(narrow, wide, rtol=1e-4 if precision == "float32" else 1e-12)
    assert np.array_equal(target(x[:1]), target(x)[:1])
    assert np.array_equal(target(x.reshape(1, -1, n))[0], target(x))


SAVED = {
    "polynomial": lambda: dc.polynomial({(2, 1): 0.1, (0, 2): -1.0}, bound=(1.0, 3.0), activation="gelu"),
    "quadratic form": lambda: dc.quadratic_form([[1.0, 0.3], [0.3, -2.0]]),
    "bit product": lambda: dc.bit_product(3, dtype="float32"),
    "boolean function": lambda: dc.boolean_function(real_table(3, 0, 2), activation="sigmoid"),
    "boolean classifier": lambda: dc.boolean_classifier(real_table(2, 0, 3), basis="minterm"),
    "hamiltonian": lambda: dc.hamiltonian_classifier([{(1, 2): 1.0}, {(3, 0): 1.0}], activation="tanh"),
    "gaussian": lambda: dc.gaussian_classifier([[0.0], [1.0]], [[[1.0]], [[2.0]]], [1, 2], dtype="float32"),
}


@pytest.mark.default_cases(3)
@pytest.mark.parametrize("build", SAVED.values(), ids=SAVED.keys())
def test_constructions_come_back_from_files(build, tmp_path):
    built = build()
    dc.save(tmp_path / "saved.dc", built)
    loaded = dc.load(tmp_path / "saved.dc")
    assert isinstance(loaded, dc.Construction)
    assert loaded.claim == built.claim
    assert np.array_equal(loaded(bits(built.in_size)), built(bits(built.in_size)))


# Errors -------------------------------------------------------------------------------------------

NO_TABLE = r"BooleanFunction: table must have shape \(2\^n,\) or \(2\^n, outputs\) with n at least 1; got "
REFUSED = [
    *((dc.boolean_function, table, {}, NO_TABLE) for table in ([1], [1, 2, 3], np.zeros((2, 2, 2)), [])),
    (dc.boolean_function, [math.nan, 1], {}, "boolean_function: the table must be finite"),
    (dc.boolean_classifier, [[0, -math.inf]] * 2, {}, "boolean_classifier: the table must be finite"),
    (dc.boolean_function, [0] * 2**17, {}, "at most 16 bits, as every input may need a unit; got 131072 rows"),
    (dc.boolean_classifier, [0.0, 1.0], {}, "expected a column for each of at least two classes; got"),
    (dc.boolean_function, [0, 1], {"basis": "x"}, "boolean_function: basis must be one of 'moebius', 'minterm'; got"),
    (dc.boolean_classifier, np.eye(2), {"basis": "x"}, "boolean_classifier: basis must be one of .*; got 'x'"),
    (dc.boolean_function, [0, 1], {"activation": "tanh"}, "activation must be one of 'relu', 'step', 'sigmoid'.*; got"),
    (dc.boolean_function, [0, 1], {"tolerance": 0}, "boolean_function: tolerance must be finite and above 0"),
    (dc.bit_product, 0, {}, "bit_product: k must be at least 1; got 0"),
    (dc.bit_product, 2.5, {}, r"bit_product: k must be an integer; got 2\.5"),
    (dc.bit_product, 2, {"tolerance": 0.5}, r"bit_product: tolerance must be below 1/2; got 0\.5"),
    (dc.bit_product, 2, {"tolerance": 0}, "bit_product: tolerance must be finite and above 0"),
]


@pytest.mark.parametrize("builder,argument,options,message", REFUSED)
def test_wrong_arguments_are_refused_by_name(builder, argument, options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        builder(argument, **options)
