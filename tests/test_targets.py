"""Targets: against NumPy, in extended precision, in both array libraries, and how they compose."""

import dataclasses
import itertools
import math
from decimal import Decimal, localcontext
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import deepconstruct as dc
from deepconstruct.systems import exact
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


@pytest.mark.default_cases(8)
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


# Lists, and what isn't an array of numbers --------------------------------------------------------

SQUARES = dc.targets.Polynomial(2, ((((2, 0), 1.0), ((0, 2), 1.0)), (((1, 1), 0.5),)))
GAUSS = dc.targets.GaussianClassifier([[0.0, 0.1], [1.0, -1.0]], [np.eye(2), [[2.0, 0.5], [0.5, 1.0]]], [0.3, 0.7])
HAMILTON = dc.targets.HamiltonianClassifier(SQUARES, (0.25, 0.75))
TABLE = dc.targets.BooleanFunction([0.0, 0.1, 1 / 3, 1.0])
LOGITS = dc.targets.BooleanClassifier([[0.0, 1.0], [0.1, 0.0], [2.0, 3.0], [700.0, -700.0]])
PAIRS = [
    Parity(2), Parity(2, "signs"), dc.targets.Product(2), SQUARES, GAUSS, HAMILTON, TABLE, LOGITS, DFT(2), DOUBLE,
    dc.targets.Fractal(dc.systems.vicsek(2), 2), Composed(Parity(1), Parity(2)), Iterated(DFT(2), 2),
    Parallel((Parity(1), DOUBLE), (1, 1)), FanOut((DFT(2), Parity(2))), Realified(DFT(1)),
]  # fmt: skip


@pytest.mark.default_cases(2)
@pytest.mark.parametrize("target", PAIRS, ids=lambda target: target.name)
def test_lists_integers_and_booleans_count_as_numbers(target):
    wanted = target(np.array([0.0, 1.0]))
    for x in ([0, 1], (0.0, 1.0), [False, True], np.array([0, 1]), np.array([0, 1], ">f4"), jnp.array([0, 1])):
        assert np.allclose(target(x), wanted, rtol=1e-6)
        assert np.allclose(target.wide(x).astype(complex), wanted, rtol=1e-12)
    assert isinstance(target([0, 1]), jax.Array)


@pytest.mark.parametrize("x", ["01", b"01", ["0", "1"], [[1], [2, 3]], np.array([0, "a"], object), None, [2**200]])
@pytest.mark.parametrize("how", ["__call__", "wide"])
def test_what_is_no_array_of_numbers_is_refused(x, how):
    with pytest.raises(TypeError, match=r"parity\(2\): expected an array of numbers; got "):
        getattr(Parity(2), how)(x)


@pytest.mark.parametrize("x", [1, 0.5, np.float64(1), jnp.array(1.0)])
@pytest.mark.parametrize("how", ["__call__", "wide"])
def test_a_single_number_is_refused(x, how):
    with pytest.raises(ValueError, match=r"double: expected numbers on the last axis, such as \[0, 1\]; got .* alone"):
        getattr(DOUBLE, how)(x)


@pytest.mark.parametrize("target", PAIRS, ids=lambda target: target.name)
def test_targets_keep_strict_promotion(target):
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        kind = np.dtype("float32")
        found = jax.eval_shape(target, jax.ShapeDtypeStruct((4, 3, 2), kind))
        assert found.shape[:-1] == (4, 3)
        assert found.dtype == ("complex64" if isinstance(target, Iterated | FanOut | DFT) else kind)


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_half_precision_counts_and_numbers_rows(kind):
    rows = np.array([0, 257, 2049, 4095])
    bits = jnp.asarray((rows[:, None] >> np.arange(12)) & 1, kind)
    assert dc.targets.BooleanFunction(np.arange(2**12) % 3)(bits)[:, 0].tolist() == (rows % 3).tolist()
    ones = jnp.ones((1, 2049), kind)
    assert Parity(2049)(ones).tolist() == [[1]] == Parity(2049)(np.asarray(ones)).tolist()


# In extended precision ----------------------------------------------------------------------------

EPS = float(np.finfo(np.longdouble).eps)


def fractions_of(x):
    return [[Fraction(float(value)) for value in row] for row in x]


def exact_error(found, wanted):
    """The largest error against fractions, in roundings of the largest value."""
    off = [abs(exact.as_fraction(a) - b) for row, exact_row in zip(found, wanted, strict=True)
           for a, b in zip(row, exact_row, strict=True)]  # fmt: skip
    return float(max(off)) / (EPS * float(max(abs(b) for row in wanted for b in row)))


def test_wide_products_and_polynomials_against_fractions():
    x = np.random.default_rng(0).normal(size=(20, 3))
    cubic = dc.targets.Polynomial(3, ((((3, 0, 0), 0.1), ((1, 1, 1), -1 / 3)), (((0, 0, 0), 1e30),)))
    wanted = [[a * b * c] for a, b, c in fractions_of(x)]
    assert exact_error(dc.targets.Product(3).wide(x), wanted) <= 2
    wanted = [[Fraction(0.1) * a**3 + Fraction(-1 / 3) * a * b * c] for a, b, c in fractions_of(x)]
    assert exact_error(cubic.wide(x)[:, :1], wanted) <= 8
    assert np.all(cubic.wide(x)[:, 1] == 1e30)


def test_wide_values_are_beyond_what_double_holds():
    x = np.full((1, 2), 1e-200)
    assert 0 < dc.targets.Product(2).wide(x)[0, 0] < 1e-300
    assert dc.targets.Product(2)(x)[0, 0] == 0


@pytest.mark.parametrize("inverse", [False, True])
def test_wide_transform_of_integers_is_that_of_fractions(inverse):
    x = np.array([[3, -1, 2, 7]])
    a, b, c, d = (Fraction(int(value), 4 if inverse else 1) for value in x[0])
    turn = 1 if inverse else -1
    wanted = [[a + b + c + d, a - c, a - b + c - d, a - c], [0, turn * (b - d), 0, -turn * (b - d)]]
    found = DFT(4, inverse=inverse).wide(x)
    assert found.dtype == np.clongdouble
    assert [[exact.as_fraction(v) for v in part] for part in (found[0].real, found[0].imag)] == wanted


def test_wide_probabilities_against_sixty_digits():
    x = np.array([[0.3, -1.7], [2.0, 5.0]])
    with localcontext() as context:
        context.prec = 60
        for row, gauss, hamilton in zip(x, GAUSS.wide(x), HAMILTON.wide(x), strict=True):
            a, b = map(exactly, row)
            # Means, inverse covariances and determinants written out by hand.
            first = (a * a + (b - exactly(0.1)) ** 2) / 2
            u, v = a - 1, b + 1
            second = (u * u - u * v + 2 * v * v) / Decimal("1.75") / 2
            odds = [exactly(0.3) * (-first).exp(), exactly(0.7) * (-second).exp() / Decimal("1.75").sqrt()]
            check_odds(gauss, odds)
            odds = [(-(a * a + b * b)).exp() / 4, (-(a * b / 2)).exp() * 3 / 4]
            check_odds(hamilton, odds)


def exactly(value):
    return Decimal.from_float(float(value))


def check_odds(found, odds):
    for value, odd in zip(found, odds, strict=True):
        wanted = Fraction(odd / sum(odds))
        assert abs(exact.as_fraction(value) - wanted) <= 40 * EPS * wanted


def test_wide_tables_give_their_entries_as_they_are():
    bits = np.array([[0, 0], [1, 0], [0, 1], [1, 1]])
    found = TABLE.wide(bits.astype(np.float32))
    assert found[:, 0].tolist() == [0.0, 0.1, 1 / 3, 1.0]
    tiny = dc.targets.BooleanFunction([5e-324, 1e308])
    assert tiny.wide([[0], [1]])[:, 0].tolist() == [5e-324, 1e308]
    # exp(-1400) is a number in extended precision, where the platform has it.
    assert 0 <= LOGITS.wide([[1, 1]])[0, 1] < 1e-300


def test_wide_takes_integers_that_double_does_not_hold():
    assert Parity(1).wide(np.array([[2**53 + 1], [2**53 + 2]])).tolist() == [[1], [0]]


def test_wide_targets_of_the_user_run_in_64_bits_under_any_settings():
    odd = dc.Target("odd", lambda x: x % 2)
    third = dc.Target("third", lambda x: (x * jnp.float32(0.5)) / 3)
    positive = dc.Target("positive", lambda x: x > 0)
    with jax.enable_x64(False), jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        assert odd.wide([[16777217.0]]).tolist() == [[1.0]]
        assert third.wide([[1.0]]).tolist() == [[0.5 / 3]]
        assert positive.wide([[0.1], [-1.0]]).tolist() == [[1], [0]]
        assert Composed(odd, dc.targets.Product(2)).wide([[3, 5592405.0 + 2]]).tolist() == [[1]]
        assert dc.Target("turn", lambda z: 1j * z).wide([[0.1 + 1j]])[0, 0] == -1 + 0.1j
        assert not jax.config.read("jax_enable_x64")


def test_wide_targets_see_what_their_function_says_now():
    # Nothing is remembered by the identity of the function.
    factor = [2.0]
    target = dc.Target("factor", lambda x: factor[0] * x)
    assert target.wide([3.0]).tolist() == [6.0]
    factor[0] = 5.0
    assert target.wide([3.0]).tolist() == [15.0]


@pytest.mark.parametrize("target", [t for t in PAIRS if t is not DOUBLE], ids=lambda target: target.name)
@pytest.mark.parametrize("shape", [(2,), (0, 2), (3, 1, 2)], ids=str)
def test_wide_keeps_leading_axes_and_is_wide(target, shape):
    found = target.wide(np.ones(shape, np.float32))
    assert found.shape[:-1] == shape[:-1]
    assert found.dtype in (np.longdouble, np.clongdouble)


def test_wide_indicators_follow_points_beyond_double():
    dust = dc.IFS([[[0.25]], [[0.25]]], [[-0.75], [0.75]])
    x = np.array([[1.0], [-1.0], [0.0], [1 - 2.0**-40]])
    assert dc.targets.Fractal(dust, 30, 2.0**-5).wide(x)[:, 0].tolist() == [1, 1, 0, 0]


def test_functions_that_cannot_be_hashed_are_refused():
    @dataclasses.dataclass
    class Scale:
        factor: float

        def __call__(self, x):
            return self.factor * x

    with pytest.raises(TypeError, match="Target: scale: the function must be hashable, which Scale is not; wrap it"):
        dc.Target("scale", Scale(2.0))


def test_targets_of_one_name_do_not_share_what_was_compiled():
    one, two = dc.Target("f", lambda x: x + 1), dc.Target("f", lambda x: x + 2)
    run = jax.jit(lambda target, x: target(x), static_argnums=0)
    assert [float(run(target, jnp.zeros(1))[0]) for target in (one, two)] == [1.0, 2.0]
    claims = [dc.Claim(target, dc.domains.Bits(1), dc.domains.Box(1, 0, 3)) for target in (one, two)]
    assert claims[0] != claims[1]
    losses = [dc.losses.sampled(claim, 4)(dc.parity(1).network, jax.random.key(0)) for claim in claims]
    assert float(losses[0]) != float(losses[1])
