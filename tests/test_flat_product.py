"""Flat products: measured errors against the known ones, exact powers, the smaller variants, claims and costs."""

# Builders take activations by name.
# pyright: reportArgumentType=false

import functools
import itertools
import math
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import deepconstruct as dc
from deepconstruct.activations import Custom, Power, Sigmoid
from deepconstruct.linear import Dense, SignPatterns, as_matrix
from marks import slow_among

DTYPES = ["float32", "float64"]

# The least errors that a search over biases and scales measured on [-1, 1]^n, corners included.
SIZES = [2, 3, 4, 5, 6, 8]
LEAST = {
    ("sigmoid", "float32"): [1.0e-5, 2.8e-5, 2.0e-4, 1.6e-3, 8.6e-3, 6.5e-2],
    ("sigmoid", "float64"): [1.8e-11, 1.7e-8, 2.9e-7, 1.1e-6, 6.4e-6, 2.4e-4],
    ("exp", "float32"): [2.1e-4, 1.0e-3, 3.4e-3, 5.7e-3, 2.2e-2, 8.8e-2],
    ("exp", "float64"): [1e-8, 2.4e-7, 4.3e-6, 2.1e-5, 8.6e-5, 8.9e-4],
}


@functools.cache
def unit_points(n: int) -> np.ndarray:
    """Random points, corners (all up to n = 8), and points close to corners, where errors are largest."""
    rng = np.random.default_rng(n)
    corners = np.array(list(itertools.product((-1.0, 1.0), repeat=n))) if n <= 8 else rng.choice([-1.0, 1.0], (64, n))
    count = 20_000 if n <= 4 else 4000 if n <= 8 else 200
    inside = rng.uniform(-1, 1, (count, n))
    near = rng.choice([-1, 1], (count // 4, n)) * rng.uniform(0.9, 1, (count // 4, n))
    return np.concatenate([corners, np.ones((1, n)), inside, near])


@functools.cache
def build(n: int, dtype: str = "float64", **options) -> dc.Construction:
    return dc.flat_product(n, dtype=dtype, **options)


def measured(product: dc.Construction, share: float = 0.0) -> float:
    """The largest error found, over `bound^n`; inputs are off by a share of the radius, mostly outwards."""
    claim = product.claim
    bound = float(claim.domain.high)  # pyright: ignore[reportAttributeAccessIssue]
    x = (unit_points(product.in_size) * bound).astype(claim.dtype)
    flips = np.random.default_rng(1).choice([1, 1, 1, -1], x.shape)
    moved = x + (np.sign(x) * flips * share * claim.robustness.radius * (1 - 1e-5)).astype(claim.dtype)
    exact = x.astype(np.longdouble).prod(axis=1)
    return float(np.abs(np.asarray(product(moved))[:, 0] - exact).max())


# Errors -------------------------------------------------------------------------------------------


@pytest.mark.default_cases(2)
@pytest.mark.parametrize("activation,dtype", list(LEAST))
@pytest.mark.parametrize("n", slow_among(SIZES, SIZES[2:3]))
def test_the_error_is_near_the_least_known_and_within_the_claim(n, activation, dtype):
    product = build(n, dtype, activation=activation)
    found = measured(product)
    assert found <= product.claim.error.absolute
    assert found <= 3 * LEAST[activation, dtype][SIZES.index(n)]


@pytest.mark.default_cases(3)
@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "softplus", "gelu", "gelu_tanh", "silu", "exp", "sin"])
@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_activation_keeps_its_claim(activation, n, dtype):
    product = build(n, dtype, activation=activation)
    assert measured(product) <= product.claim.error.absolute
    assert not product.claim.is_estimate


@pytest.mark.parametrize("bound", [0.1, 3.0, 10.0])
@pytest.mark.parametrize("n", [1, 3, 5])
def test_errors_are_relative_to_the_power_of_the_bound(n, bound):
    product = build(n, bound=bound)
    assert measured(product) <= product.claim.error.absolute
    assert product.claim.error.absolute == pytest.approx(build(n).claim.error.absolute * bound**n, rel=1e-6)


@pytest.mark.default_cases(9)
@pytest.mark.parametrize("n,options", [
    *((n, {}) for n in (1, 2, 3, 5)),
    (3, {"bound": 10.0}),
    (3, {"bound": 0.1, "dtype": "float32"}),
    (4, {"activation": "power"}),
    (7, {"activation": "power", "dtype": "float32", "bound": 3.0}),
    (3, {"output_bias": True}),
    (4, {"activation": "silu", "symmetric": True}),
])  # fmt: skip
@pytest.mark.parametrize("share", [0.01, 1.0])
def test_claims_hold_for_inputs_that_are_off(n, options, share):
    product = dc.flat_product(n, **options)
    claim = product.claim
    assert claim.robustness.radius > 0
    assert measured(product, share) <= claim.error.absolute + claim.allowance(share * claim.robustness.radius)


# Exact powers -------------------------------------------------------------------------------------


@pytest.mark.default_cases(2)
@pytest.mark.parametrize("dtype,error", [("float32", 3e-6), ("float64", 1e-14)])
@pytest.mark.parametrize("n", slow_among([1, 2, 3, 4, 5, 8, 12, 16], (4, 5, 8)))
def test_powers_multiply_up_to_rounding(n, dtype, error):
    rng = np.random.default_rng(n)
    x = np.concatenate([rng.uniform(-1, 1, (2000, n)), rng.choice([-1.0, 1.0], (200, n))]).astype(dtype)
    off = np.abs(np.asarray(build(n, dtype, activation="power")(x))[:, 0] - x.astype(np.longdouble).prod(axis=1))
    assert off.max() <= error


@pytest.mark.default_cases(3)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 16])
def test_powers_keep_their_claim_near_the_corners_too(n, dtype):
    product = build(n, dtype, activation="power")
    assert measured(product) <= product.claim.error.absolute


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_powers_multiply_exactly_over_the_rationals(n):
    hidden, readout = dc.flat_product(n, activation="power", dtype="float64").network.layers
    rows = [[Fraction(float(w)) for w in row] for row in as_matrix(hidden.linear)]  # pyright: ignore
    weights = [Fraction(float(w)) for w in np.asarray(as_matrix(readout.linear))[0]]  # pyright: ignore
    assert hidden.bias is None  # pyright: ignore[reportAttributeAccessIssue]
    x = [Fraction(k + 2, 3 * k + 1) * (-1) ** k for k in range(n)]
    units = [sum(w * v for w, v in zip(row, x, strict=True)) ** n for row in rows]
    total = sum(w * unit for w, unit in zip(weights, units, strict=True))
    # 1 / n! isn't a float: one rounding of the weight is all that is wrong.
    assert abs(total / math.prod(x) - 1) <= Fraction(1, 2**53)


@pytest.mark.parametrize("n", [20, 24, 30])
def test_powers_of_many_numbers_stay_in_the_range_of_single_precision(n):
    product = dc.flat_product(n, activation="power", dtype="float32")
    weights = jax.tree.leaves(product.network)
    assert all(float(jnp.abs(leaf).min()) > 1e-37 and float(jnp.abs(leaf).max()) < 1e37 for leaf in weights)


# Variants and costs -------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 12])
def test_neurons_are_two_to_the_n(n):
    cost = dc.cost(build(n))
    assert (cost.depth, cost.neurons) == (1, 2**n)
    assert cost.synapses == (n + 1) * 2**n


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8])
def test_powers_need_half_of_them(n):
    assert dc.cost(build(n, activation="power")).neurons == 2 ** (n - 1)
    assert dc.cost(build(n, activation="power", symmetric=False)).neurons == 2**n


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8])
def test_with_an_output_bias_one_less_is_enough(n):
    assert dc.cost(build(n, output_bias=True)).neurons == 2**n - 1


@pytest.mark.default_cases(4)
@pytest.mark.parametrize("n,activation", [
    (1, "silu"), (2, "sigmoid"), (2, "gelu"), (3, "tanh"), (3, "exp"), (4, "softplus"), (4, "sin"),
])  # fmt: skip
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_variant_with_an_output_bias_keeps_its_claim(n, activation, dtype):
    product = build(n, dtype, activation=activation, output_bias=True)
    assert measured(product) <= product.claim.error.absolute
    assert product.network.layers[-1].bias is not None  # pyright: ignore[reportAttributeAccessIssue]


SYMMETRIC = [
    ("silu", 2), ("gelu", 2), ("sin", 2), ("tanh", 1), ("tanh", 3), ("sigmoid", 3), ("sin", 3),
    ("silu", 4), ("softplus", 4), ("sigmoid", 4), ("sigmoid", 5),
]  # fmt: skip


@pytest.mark.default_cases(6)
@pytest.mark.parametrize("activation,n", SYMMETRIC)
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_symmetric_variant_keeps_its_claim_with_half_of_the_units(activation, n, dtype):
    product = build(n, dtype, activation=activation, symmetric=True)
    assert measured(product) <= product.claim.error.absolute
    assert dc.cost(product).neurons == 2 ** (n - 1)


@pytest.mark.parametrize("options,error", [
    ({"n": 2, "output_bias": True}, 1e-6),
    ({"n": 2, "activation": "sin", "symmetric": True}, 1e-7),
    ({"n": 3, "activation": "tanh", "symmetric": True}, 1e-6),
    ({"n": 2, "activation": "silu", "symmetric": True}, 1e-4),
])  # fmt: skip
def test_the_smaller_variants_are_of_use_in_double_precision(options, error):
    assert measured(build(**options)) <= error


# Other forms --------------------------------------------------------------------------------------


@pytest.mark.default_cases(3)
@pytest.mark.parametrize("options", [{}, {"activation": "power"}, {"output_bias": True}])
@pytest.mark.parametrize("n", [1, 2, 3, 6])
def test_the_dense_form_is_the_same_function(n, options):
    product = build(n, **options)
    dense = dc.densify(product)
    assert all(isinstance(layer.linear, Dense) for layer in dense.network.layers)  # pyright: ignore
    x = unit_points(n)[:200]
    assert np.abs(np.asarray(dense(x)) - np.asarray(product(x))).max() <= 2 * product.claim.error.absolute
    assert np.abs(np.asarray(dense(x))[:, 0] - x.prod(axis=1)).max() <= dense.claim.error.absolute


@pytest.mark.parametrize("n", [1, 2, 5])
def test_weights_are_those_of_the_sign_patterns(n):
    hidden, readout = build(n).network.layers
    assert isinstance(hidden.linear, SignPatterns)  # pyright: ignore[reportAttributeAccessIssue]
    rows = np.asarray(as_matrix(hidden.linear))  # pyright: ignore[reportAttributeAccessIssue]
    weights = np.asarray(as_matrix(readout.linear))[0]  # pyright: ignore[reportAttributeAccessIssue]
    assert len(np.unique(rows, axis=0)) == 2**n
    assert np.array_equal(np.sign(weights) * np.sign(weights[0]), np.sign(rows).prod(axis=1))
    assert len(np.unique(np.abs(weights))) == 1


def test_errors_inside_jit_stay_within_the_claim():
    product = build(4, "float32")
    x = unit_points(4).astype("float32")
    got = np.asarray(jax.jit(jax.vmap(product.network))(x))[:, 0]
    assert np.abs(got - x.astype(float).prod(axis=1)).max() <= product.claim.error.absolute


def test_bias_and_scale_may_be_chosen():
    product = dc.flat_product(3, bias=-1.0, scale=0.05, dtype="float64")
    hidden = product.network.layers[0]
    assert np.asarray(hidden.linear.scales) == pytest.approx([0.05] * 3)  # pyright: ignore
    assert np.asarray(hidden.bias.values) == pytest.approx(-1.0)  # pyright: ignore
    assert build(3).claim.error.absolute < product.claim.error.absolute < 0.1
    assert measured(product) <= product.claim.error.absolute


# Your own activation ------------------------------------------------------------------------------


OWN = {
    "arctan": jnp.arctan,  # by nested derivatives, of which there are few
    "mish": jax.nn.mish,
    "tanh": jnp.tanh,
    "bump": lambda z: 1 / (1 + z * z),
}


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("name,n", slow_among(
    [("arctan", 1), ("arctan", 3), ("arctan", 4), ("arctan", 5), ("mish", 4), ("tanh", 2), ("tanh", 5), ("bump", 3)],
    [("arctan", 4), ("arctan", 5), ("mish", 4)],
))  # fmt: skip
def test_estimates_for_your_own_function_are_good_ones(name, n):
    product = dc.flat_product(n, activation=OWN[name], dtype="float64")
    assert product.claim.is_estimate
    # An estimate may be a little too low, but not by orders of magnitude.
    assert measured(product) <= 10 * product.claim.error.absolute


def test_bounds_of_derivatives_make_the_claim_proved():
    product = dc.flat_product(3, activation=Custom(jnp.sin, "sine", ((9, 1.0),)), dtype="float64")
    assert not product.claim.is_estimate
    assert measured(product) <= product.claim.error.absolute <= 1e-6


@pytest.mark.parametrize("n", [2, 3, 5])
def test_a_power_of_the_next_degree_multiplies_exactly_at_a_bias(n):
    product = dc.flat_product(n, activation=Power(n + 1), dtype="float64")
    assert measured(product) <= product.claim.error.absolute <= 1e-11


@pytest.mark.parametrize("degree", [4, 5, 7])
def test_powers_of_higher_degree_take_a_small_scale(degree):
    product = dc.flat_product(2, activation=Power(degree), dtype="float64")
    assert measured(product) <= product.claim.error.absolute <= 1e-6


def test_the_temperature_of_a_sigmoid_does_not_matter():
    for n in (1, 3):
        product = dc.flat_product(n, activation=Sigmoid(10.0), dtype="float64")
        assert measured(product) <= product.claim.error.absolute <= 3 * build(n).claim.error.absolute
