"""Linear maps: every one against dense NumPy matrices, in both layouts, on every kernel path."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from deepconstruct.linear import (
    BlockDiagonal,
    Butterfly,
    Composed,
    Dense,
    DirectSum,
    Identity,
    Kronecker,
    Permutation,
    SignPatterns,
    SignProduct,
    Sparse,
    Stack,
    as_matrix,
    product,
)
from deepconstruct.linear.butterfly import merge_stages
from deepconstruct.linear.operator import SMALL
from deepconstruct.linear.queries import realified

DTYPES = ["float32", "complex128"]


def draw(shape: tuple[int, ...], dtype: str = "float64", seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=shape)
    return (values + 1j * rng.normal(size=shape) if dtype.startswith("complex") else values).astype(dtype)


def block_oracle(blocks: np.ndarray) -> np.ndarray:
    """Entry by entry, from the definition `y[p, a, q] = sum_b blocks[p, a, b, q] x[p, b, q]`."""
    outer, rows, cols, inner = blocks.shape
    matrix = np.zeros((outer * rows * inner, outer * cols * inner), blocks.dtype)
    for p, a, b, q in np.ndindex(blocks.shape):
        matrix[(p * rows + a) * inner + q, (p * cols + b) * inner + q] = blocks[p, a, b, q]
    return matrix


def permutation_matrix(indices: np.ndarray) -> np.ndarray:
    return np.eye(len(indices))[indices]


def _dense(shape, dtype="float64"):
    weight = draw(shape, dtype)
    return Dense(jnp.asarray(weight)), weight


def _blocks(shape, dtype="float64"):
    blocks = draw(shape, dtype)
    return BlockDiagonal(jnp.asarray(blocks)), block_oracle(blocks)


def _kronecker(shape, outer, inner, dtype="float64"):
    matrix = draw(shape, dtype)
    oracle = np.kron(np.kron(np.eye(outer), matrix), np.eye(inner))
    return Kronecker(jnp.asarray(matrix), outer=outer, inner=inner), oracle


def _butterfly(shape, permuted, dtype="float64"):
    twiddles = draw(shape, dtype)
    size = shape[0] * shape[1] * shape[3]
    order = np.random.default_rng(1).permutation(size) if permuted else np.arange(size)
    map_ = Butterfly(jnp.asarray(twiddles), order if permuted else None)
    return map_, block_oracle(twiddles) @ permutation_matrix(order)


def _sparse(shape, count, dtype="float64"):
    rng = np.random.default_rng(2)
    flat = rng.permutation(shape[0] * shape[1])[:count]
    rows, cols = np.divmod(flat, shape[1])
    values = draw((count,), dtype)
    oracle = np.zeros(shape, dtype)
    oracle[rows, cols] = values
    return Sparse(rows, cols, jnp.asarray(values), shape), oracle


def _permutation(size, dtype="float64"):
    order = np.random.default_rng(3).permutation(size)
    return Permutation(order), permutation_matrix(order)


def _sum(dtype="float64"):
    parts = [_dense((2, 3), dtype), _permutation(4, dtype), _kronecker((1, 2), 3, 1, dtype), (Identity(1), np.eye(1))]
    return DirectSum(tuple(part for part, _ in parts)), scipy.linalg.block_diag(*(oracle for _, oracle in parts))


def _stack(dtype="float64"):
    parts = [_dense((2, 6), dtype), _permutation(6, dtype), _sparse((3, 6), 5, dtype), _blocks((1, 1, 2, 3), dtype)]
    return Stack(tuple(part for part, _ in parts)), np.concatenate([oracle for _, oracle in parts])


# Blocks of up to 64 weights run as slices, larger ones as an einsum, small maps as dense products.
MAPS = {
    "dense": lambda dtype: _dense((3, 5), dtype),
    "dense 1x1": lambda dtype: _dense((1, 1), dtype),
    "blocks small": lambda dtype: _blocks((2, 3, 2, 1), dtype),
    "blocks 1x1": lambda dtype: _blocks((1, 1, 1, 1), dtype),
    "blocks narrow": lambda dtype: _blocks((3, 2, 4, 7), dtype),
    "blocks narrow, wide row": lambda dtype: _blocks((5, 1, 13, 3), dtype),
    "blocks einsum": lambda dtype: _blocks((3, 9, 11, 2), dtype),
    "kronecker small": lambda dtype: _kronecker((2, 3), 3, 2, dtype),
    "kronecker narrow": lambda dtype: _kronecker((3, 2), 5, 7, dtype),
    "kronecker einsum": lambda dtype: _kronecker((11, 7), 2, 3, dtype),
    "butterfly": lambda dtype: _butterfly((3, 2, 2, 2), False, dtype),
    "butterfly permuted": lambda dtype: _butterfly((2, 3, 3, 2), True, dtype),
    "butterfly radix 1": lambda dtype: _butterfly((2, 1, 1, 3), True, dtype),
    "butterfly large": lambda dtype: _butterfly((4, 4, 4, 5), True, dtype),
    "sparse small": lambda dtype: _sparse((4, 3), 5, dtype),
    "sparse large": lambda dtype: _sparse((41, 53), 211, dtype),
    "sparse empty": lambda dtype: _sparse((2, 3), 0, dtype),
    "sparse large and empty": lambda dtype: _sparse((41, 53), 0, dtype),
    "permutation": lambda dtype: _permutation(5, dtype),
    "identity": lambda dtype: (Identity(3), np.eye(3)),
    "direct sum": _sum,
    "stack": _stack,
}  # fmt: skip
EVERY_MAP = pytest.mark.parametrize("name", MAPS)


@functools.cache
def build(name: str, dtype: str = "float64"):
    return MAPS[name](dtype)


# Compiled whole, in place of one program for every operation.
matrix_of = jax.jit(as_matrix)


@jax.jit
def apply_both(map_, x):
    between = map_.apply(x.reshape(2, 3, -1).swapaxes(1, 2)).swapaxes(1, 2)
    return map_.apply(x[:, :, None])[:, :, 0], map_.apply(x.T[None])[0].T, between.reshape(6, -1)


def close(found, wanted, dtype: str) -> bool:
    return np.allclose(found, wanted, rtol=0, atol=3e-5 if dtype in ("float32", "complex64") else 1e-12)


@pytest.mark.default_cases(4)
@EVERY_MAP
@pytest.mark.parametrize("dtype", DTYPES)
def test_applies_its_matrix_in_every_layout(name, dtype):
    map_, oracle = build(name, dtype)
    x = draw((6, oracle.shape[1]), dtype, seed=5)
    wanted = x @ oracle.T
    for found in apply_both(map_, x):
        assert found.dtype == dtype
        assert close(found, wanted, dtype)


@pytest.mark.default_cases(8)
@EVERY_MAP
def test_as_matrix(name):
    map_, oracle = build(name)
    assert (map_.out_size, map_.in_size) == oracle.shape
    assert np.array_equal(matrix_of(map_), oracle)


@EVERY_MAP
def test_entries_name_every_position_once(name):
    map_, oracle = build(name)
    rows, cols, values = map_.entries()
    assert len(rows) == len(cols) == len(values)
    assert len({*zip(rows.tolist(), cols.tolist(), strict=True)}) == len(rows)
    assert np.array_equal(oracle[rows, cols], values)
    assert np.count_nonzero(oracle) == np.count_nonzero(values)


@pytest.mark.default_cases(4)
@pytest.mark.promotes
@EVERY_MAP
def test_gradient_is_that_of_the_matrix(name):
    map_, _ = build(name)
    x, cotangent = draw((4, map_.in_size)), draw((4, map_.out_size), seed=6)
    pull = jax.jit(jax.grad(lambda map_, f: jnp.sum(f(map_, x) * cotangent)), static_argnums=1)
    kernel = pull(map_, lambda m, x: m.apply(x[:, :, None])[:, :, 0])
    dense = pull(map_, lambda m, x: x @ as_matrix(m).T)
    for found, wanted in zip(jax.tree.leaves(kernel), jax.tree.leaves(dense), strict=True):
        assert np.allclose(found, wanted, rtol=0, atol=1e-11)


def test_calls_take_any_leading_axes():
    map_, oracle = build("kronecker small")
    x = draw((2, 1, 3, oracle.shape[1]))
    assert np.allclose(map_(jnp.asarray(x)), x @ oracle.T)
    assert map_(x[0, 0, 0]).shape == (map_.out_size,)
    assert map_(np.zeros((2, 0, map_.in_size))).shape == (2, 0, map_.out_size)


@pytest.mark.parametrize("shape", [(), (4,), (5, 2)], ids=str)
def test_calls_refuse_a_wrong_width(shape):
    with pytest.raises(ValueError, match="Dense: expected 5 features; got shape"):
        build("dense")[0](jnp.zeros(shape))


def test_the_small_kernel_is_used_up_to_its_limit():
    # A dense product in the program is how one tells the kernels apart.
    def has_dot(map_) -> bool:
        return "dot_general" in str(jax.make_jaxpr(lambda x: map_.apply(x))(jnp.zeros((1, map_.in_size, 1))))

    side = int(SMALL**0.5) // 2
    assert has_dot(Kronecker(jnp.ones((2, 2)), inner=side))
    assert not has_dot(Kronecker(jnp.ones((2, 2)), inner=side + 1))
    assert has_dot(Kronecker(jnp.ones((9, 9)), inner=side + 1))


@pytest.mark.parametrize("outer,inner", [(3, 2), (6, 9)], ids=["small", "narrow"])
def test_tied_weights_sum_their_gradients(outer, inner):
    matrix = draw((2, 3))
    x = draw((4, outer, 3, inner))
    flat = jnp.asarray(x.reshape(4, -1))
    gradient = jax.jit(jax.grad(lambda m: jnp.sum(Kronecker(m, outer=outer, inner=inner)(flat) ** 2)))(matrix)
    y = np.einsum("ab,npbq->npaq", matrix, x)
    assert np.allclose(gradient, 2 * np.einsum("npaq,npbq->ab", y, x))


# Products -----------------------------------------------------------------------------------------

PRODUCTS = [
    ("dense", lambda: _dense((2, 3)), lambda: _dense((3, 4)), Dense),
    ("dense of sparse", lambda: _dense((2, 3)), lambda: _sparse((3, 4), 5), Dense),
    ("sparse of dense", lambda: _sparse((4, 3), 5), lambda: _dense((3, 2)), Dense),
    ("blocks of dense", lambda: _blocks((2, 3, 2, 1)), lambda: _dense((4, 5)), Dense),
    ("kronecker of dense", lambda: _kronecker((2, 2), 2, 1), lambda: _dense((4, 5)), Dense),
    ("blocks", lambda: _blocks((2, 3, 4, 5)), lambda: _blocks((2, 4, 2, 5)), BlockDiagonal),
    ("blocks, other blocks", lambda: _blocks((3, 2, 2, 1)), lambda: _blocks((2, 3, 2, 1)), Sparse),
    ("blocks, other order", lambda: _blocks((2, 2, 2, 1)), lambda: _blocks((1, 2, 2, 2)), Sparse),
    ("kronecker", lambda: _kronecker((2, 3), 2, 3), lambda: _kronecker((3, 4), 2, 3), Kronecker),
    ("kronecker, other", lambda: _kronecker((2, 3), 2, 1), lambda: _kronecker((3, 2), 1, 2), Sparse),
    ("butterflies", lambda: _butterfly((1, 2, 2, 2), 0), lambda: _butterfly((2, 2, 2, 1), 1), Sparse),
    ("sparse of permutation", lambda: _sparse((3, 5), 7), lambda: _permutation(5), Sparse),
    ("permutation of sparse", lambda: _permutation(4), lambda: _sparse((4, 3), 5), Sparse),
    ("empty", lambda: _sparse((4, 3), 0), lambda: _sparse((3, 5), 4), Sparse),
    ("sum", lambda: _sum(), lambda: _sum_before(), DirectSum),
    ("sum of sparse", lambda: _sum(), lambda: _sparse((14, 3), 9), Sparse),
    ("stack", lambda: _stack(), lambda: _sparse((6, 4), 9), Stack),
    ("identity left", lambda: (Identity(3), np.eye(3)), lambda: _sparse((3, 4), 5), Sparse),
    ("identity right", lambda: _kronecker((2, 3), 2, 1), lambda: (Identity(6), np.eye(6)), Kronecker),
]  # fmt: skip


def _sum_before():
    parts = [_dense((3, 2)), (Identity(4), np.eye(4)), _blocks((3, 2, 1, 1)), _dense((1, 2))]
    return DirectSum(tuple(part for part, _ in parts)), scipy.linalg.block_diag(*(oracle for _, oracle in parts))


@pytest.mark.default_cases(6)
@pytest.mark.parametrize("outer,inner,kind", [row[1:] for row in PRODUCTS], ids=[row[0] for row in PRODUCTS])
def test_product_keeps_structure(outer, inner, kind):
    (left, left_oracle), (right, right_oracle) = outer(), inner()
    result = jax.jit(product)(left, right)
    assert type(result) is kind
    assert np.allclose(matrix_of(result), left_oracle @ right_oracle, rtol=0, atol=1e-12)


def test_product_of_permutations_has_no_integer_leaves():
    left, left_oracle = _permutation(5)
    result = product(left, Permutation([1, 2, 3, 4, 0]))
    assert all(jnp.issubdtype(leaf.dtype, jnp.inexact) for leaf in jax.tree.leaves(result))
    assert np.array_equal(as_matrix(result), left_oracle @ permutation_matrix(np.array([1, 2, 3, 4, 0])))


def test_product_refuses_sizes_that_do_not_match():
    with pytest.raises(ValueError, match="product: outer takes 3 features but inner gives 2"):
        product(Identity(3), Identity(2))


@pytest.mark.parametrize("permuted", [False, True])
@pytest.mark.parametrize("outer,inner", [(1, 1), (3, 1), (1, 4), (2, 3)])
def test_merged_stages_equal_the_product(outer, inner, permuted):
    first, first_oracle = _butterfly((2 * outer, 2, 2, inner), permuted, "complex128")
    second, second_oracle = _butterfly((outer, 2, 2, 2 * inner), False, "complex128")
    merged = jax.jit(merge_stages)(first, second)
    assert merged is not None
    assert merged.shape == (outer, 4, 4, inner)
    assert np.allclose(matrix_of(merged), second_oracle @ first_oracle, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "first,second,permuted",
    [
        ((2, 2, 2, 1), (2, 2, 2, 1), False),
        ((1, 2, 2, 2), (2, 2, 2, 1), False),
        ((2, 2, 2, 1), (1, 2, 2, 2), True),
        ((4, 4, 4, 1), (2, 2, 2, 4), False),
    ],
    ids=["same stage", "wrong order", "permutation between", "radix above 4"],
)
def test_other_stages_are_not_merged(first, second, permuted):
    assert merge_stages(_butterfly(first, False)[0], _butterfly(second, permuted)[0]) is None


def test_sparse_orders_its_entries():
    map_ = Sparse([1, 0, 1], [0, 1, 2], jnp.array([10.0, 20.0, 30.0]), (2, 3))
    assert (map_.rows.array.tolist(), map_.cols.array.tolist()) == ([0, 1, 1], [1, 0, 2])
    assert map_.values.tolist() == [20.0, 10.0, 30.0]


ONES = jnp.ones(2)
BAD = [
    (lambda: Sparse([0, 0], [1, 1], ONES, (2, 2)), ValueError, "Sparse: a position was given twice"),
    (lambda: Sparse([0, 2], [1, 1], ONES, (2, 2)), ValueError, r"Sparse: positions must lie within shape \(2, 2\)"),
    (lambda: Sparse([0, -1], [1, 1], ONES, (2, 2)), ValueError, "Sparse: positions must lie within"),
    (lambda: Sparse([0, 1], [1], ONES, (2, 2)), ValueError, "Sparse: rows, cols and values must have one shape"),
    (lambda: Sparse([0.5, 1.0], [1, 0], ONES, (2, 2)), (TypeError, ValueError), "Sparse: .*integers"),
    (lambda: Dense(jnp.ones(3)), ValueError, r"Dense: weight must have shape \(out, in\); got \(3,\)"),
    (lambda: BlockDiagonal(jnp.ones((2, 2))), ValueError, "BlockDiagonal: blocks must have a non-empty shape"),
    (lambda: BlockDiagonal(jnp.ones((2, 0, 1, 1))), ValueError, "BlockDiagonal: blocks must have"),
    (lambda: Kronecker(jnp.ones(2)), ValueError, "Kronecker: matrix must have a non-empty shape"),
    (lambda: Kronecker(jnp.ones((1, 1)), outer=0), ValueError, "Kronecker: outer must be at least 1; got 0"),
    (lambda: Butterfly(jnp.ones((1, 2, 3, 1))), ValueError, r"Butterfly: twiddles must have a shape"),
    (lambda: Butterfly(jnp.ones((1, 2, 2, 1)), [0, 0]), ValueError, "Butterfly: expected a permutation of 0..1"),
    (lambda: Permutation([1, 2]), ValueError, "Permutation: expected a permutation of 0..1"),
    (lambda: Identity(0), ValueError, "Identity: size must be at least 1; got 0"),
    (lambda: DirectSum(()), ValueError, "DirectSum: parts must be a non-empty tuple of linear maps"),
    (
        lambda: Stack((Identity(2), Identity(3))),
        ValueError,
        r"Stack: all parts must have the same in_size; got \[2, 3\]",
    ),
]


@pytest.mark.parametrize("make,error,message", BAD)
def test_bad_maps_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize("name", ["dense", "butterfly large", "blocks narrow", "sparse large", "stack"])
def test_realified_is_the_map_on_stacked_parts(name):
    map_, oracle = build(name, "complex128")
    wanted = np.block([[oracle.real, -oracle.imag], [oracle.imag, oracle.real]])
    assert np.array_equal(matrix_of(realified(map_)), wanted)


def test_realified_drops_zero_parts():
    real = realified(Dense(jnp.array([[1.0, 2j], [3 + 4j, 0]])))
    assert isinstance(real, Sparse)
    assert real.values.size == 2 + 2 + 4
    assert real.values.dtype == "float64"


def test_realified_keeps_real_structure():
    map_, _ = build("kronecker small")
    real = realified(map_)
    assert type(real) is DirectSum
    assert [type(part) for part in real.parts] == [Kronecker, Kronecker]


@pytest.mark.default_cases(9)
@pytest.mark.parametrize("name", MAPS)
def test_leaves_have_the_shapes_that_the_structure_says(name):
    linear = MAPS[name]("float32")[0]
    assert linear.leaf_shapes == tuple(leaf.shape for leaf in jax.tree.leaves(linear))
    stacked = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), linear)
    assert stacked.leaf_shapes == linear.leaf_shapes


def test_bounds_may_count_on_the_order_of_sign_products_alone():
    dense, signs = Dense(jnp.ones((1, 4))), SignProduct(jnp.ones(()), 2)
    expected = [
        (dense, "any"),
        (signs, "pairwise"),
        (DirectSum((signs, signs)), "pairwise"),
        (DirectSum((signs, dense)), "any"),
        (Stack((signs, dense)), "any"),
        (Composed(Dense(jnp.ones((2, 1))), signs), "any"),
        (SignPatterns(jnp.ones(3)), "any"),
    ]
    assert [linear.summation for linear, _ in expected] == [order for _, order in expected]


@pytest.mark.parametrize("n", [1, 2, 5])
def test_sign_products_add_pairs_of_pairs(n):
    # In this order the large terms cancel first; from left to right the small one would be lost.
    x = np.zeros(2**n, "float32")
    x[0], x[2 ** (n - 1)] = 2.0**30, 2.0**30 - 64
    if n > 1:
        x[1] = 1
    signs = np.array([(-1) ** int(k).bit_count() for k in range(2**n)])
    exact = float((signs * x.astype(float)).sum())
    assert float(SignProduct(jnp.ones((), "float32"), n)(jnp.asarray(x))[0]) == exact
