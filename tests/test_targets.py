"""Targets: against NumPy, in extended precision, in both array libraries, and how they compose."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import deepconstruct as dc
from deepconstruct.targets import DFT, Composed, FanOut, Iterated, Parallel, Parity, Realified

NORMS = ["backward", "ortho", "forward"]
DOUBLE = dc.Target("double", lambda x: 2 * x)

# A mixed bag of linear targets with the number of their inputs.
LINEAR = [
    (DFT(1), 1),
    (DFT(3, "ortho"), 3),
    (DFT(4, inverse=True), 4),
    (Composed(DFT(4), DFT(4, "forward")), 4),
    (Iterated(DFT(3), 4), 3),
    (Iterated(DFT(5, "forward"), 1), 5),
    (Parallel((DFT(2), DFT(3, "forward"), DFT(1)), (2, 3, 1)), 6),
    (FanOut((DFT(3), DFT(3, inverse=True))), 3),
    (Realified(DFT(3)), 6),
    (Realified(Composed(DFT(2), DFT(2))), 4),
    (Composed(FanOut((DFT(4), DFT(4, "ortho"))), Parallel((DFT(2), DFT(2)), (2, 2))), 4),
]


def named(rows: list) -> dict:
    return {"argvalues": rows, "ids": [row[0].name for row in rows]}


def wide_error(found: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.max(np.abs(found - wanted)))


def draw(target: dc.targets.AbstractTarget, size: int, count: int = 7) -> np.ndarray:
    rng = np.random.default_rng(size)
    x = rng.normal(size=(count, size))
    return x if isinstance(target, Realified) else x + 1j * rng.normal(size=(count, size))


@pytest.mark.parametrize("n", [1, 2, 3, 8])
def test_parity_counts_set_bits(n):
    bits = np.array(list(itertools.product([0, 1], repeat=n)))
    wanted = [[bin(int("".join(map(str, row)), 2)).count("1") % 2] for row in bits]
    assert Parity(n)(bits).tolist() == wanted


@pytest.mark.parametrize("n", [1, 2, 3, 8])
def test_parity_of_signs_is_that_of_the_bits(n):
    bits = np.array(list(itertools.product([0, 1], repeat=n)))
    assert np.array_equal(Parity(n, "signs")(1 - 2 * bits), 1 - 2 * Parity(n)(bits))


@pytest.mark.parametrize("encoding", ["bits", "signs"])
@pytest.mark.parametrize("shape", [(3,), (0, 3), (2, 4, 3)], ids=str)
def test_parity_keeps_leading_axes(encoding, shape):
    assert Parity(3, encoding)(np.ones(shape)).shape == (*shape[:-1], 1)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("n", [1, 2, 5, 12])
def test_dft_is_the_sum_of_exponentials(n, norm, inverse):
    x = draw(DFT(n), n)
    sign = 1 if inverse else -1
    scale = {"backward": 1 / n if inverse else 1, "ortho": n**-0.5, "forward": 1 if inverse else 1 / n}[norm]
    index = np.arange(n)
    wanted = scale * x @ np.exp(sign * 2j * np.pi * np.outer(index, index) / n)
    assert np.allclose(DFT(n, norm, inverse)(x), wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("n", [1, 2, 3, 7, 8, 12, 64])
def test_dft_matrix_against_numpy_in_extended_precision(n, norm, inverse):
    function = np.fft.ifft if inverse else np.fft.fft
    # The transform of the unit vectors, whose matrix is symmetric.
    wanted = function(np.eye(n, dtype=np.longdouble), norm=norm)
    matrix = DFT(n, norm, inverse).matrix()
    assert matrix.dtype == np.clongdouble
    assert wide_error(matrix, wanted) <= 8 * float(np.finfo(np.longdouble).eps) * np.abs(wanted).max()


def test_dft_matrix_is_beyond_double_precision():
    matrix = DFT(7).matrix()
    gram = matrix @ matrix.conj().T
    assert wide_error(gram, 7 * np.eye(7)) < 100 * np.finfo(np.longdouble).eps
    rounded = matrix.astype(np.complex128).astype(np.clongdouble)
    assert wide_error(matrix, rounded) > 0


@pytest.mark.parametrize("n", [4, 8, 12, 1024])
def test_dft_matrix_has_exact_quarter_turns(n):
    row = DFT(n).matrix()[1]
    assert row[[0, n // 4, n // 2, 3 * n // 4]].tolist() == [1, -1j, -1, 1j]


@pytest.mark.parametrize("target,size", **named(LINEAR))
def test_matrix_is_what_the_call_applies(target, size):
    assert target.is_linear
    x = draw(target, size)
    assert np.allclose(target(x), x @ target.matrix().astype(complex).T, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("target,size", **named(LINEAR))
def test_matrix_keeps_extended_precision(target, size):
    x = draw(target, size).astype(np.longdouble if isinstance(target, Realified) else np.clongdouble)
    found, wanted = target(x), x @ target.matrix().T
    assert found.dtype == wanted.dtype == np.result_type(x, target.matrix())
    assert wide_error(found, wanted) <= 100 * float(np.finfo(np.longdouble).eps) * float(np.abs(wanted).max())


@pytest.mark.parametrize("target,size", **named(LINEAR))
def test_stretch_encloses_the_singular_values(target, size):
    values = np.linalg.svd(target.matrix().astype(np.complex128), compute_uv=False)
    low, high = target.stretch()
    assert 0 < low <= values.min() * (1 + 1e-12)
    assert values.max() * (1 - 1e-12) <= high


@pytest.mark.parametrize(
    "target",
    [DFT(3, "ortho"), Composed(DFT(4), DFT(4, "forward")), Iterated(DFT(3), 4), Realified(DFT(3))],
    ids=lambda target: target.name,
)
def test_stretch_of_unitary_multiples_is_tight(target):
    low, high = target.stretch()
    assert high <= low * (1 + 1e-13)


def test_stretch_of_a_stack_adds_squares():
    low, high = FanOut((DFT(4, "ortho"), DFT(4))).stretch()
    assert low == pytest.approx(math.sqrt(5), rel=1e-13)
    assert high == pytest.approx(math.sqrt(5), rel=1e-13)


def test_stretch_of_a_direct_sum_is_that_of_its_extremes():
    low, high = Parallel((DFT(4, "forward"), DFT(9)), (4, 9)).stretch()
    assert (low, high) == pytest.approx((0.5, 3.0), rel=1e-13)


@pytest.mark.parametrize(
    "target",
    [Parity(2), DOUBLE, Composed(DFT(2), DOUBLE), Parallel((DFT(2), Parity(2)), (2, 2)), FanOut((Parity(2), DFT(2))),
     Iterated(DOUBLE, 2), Realified(DOUBLE)],
    ids=lambda target: target.name,
)  # fmt: skip
def test_undeclared_targets_are_not_linear(target):
    assert not target.is_linear
    assert target.stretch()[1] == math.inf
    with pytest.raises(TypeError, match="does not declare itself linear"):
        target.matrix()


def test_composed_runs_the_inner_first():
    target = Composed(Parity(2), dc.Target("flip", lambda x: 1 - x[..., :2]))
    assert target(np.array([[0, 1, 5], [1, 1, 5], [0, 0, 5]])).tolist() == [[1], [0], [0]]


def test_parallel_splits_its_inputs():
    target = Parallel((Parity(2), DOUBLE, Parity(1)), (2, 2, 1))
    assert target(np.array([1, 0, 3, 4, 1])).tolist() == [1, 6, 8, 1]


def test_fan_out_concatenates():
    assert FanOut((Parity(2), DOUBLE))(np.array([[1, 1], [1, 0]])).tolist() == [[0, 2, 2], [1, 2, 0]]


@pytest.mark.parametrize("times,wanted", [(1, 2), (3, 8)])
def test_iterated_repeats(times, wanted):
    assert Iterated(DOUBLE, times)(np.array([1])).tolist() == [wanted]


def test_four_unitary_transforms_are_the_identity():
    x = draw(DFT(6), 6)
    assert np.allclose(Iterated(DFT(6, "ortho"), 4)(x), x, rtol=0, atol=1e-14)


def test_realified_stacks_real_and_imaginary_parts():
    x = draw(DFT(5), 5)
    stacked = np.concatenate([np.real(x), np.imag(x)], axis=-1)
    wanted = np.fft.fft(x)
    assert np.allclose(
        Realified(DFT(5))(stacked), np.concatenate([np.real(wanted), np.imag(wanted)], axis=-1), atol=1e-13
    )


EVERY = [
    *LINEAR,
    (Parity(4), 4),
    (Parity(4, "signs"), 4),
    (DOUBLE, 3),
    (Parallel((Parity(2), DOUBLE), (2, 2)), 4),
    (FanOut((Parity(3), Parity(3))), 3),
    (Iterated(DOUBLE, 3), 2),
]


@pytest.mark.parametrize("target,size", **named(EVERY))
def test_numpy_in_gives_numpy_out(target, size):
    assert type(target(np.ones((2, size)))) is np.ndarray


@pytest.mark.parametrize("target,size", **named(EVERY))
def test_jax_in_gives_the_same_in_jax(target, size):
    real = isinstance(target, Parity) or "parity" in target.name
    x = np.random.default_rng(0).integers(0, 2, (5, size)).astype(float) if real else draw(target, size, 5)
    found = jax.jit(target)(jnp.asarray(x))
    assert isinstance(found, jax.Array)
    assert np.allclose(found, target(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("target,size", **named([row for row in EVERY if "double" not in row[0].name]))
def test_single_precision_stays_single_in_jax(target, size):
    kind = "float32" if isinstance(target, Realified) or "parity" in target.name else "complex64"
    assert jax.eval_shape(target, jax.ShapeDtypeStruct((2, size), kind)).dtype == kind


def test_equal_by_value():
    assert Parity(3) == Parity(3) != Parity(3, "signs")
    assert DFT(4) == DFT(4, "backward", inverse=False) != DFT(4, "ortho")
    assert Composed(Parity(1), Parity(3)) == Composed(Parity(1), Parity(3)) != Composed(Parity(3), Parity(1))
    assert Parallel((Parity(1),), (1,)) != FanOut((Parity(1),))
    assert Iterated(DFT(2), 2) == Iterated(DFT(2), 2) != Iterated(DFT(2), 3)


def test_equal_targets_hash_alike():
    assert len({Realified(DFT(4)), Realified(DFT(4)), Realified(DFT(4, "ortho"))}) == 2


def test_own_targets_are_equal_only_with_the_same_function():
    function = abs
    assert dc.Target("a", function) == dc.Target("a", function)
    assert dc.Target("a", function) != dc.Target("a", lambda x: abs(x))


@pytest.mark.parametrize(
    "target,name",
    [
        (Parity(8), "parity(8)"),
        (Parity(8, "signs"), "parity(8, signs)"),
        (DFT(4), "dft(4)"),
        (DFT(4, "ortho", inverse=True), "idft(4, ortho)"),
        (Composed(Parity(2), Parallel((Parity(3), DOUBLE), (3, 1))), "parity(2) of parity(3) | double"),
        (FanOut((Parity(3), Parity(3))), "parity(3) & parity(3)"),
        (Iterated(DOUBLE, 3), "double^3"),
        (Realified(DFT(2)), "real dft(2)"),
    ],
)
def test_names_are_short_and_tell_the_arguments(target, name):
    assert target.name == name


@pytest.mark.parametrize(
    "build,error,message",
    [
        (lambda: Parity(0), ValueError, "Parity: n must be at least 1; got 0"),
        (lambda: Parity(True), TypeError, "Parity: n must be an integer"),
        (lambda: Parity(2, "trits"), ValueError, "Parity: encoding must be one of 'bits', 'signs'; got 'trits'"),
        (lambda: DFT(-2), ValueError, "DFT: n must be at least 1; got -2"),
        (lambda: DFT(2, "unitary"), ValueError, "DFT: norm must be one of"),
    ],
)
def test_bad_arguments_are_refused(build, error, message):
    with pytest.raises(error, match=message):
        build()
