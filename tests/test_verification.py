"""Benchmarks for verifiers: every answer against oracles of its own."""

# Witnesses that are there, and wrong arguments.
# pyright: reportArgumentType=false, reportCallIssue=false, reportOptionalIterable=false
# pyright: reportOptionalMemberAccess=false, reportGeneralTypeIssues=false, reportOptionalOperand=false
# pyright: reportAttributeAccessIssue=false, reportPossiblyUnboundVariable=false

import itertools
from fractions import Fraction

import jax
import numpy as np
import onnxruntime
import pytest

import deepconstruct as dc
from deepconstruct.benchmarks import _vnnlib, check
from verified import ANSWERS, FAMILIES, KINDS, exact, fractions, is_unsafe, made, points, run


def test_a_witness_is_unsafe_with_a_margin_and_holding_instances_are_safe_at_points():
    for family, answer, disguised in KINDS:
        instance = made(family, answer, disguised)
        assert instance.margin > instance.rounding > 0
        if answer == "fails":
            assert all(
                a <= x <= b
                for a, x, b in zip(instance.problem.low, instance.witness, instance.problem.high, strict=True)
            )
            assert is_unsafe(instance, exact(instance, instance.witness), instance.margin)
            continue
        assert instance.witness is None
        for x in points(instance, 12):
            value = exact(instance, fractions(x))
            for end in (value - instance.margin, value + instance.margin):
                assert not is_unsafe(instance, end, Fraction(1, 10**9)), (family, x)


def test_a_disguise_keeps_the_function_and_shows_other_units():
    for family, answer in itertools.product(FAMILIES, ANSWERS):
        plain, other = made(family, answer), made(family, answer, disguised=True)
        for x in points(plain, 4):
            assert exact(plain, fractions(x)) == exact(other, fractions(x))
        assert plain.margin == other.margin
        first, second = (instance.problem.layers[0][0] for instance in (plain, other))
        assert first.shape != second.shape or not np.array_equal(first, second)


def turning_points(instance, start, stop):
    """Where the output turns on a segment, with its ends, exactly."""
    times = [Fraction(0), *dc.linear_regions(instance.network, start, stop).breakpoints, Fraction(1)]
    return [[a + t * (b - a) for a, b in zip(start, stop, strict=True)] for t in times]


@pytest.mark.parametrize("family", ["fractal", "pair"])
def test_with_one_input_the_largest_output_is_the_one_proved(family):
    for answer, seed in itertools.product(ANSWERS, (0, 1)):
        instance = made(family, answer, seed=seed)
        values = [exact(instance, x) for x in turning_points(instance, instance.problem.low, instance.problem.high)]
        if answer == "fails":
            assert is_unsafe(instance, max(values)) or is_unsafe(instance, min(values))
        else:
            assert not any(is_unsafe(instance, value) for value in values)
            assert check.margin_of(min(values), max(values), instance.problem.unsafe) == instance.margin


@pytest.mark.parametrize("family", ["parity", "polynomial"])
def test_no_segment_through_the_hardest_place_leaves_the_bounds(family):
    # The same key gives the same network, whatever is asked of it, so the witness is a place of it, too.
    place = made(family, "fails").witness
    holds = made(family, "holds")
    assert is_unsafe(holds, exact(holds, place), -holds.margin)
    for stop in points(holds, 3):
        for x in turning_points(holds, list(place), fractions(stop)):
            assert not is_unsafe(holds, exact(holds, x), -holds.margin + Fraction(1, 10**9))


def solutions(instance, values):
    """The largest output on a grid with these values of every input; sums are exact in doubles."""
    size = instance.network.in_size
    x = np.array(list(itertools.product(values, repeat=size)))
    for index, (weights, bias) in enumerate(instance.problem.layers):
        x = x @ weights.T + bias
        x = x if index == len(instance.problem.layers) - 1 else np.maximum(x, 0)
    return float(x.max())


@pytest.mark.parametrize("disguised", [False, True])
def test_circuits_are_right_at_every_corner_and_at_every_kink(disguised):
    for answer, seed in itertools.product(ANSWERS, range(3)):
        instance = made("circuit", answer, disguised, seed=seed)
        ((_, threshold),) = instance.problem.unsafe
        best = float(threshold) + (0.5 if answer == "fails" else -0.5)
        assert solutions(instance, (0, 3 / 8, 7 / 16, 0.5, 9 / 16, 5 / 8, 1)) == best


@pytest.mark.slow
def test_circuits_of_16_bits_are_right_at_every_corner():
    for answer in ANSWERS:
        instance = made("circuit", answer, difficulty=2)
        ((_, threshold),) = instance.problem.unsafe
        assert solutions(instance, (0, 1)) == float(threshold) + (0.5 if answer == "fails" else -0.5)


def test_onnxruntime_and_orders_of_sums_stay_within_the_rounding(tmp_path):
    generator = np.random.default_rng(0)
    for family, answer, disguised in KINDS:
        instance = made(family, answer, disguised, seed=3)
        instance.save(tmp_path / family)
        session = onnxruntime.InferenceSession(tmp_path / family / "model.onnx")
        inputs = list(points(instance, 3))
        inputs += [] if instance.witness is None else [np.array(instance.witness, np.float32)]
        for x in inputs:
            wanted = exact(instance, fractions(x))
            (ran,) = session.run(None, {"input": x[None]})[0].ravel()
            for value in (ran, in_some_order(instance.problem.layers, x, generator)):
                assert abs(Fraction(float(value)) - wanted) <= instance.rounding
        if instance.witness is not None:
            assert is_unsafe(instance, Fraction(float(ran)), instance.margin - instance.rounding)


def in_some_order(layers, x, generator):
    """A run in float32 that adds one term after another in a random order."""
    for index, (weights, bias) in enumerate(layers):
        terms = np.concatenate([weights.astype(np.float32) * x, bias.astype(np.float32)[:, None]], axis=1)
        sums = np.cumsum(terms[:, generator.permutation(terms.shape[1])], axis=1, dtype=np.float32)[:, -1]
        x = sums if index == len(layers) - 1 else np.maximum(sums, 0)
    return x[0]


def test_volumes_are_bounds_of_the_share_that_is_unsafe():
    for family in FAMILIES:
        instance = made(family, "fails", seed=1)
        low, high = (end.astype(float) for end in instance.problem.box)
        kind, volume = instance.problem.volume
        x = low + (high - low) * np.random.default_rng(0).random((50_000, len(low)))
        values = run(instance.problem.layers, x)[:, 0]
        unsafe = np.zeros(len(x), bool)
        for sense, end in instance.problem.unsafe:
            unsafe |= values >= float(end) if sense == ">=" else values <= float(end)
        share, error = unsafe.mean(), 5 * np.sqrt(max(unsafe.mean(), 1e-5) / len(x))
        assert share <= float(volume) + error if kind == "at most" else share >= float(volume) - error, family


def test_the_attack_finds_easy_witnesses_and_none_where_there_is_none():
    easy = dc.benchmarks.attack(made("parity", "fails"), starts=200, key=jax.random.key(0))
    assert is_unsafe(made("parity", "fails"), exact(made("parity", "fails"), fractions(easy.witness)))
    assert easy.nearest <= 0
    assert easy.starts <= 200
    none = dc.benchmarks.attack(made("pair", "holds"), starts=100, steps=5, key=jax.random.key(0))
    assert none.witness is None
    assert none.nearest == pytest.approx(0.5, abs=1e-2)
    assert (none.starts, none.evaluations) == (100, 2 * 100 * 6)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_at_difficulty_3_the_attack_finds_nothing_while_the_witness_fails_when_run(family):
    instance = made(family, "fails", difficulty=3)
    assert dc.benchmarks.attack(instance, starts=1000, steps=20, key=jax.random.key(0)).witness is None
    ran = run([(w.astype("f4"), b.astype("f4")) for w, b in instance.problem.layers], np.array(instance.witness, "f4"))
    assert is_unsafe(instance, Fraction(float(ran[0])), instance.margin - instance.rounding)


def test_refusals(monkeypatch):
    key = jax.random.key(0)
    with pytest.raises(ValueError, match="verification: family must be"):
        dc.benchmarks.verification("nothing", difficulty=1, key=key)
    with pytest.raises(ValueError, match="difficulty must be at least 1"):
        dc.benchmarks.verification("parity", difficulty=0, key=key)
    with pytest.raises(ValueError, match="answer must be"):
        dc.benchmarks.verification("parity", difficulty=1, answer="maybe", key=key)
    with pytest.raises(TypeError, match=r"attack: expected an Instance of dc\.benchmarks"):
        dc.benchmarks.attack("parity", key=key)
    with pytest.raises(ValueError, match="expected at least one family and one difficulty"):
        dc.benchmarks.verification_set("never", families=())
    with pytest.raises(ValueError, match="has no finite decimal that a file would hold"):
        _vnnlib.decimal(Fraction(1, 3))
    monkeypatch.setattr(check, "UNIT", Fraction(1, 2**12))
    with pytest.raises(ValueError, match="is too large for polynomial: rounding in 32 bits might reach the"):
        dc.benchmarks.verification("polynomial", difficulty=2, key=key)
