"""Product trees: measured errors on large boxes and small ones, claims, and counts of neurons."""

# Builders take activations by name.
# pyright: reportArgumentType=false

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import deepconstruct as dc
from deepconstruct.activations import Custom, Power

NAMED = ["sigmoid", "tanh", "softplus", "gelu", "gelu_tanh", "silu", "exp", "sin", "square"]
DTYPES = ["float32", "float64"]


@functools.cache
def build(n: int, activation: str = "sigmoid", dtype: str = "float64", bound: float = 1.0) -> dc.Construction:
    return dc.product_tree(n, activation=activation, dtype=dtype, bound=bound)


@functools.cache
def unit_points(n: int) -> np.ndarray:
    rng = np.random.default_rng(n)
    corners = np.array(list(itertools.product((-1.0, 1.0), repeat=n))) if n <= 6 else rng.choice([-1.0, 1.0], (300, n))
    near = rng.choice([-1, 1], (500, n)) * rng.uniform(0.9, 1, (500, n))
    return np.concatenate([corners, np.ones((1, n)), np.zeros((1, n)), rng.uniform(-1, 1, (2000, n)), near])


def measured(tree: dc.Construction, share: float = 0.0) -> float:
    """The largest error found; inputs are off by a share of the radius, mostly outwards."""
    claim = tree.claim
    bound = float(claim.domain.high)  # pyright: ignore[reportAttributeAccessIssue]
    x = (unit_points(tree.in_size) * bound).astype(claim.dtype)
    flips = np.random.default_rng(1).choice([1, 1, 1, -1], x.shape)
    moved = x + (np.sign(x) * flips * share * claim.robustness.radius * (1 - 1e-5)).astype(claim.dtype)
    exact = x.astype(np.longdouble).prod(axis=1)
    return float(np.abs(np.asarray(tree(moved))[:, 0] - exact).max())


# Errors -------------------------------------------------------------------------------------------


def test_64_numbers_are_multiplied_to_eight_digits():
    assert measured(build(64)) <= min(3e-9, build(64).claim.error.absolute)


@pytest.mark.parametrize("bound", [3.0, 10.0, 0.1])
def test_errors_stay_relative_on_large_and_small_boxes(bound):
    tree = build(8, bound=bound)
    assert measured(tree) <= min(1e-10 * bound**8, tree.claim.error.absolute)


@pytest.mark.default_cases(2)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [2, 3, 5])
@pytest.mark.parametrize("activation", NAMED)
def test_every_activation_keeps_its_claim(activation, n, dtype):
    tree = build(n, activation, dtype)
    assert measured(tree) <= tree.claim.error.absolute
    assert not tree.claim.is_estimate
    assert tree.claim.target == dc.targets.Product(n)


@pytest.mark.default_cases(2)
@pytest.mark.parametrize("n", [1, 2, 3, 4, 6, 7, 8, 11, 13, 16, 32])
def test_every_size_keeps_its_claim(n):
    tree = build(n, dtype="float32")
    assert measured(tree) <= tree.claim.error.absolute


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("n,error", [(4, 1e-4), (16, 5e-4), (32, 1e-3)])
@pytest.mark.parametrize("activation", ["sigmoid", "gelu"])
def test_trees_are_of_use_in_single_precision(activation, n, error):
    assert measured(build(n, activation, "float32")) <= error


@pytest.mark.default_cases(3)
@pytest.mark.parametrize("share", [0.01, 1.0])
@pytest.mark.parametrize(
    "n,activation,dtype,bound",
    [(1, "sigmoid", "float64", 1.0), (2, "tanh", "float32", 3.0), (5, "sigmoid", "float64", 1.0),
     (7, "square", "float32", 10.0), (8, "silu", "float64", 0.1)],
)  # fmt: skip
def test_claims_hold_for_inputs_that_are_off(n, activation, dtype, bound, share):
    tree = build(n, activation, dtype, bound)
    claim = tree.claim
    assert claim.robustness.radius > 0
    assert measured(tree, share) <= claim.error.absolute + claim.allowance(share * claim.robustness.radius)


@pytest.mark.default_cases(2)
@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 32])
@pytest.mark.parametrize("dtype", DTYPES)
def test_squares_multiply_up_to_rounding(n, dtype):
    tree = build(n, "square", dtype)
    assert measured(tree) <= min(tree.claim.error.absolute, 20 * n * np.finfo(dtype).eps)


def test_a_tree_for_one_number_is_the_identity():
    tree = build(1)
    assert tree([0.3]).tolist() == [0.3]
    assert dc.cost(tree).depth == 0


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("activation", ["sigmoid", "square"])
def test_errors_inside_jit_and_under_vmap_stay_within_the_claim(activation):
    tree = build(5, activation, "float32")
    x = unit_points(5).astype("float32")
    exact = x.astype(float).prod(axis=1)
    for run in (jax.jit(tree.network), jax.jit(jax.vmap(tree.network)), jax.jit(lambda v: tree(v.T, axis=0).T)):
        assert np.abs(np.asarray(run(x))[:, 0] - exact).max() <= tree.claim.error.absolute


# Costs --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [1, 2, 3, 4, 5])
def test_powers_of_two_need_four_neurons_a_gate(k):
    n = 2**k
    cost = dc.cost(build(n))
    assert (cost.neurons, cost.width, cost.depth) == (4 * (n - 1), 2 * n, k)
    assert cost.synapses == 20 * n - 28 if n > 1 else True
    assert cost.linear_neurons == 0


def test_32_numbers_need_124_neurons():
    assert dc.cost(build(32)).neurons == 124


def copies(n: int) -> int:
    """How many wires are left over and copied past a level."""
    count = 0
    while n > 1:
        count, n = count + n % 2, (n + 1) // 2
    return count


@pytest.mark.parametrize("n", [3, 5, 6, 7, 11, 13, 31, 33])
def test_other_sizes_add_two_neurons_a_copy(n):
    cost = dc.cost(build(n))
    assert cost.neurons == 4 * (n - 1) + 2 * copies(n)
    assert cost.depth == int(np.ceil(np.log2(n)))


@pytest.mark.parametrize("n", [2, 3, 7, 8, 32])
def test_squares_need_half_of_the_neurons_in_gates(n):
    assert dc.cost(build(n, "square")).neurons == 2 * (n - 1) + 2 * copies(n)


# Other forms --------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ["sigmoid", "square"])
@pytest.mark.parametrize("n", [2, 3, 6])
def test_the_dense_form_is_the_same_function(n, activation):
    tree = build(n, activation)
    dense = dc.densify(tree)
    x = unit_points(n)[:300]
    assert all(isinstance(layer.linear, dc.linear.Dense) for layer in dense.network.layers)  # pyright: ignore
    assert np.abs(np.asarray(dense(x))[:, 0] - x.prod(axis=1)).max() <= dense.claim.error.absolute


def test_a_tolerance_within_reach_is_kept():
    loose = build(8).claim.error.absolute
    tree = dc.product_tree(8, tolerance=0.8 * loose, dtype="float64")
    assert measured(tree) <= tree.claim.error.absolute <= 0.8 * loose


# Your own activation ------------------------------------------------------------------------------


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("n", [2, 3, 5])
@pytest.mark.parametrize("function", [jnp.arctan, lambda z: jnp.exp(-z * z)], ids=["arctan", "gaussian"])
def test_any_jax_function_makes_a_tree_whose_claim_is_an_estimate(function, n):
    tree = dc.product_tree(n, activation=function, dtype="float64")
    assert tree.claim.is_estimate
    assert measured(tree) <= 10 * tree.claim.error.absolute
    assert tree.claim.error.absolute <= 1e-6


def test_bounds_of_derivatives_make_the_claim_proved():
    tree = dc.product_tree(3, activation=Custom(jnp.sin, "sine", ((7, 1.0),)), dtype="float64")
    assert not tree.claim.is_estimate
    assert measured(tree) <= tree.claim.error.absolute <= 1e-5


@pytest.mark.parametrize("degree", [2, 3, 4])
def test_powers_make_trees_and_copy_wires_closely(degree):
    tree = dc.product_tree(3, activation=Power(degree), dtype="float64")
    assert measured(tree) <= tree.claim.error.absolute <= 1e-6
