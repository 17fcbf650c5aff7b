"""The maps of product gates: sign patterns, their product, factored maps, and the kernel that holds few units."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import deepconstruct as dc
from deepconstruct import linear
from deepconstruct._bias import TiledBias
from deepconstruct.activations import AbstractActivation, Power, Sin, Square, Tanh
from deepconstruct.linear import Composed, Dense, SignPatterns, SignProduct, Sparse, as_matrix
from deepconstruct.linear.signs import sign_table
from deepconstruct.network import UNITS_HELD, layer_outputs

SIZES = pytest.mark.parametrize("n", [1, 2, 3, 5, 8])
FIXED = pytest.mark.parametrize("fixed", [False, True])
DTYPES = pytest.mark.parametrize("dtype", ["float32", "complex128"])


def numbers(shape: tuple[int, ...], dtype: str = "float64", seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=shape)
    return (values + 1j * rng.normal(size=shape) if dtype.startswith("complex") else values).astype(dtype)


def sign_rows(n: int, *, fixed: bool = False) -> np.ndarray:
    """All rows of signs, first input fastest, by counting: with `fixed`, a plus in front of each."""
    free = n - fixed
    rows = [(1,) * fixed + row[::-1] for row in itertools.product((1, -1), repeat=free)]
    return np.array(rows, int).reshape(len(rows), n)


def close(got, expected, dtype: str) -> bool:
    scale = 1 + np.abs(expected).max(initial=0)
    return np.abs(np.asarray(got) - expected).max(initial=0) <= 64 * np.finfo(dtype).eps * scale


def check_layouts(mapping: linear.AbstractLinear, matrix: np.ndarray, dtype: str) -> None:
    """Against a dense product with the batch before, after, on both sides of the features, and of any shape."""
    n = matrix.shape[1]
    apply, call = jax.jit(lambda m, x: m.apply(x)), jax.jit(lambda m, x: m(x))
    before = numbers((7, n, 1), dtype, 1)
    assert close(apply(mapping, before)[..., 0], before[..., 0] @ matrix.T, dtype)
    after = numbers((1, n, 7), dtype, 2)
    assert close(apply(mapping, after)[0], matrix @ after[0], dtype)
    middle = numbers((2, n, 3), dtype, 3)
    assert close(apply(mapping, middle), np.einsum("oi,bia->boa", matrix, middle), dtype)
    batch = numbers((2, 3, n), dtype, 4)
    assert close(call(mapping, batch), batch @ matrix.T, dtype)
    assert call(mapping, np.zeros((0, n), dtype)).shape == (0, len(matrix))


def check_entries(mapping: linear.AbstractLinear, matrix: np.ndarray) -> None:
    rows, cols, values = (np.asarray(part) for part in mapping.entries())
    dense = np.zeros(matrix.shape, values.dtype)
    np.add.at(dense, (rows, cols), values)
    assert np.allclose(dense, matrix, rtol=1e-6)
    assert len(set(zip(rows.tolist(), cols.tolist(), strict=True))) == len(rows)
    assert np.allclose(as_matrix(mapping), matrix, rtol=1e-6)


def patterns(n: int, fixed: bool, dtype: str = "float64") -> tuple[SignPatterns, np.ndarray]:
    scales = numbers((n,), dtype)
    return SignPatterns(jnp.asarray(scales), fixed=fixed), sign_rows(n, fixed=fixed) * scales


# Sign patterns and their product ------------------------------------------------------------------


@pytest.mark.default_cases(1)
@DTYPES
@FIXED
@SIZES
def test_sign_patterns_apply_as_their_dense_matrix(n, fixed, dtype):
    mapping, matrix = patterns(n, fixed, dtype)
    assert (mapping.in_size, mapping.out_size) == matrix.shape[::-1]
    check_layouts(mapping, matrix, dtype)


@FIXED
@SIZES
def test_the_entries_of_sign_patterns_are_those_of_their_matrix(n, fixed):
    check_entries(*patterns(n, fixed))


@FIXED
@SIZES
def test_every_choice_of_signs_occurs_once(n, fixed):
    table = sign_table(n, fixed=fixed)
    assert np.array_equal(table, sign_rows(n, fixed=fixed))
    assert len({tuple(row) for row in table.tolist()}) == 2 ** (n - fixed)


@pytest.mark.default_cases(3)
@DTYPES
@pytest.mark.parametrize("n", [0, 1, 2, 3, 5, 8])
def test_a_sign_product_applies_as_its_dense_row(n, dtype):
    weight = numbers((), dtype, 5)
    mapping = SignProduct(jnp.asarray(weight), n)
    matrix = weight * sign_rows(n).prod(axis=1)[None]
    assert (mapping.in_size, mapping.out_size) == (2**n, 1)
    check_layouts(mapping, matrix, dtype)
    check_entries(mapping, matrix)


@pytest.mark.parametrize("mapping", [SignPatterns(jnp.ones(30)), SignProduct(jnp.array(1.0), 30)])
def test_maps_of_a_billion_units_have_one_small_leaf(mapping):
    assert sum(leaf.size for leaf in jax.tree.leaves(mapping)) <= 30


@FIXED
def test_sign_maps_compile_and_have_the_gradient_of_their_matrix(fixed):
    mapping, matrix = patterns(5, fixed)
    x, weights = numbers((5,), seed=6), numbers((len(matrix),), seed=7)

    @jax.jit
    def gradients(mapping, x):
        return jax.grad(lambda mapping, x: jnp.vdot(weights, mapping(x)), argnums=(0, 1))(mapping, x)

    by_map, by_x = gradients(mapping, jnp.asarray(x))
    assert np.allclose(by_x, weights @ matrix, rtol=1e-12)
    assert np.allclose(by_map.scales, (weights @ sign_rows(5, fixed=fixed)) * x, rtol=1e-12)


def test_a_sign_product_has_the_gradient_of_its_row():
    h = numbers((8,))
    gradient = jax.jit(jax.grad(lambda mapping: mapping(jnp.asarray(h))[0]))(SignProduct(jnp.array(2.0), 3))
    assert gradient.weight == pytest.approx(h @ sign_rows(3).prod(axis=1), rel=1e-14)


# Factored maps ------------------------------------------------------------------------------------


def composed(shapes: tuple[int, int, int], dtype: str = "float64") -> tuple[Composed, np.ndarray]:
    outer, between, inner = shapes
    left, right = numbers((outer, between), dtype, 1), numbers((between, inner), dtype, 2)
    return Composed(Dense(jnp.asarray(left)), Dense(jnp.asarray(right))), left @ right


@pytest.mark.default_cases(3)
@DTYPES
@pytest.mark.parametrize("shapes", [(1, 1, 1), (2, 1, 3), (3, 5, 2), (8, 2, 8)])
def test_a_factored_map_applies_as_the_product_of_its_factors(shapes, dtype):
    mapping, matrix = composed(shapes, dtype)
    assert (mapping.out_size, mapping.in_size) == (shapes[0], shapes[2])
    check_layouts(mapping, matrix, dtype)


@pytest.mark.parametrize("shapes", [(1, 1, 1), (2, 1, 3), (3, 5, 2), (8, 2, 8)])
def test_the_entries_of_a_factored_map_are_those_of_the_product(shapes):
    check_entries(*composed(shapes))


def test_a_factored_map_of_sparse_factors_has_only_the_entries_that_meet():
    outer = Sparse([0, 1, 1], [0, 0, 2], jnp.array([2.0, 3.0, 5.0]), (3, 4))
    inner = Sparse([0, 1, 2, 2], [1, 0, 0, 1], jnp.array([7.0, 1.0, 11.0, 13.0]), (4, 2))
    mapping = Composed(outer, inner)
    expected = np.array([[0.0, 14.0], [55.0, 21.0 + 65.0], [0.0, 0.0]])
    check_entries(mapping, expected)
    assert len(mapping.entries()[0]) == 3


def test_a_factored_map_may_hold_sign_maps_and_other_factored_maps():
    signs, rows = patterns(3, False)
    product = SignProduct(jnp.array(0.5), 3)
    inner, matrix = composed((3, 1, 2))
    chain = Composed(product, Composed(signs, inner))
    check_layouts(chain, 0.5 * sign_rows(3).prod(axis=1)[None] @ rows @ matrix, "float64")
    check_entries(Composed(signs, inner), rows @ matrix)


@pytest.mark.promotes
def test_factors_stay_apart_in_the_gradient():
    mapping, _ = composed((2, 1, 3))
    x = numbers((3,), seed=9)
    gradient = jax.jit(jax.grad(lambda mapping: mapping(jnp.asarray(x)).sum()))(mapping)
    outer, inner = as_matrix(mapping.outer), as_matrix(mapping.inner)
    assert np.allclose(gradient.outer.weight, np.ones((2, 1)) * (inner @ x), rtol=1e-12)
    assert np.allclose(gradient.inner.weight, np.asarray(outer).sum(axis=0)[:, None] * x, rtol=1e-12)


@pytest.mark.parametrize(
    "message,build",
    [
        (r"SignPatterns: scales must have shape \(n,\) with n at least 1; got \(0,\)",
         lambda: SignPatterns(jnp.ones(0))),
        (r"SignPatterns: scales must have shape \(n,\) with n at least 1; got \(\)",
         lambda: SignPatterns(jnp.ones(()))),
        (r"SignProduct: weight must be a scalar; got shape \(2,\)", lambda: SignProduct(jnp.ones(2), 1)),
        ("SignProduct: n must be at least 0; got -1", lambda: SignProduct(jnp.array(1.0), -1)),
        (r"SignPatterns: expected 2 features; got shape \(3,\)", lambda: SignPatterns(jnp.ones(2))(jnp.ones(3))),
        ("Composed: outer takes 2 features but inner gives 1",
         lambda: Composed(linear.Identity(2), Dense(jnp.ones((1, 3))))),
    ],
)  # fmt: skip
def test_bad_maps_are_refused(message, build):
    with pytest.raises(ValueError, match=message):
        build()


# The kernel for many signs ------------------------------------------------------------------------

BIAS = 0.3


def gate(n: int, activation: AbstractActivation, dtype: str, *, fixed: bool = False, bias: bool = True) -> dc.Network:
    """A gate whose weights are those of a mean over all patterns, with scales that differ."""
    scales = jnp.asarray(np.linspace(0.7, 1.3, n), dtype)
    tiled = TiledBias(jnp.asarray([BIAS], dtype), outer=2 ** (n - fixed)) if bias else None
    product = SignProduct(jnp.asarray(2.0 ** (fixed - n), dtype), n - fixed)
    return dc.Network((dc.Layer(SignPatterns(scales, fixed=fixed), tiled, activation), dc.Layer(product)))


def inputs(n: int, count: int, dtype: str) -> np.ndarray:
    return np.random.default_rng(n).uniform(0.8, 1.4, (count, n)).astype(dtype)


def sine_products(n: int, x: np.ndarray) -> np.ndarray:
    """The mean over signs of `prod(s) sin(b + s.z)` is `Im(exp(i b) i^n prod(sin z))`."""
    z = np.linspace(0.7, 1.3, n) * x.astype(np.float64)
    return np.imag(np.exp(1j * BIAS) * 1j**n * np.sin(z).prod(axis=-1))[..., None]


def by_layers(network: dc.Network, x: np.ndarray) -> np.ndarray:
    return np.asarray(jax.jit(lambda x: layer_outputs(network, x)[-1])(x))


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [2, 7, UNITS_HELD, UNITS_HELD + 1, UNITS_HELD + 2, 21])
def test_a_gate_of_sines_is_a_product_of_sines(n, dtype):
    x = inputs(n, 3, dtype)
    got = jax.jit(gate(n, Sin(), dtype))(x)
    assert got.dtype == dtype
    assert np.allclose(got, sine_products(n, x), rtol=0, atol=20 * np.finfo(dtype).eps)
    assert np.abs(sine_products(n, x)).min() > 1e-3  # else this would show nothing


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize("activation", [Tanh(), Square()], ids=lambda act: act.name())
def test_the_kernel_that_holds_few_units_agrees_with_the_layers_one_by_one(activation, fixed, bias, dtype):
    n = UNITS_HELD + 1 + fixed
    network, x = gate(n, activation, dtype, fixed=fixed, bias=bias), inputs(n, 2, dtype)
    height = float(activation(jnp.asarray(2.0 * n)))
    assert np.allclose(jax.jit(network)(x), by_layers(network, x), rtol=0, atol=40 * np.finfo(dtype).eps * height)


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("n", [17, 18])
@pytest.mark.parametrize("activation", ["power", "tanh"])
def test_flat_products_run_alike_by_either_way(n, activation):
    product = dc.flat_product(n, activation=activation, dtype="float64", symmetric=False)
    x = np.random.default_rng(n).uniform(0.5, 1.0, (2, n))
    for way in (np.asarray(product(x)), by_layers(product.network, x)):
        assert np.abs(way[:, 0] - x.prod(axis=1)).max() <= product.claim.error.absolute


def test_exact_powers_agree_by_either_way_to_many_digits():
    product = dc.flat_product(18, activation=Power(18), dtype="float64")
    x = np.random.default_rng(0).uniform(0.9, 1.0, (1, 18))
    assert np.allclose(product(x), by_layers(product.network, x), rtol=1e-11)
    assert np.allclose(product(x)[:, 0], x.prod(axis=1), rtol=1e-11)


@pytest.fixture(scope="module")
def large():
    n = 18
    return gate(n, Sin(), "float64"), inputs(n, 6, "float64")


@pytest.mark.slow
def test_the_kernel_takes_any_batch_shape_and_the_first_axis(large):
    network, x = large
    expected = sine_products(18, x)
    run = jax.jit(network, static_argnames="axis")
    assert np.allclose(run(x.reshape(2, 3, 18)), expected.reshape(2, 3, 1), atol=1e-14)
    assert np.allclose(run(x[0]), expected[0], atol=1e-14)
    assert np.allclose(run(x.T, axis=0), expected.T, atol=1e-14)
    assert np.allclose(run(x.reshape(2, 3, 18).swapaxes(1, 2), axis=1)[:, 0], expected.reshape(2, 3), atol=1e-14)
    assert run(np.zeros((0, 18))).shape == (0, 1)


@pytest.mark.slow
def test_the_kernel_runs_under_vmap_and_has_gradients(large):
    network, x = large
    assert np.allclose(jax.jit(jax.vmap(network))(x), sine_products(18, x), atol=1e-14)
    gradient = jax.jit(jax.grad(lambda v: network(v)[0]))(x[0])
    z = np.linspace(0.7, 1.3, 18) * x[0]
    expected = np.linspace(0.7, 1.3, 18) * sine_products(18, x)[0] / np.tan(z)
    assert np.allclose(gradient, expected, rtol=1e-9)


def test_a_product_of_24_numbers_needs_little_memory():
    product = dc.flat_product(24, activation="power", dtype="float32")
    compiled = jax.jit(product.network).lower(jnp.ones(24, "float32")).compile()
    memory = compiled.memory_analysis()
    assert memory is not None
    assert memory.temp_size_in_bytes < 50e6  # all units would take 67 MB
    assert np.abs(np.asarray(compiled(jnp.ones(24, "float32"))) - 1) <= product.claim.error.absolute
