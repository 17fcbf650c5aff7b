"""Proofs of linear networks: stage by stage against whole matrices, and networks and claims that are off."""

import dataclasses
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import deepconstruct as dc
from deepconstruct._certify.linear import basis, butterflies, matrices
from deepconstruct._certify.linear.roots import roots
from deepconstruct._roots import roots_of_unity
from deepconstruct.domains import Space
from deepconstruct.linear import Butterfly, Dense
from deepconstruct.network import Layer, Network
from variants import claiming

BOTH = ("error", "robustness")
KINDS = [
    {"dtype": "complex64"},
    {"dtype": "complex128", "inverse": True},
    {"dtype": "complex64", "norm": "ortho"},
    {"dtype": "complex128", "norm": "ortho", "inverse": True},
    {"dtype": "complex64", "norm": "forward"},
]


@pytest.fixture
def by_stages(monkeypatch):
    """Look at transforms of all sizes stage by stage."""
    monkeypatch.setattr(basis, "_WHOLE", 0)


def proved(construction) -> Any:
    found = dc.certify(construction, method="basis")
    assert (found.verdict, found.method, found.inputs) == ("proved", "basis", 0), found
    return found


def scaled(construction, factor):
    return claiming(construction, error=dc.Bound(relative=construction.claim.error.relative * factor))


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 12, 96])
def test_roots_of_unity_by_two_routes_and_by_balls(n):
    flint = pytest.importorskip("flint")
    (high, low), (other, rest) = roots(n), roots_of_unity(n)
    assert np.array_equal(high, other)
    assert np.max(np.abs(low - rest)) < 1e-33
    halved, more = roots(n, halved=True)
    with flint.ctx.workprec(200):
        for k in range(n):
            exact = flint.acb.exp_pi_i(flint.acb(flint.fmpq(2 * k, n)))
            for pair, scale in (((high[k], low[k]), 1), ((halved[k], more[k]), flint.arb(2).sqrt())):
                off = abs(flint.acb(complex(pair[0])) + flint.acb(complex(pair[1])) - exact / scale)
                assert off < 2.0**-103


@pytest.mark.parametrize("target", [dc.targets.DFT(3), dc.targets.DFT(16, "ortho", inverse=True)])
def test_matrices_of_the_proof_are_those_of_the_targets(target):
    joined = dc.targets.Parallel((target, dc.targets.Realified(target)), (target.n, 2 * target.n))
    for made in (target, joined, dc.targets.FanOut((target, target)), dc.targets.Iterated(target, 3)):
        found = matrices.matrix_of(made)
        assert np.max(np.abs(found - made.matrix())) <= 1e-17 * np.max(np.abs(found))
        for row, total in zip(np.abs(found), matrices.row_sums(made, found), strict=True):
            assert float(row.sum()) * (1 - 1e-15) <= float(total) <= float(row.sum()) * 1.5


@pytest.mark.parametrize("real", [False, True])
@pytest.mark.parametrize("n", [2, 4, 32])
def test_the_factors_multiply_to_the_transform(n, real):
    target = dc.targets.DFT(n, "ortho")
    product = np.eye(n * (1 + real))
    for s in range(1, n.bit_length()):
        factor = butterflies._factor(target, s, -1, real=real)
        matrix = np.zeros(product.shape, complex)
        matrix[factor.rows, factor.cols] = factor.values + factor.low
        product = matrix @ product
    wanted = (dc.targets.Realified(target) if real else target).matrix().astype(complex)
    assert np.max(np.abs(product - wanted)) < 1e-14


@pytest.mark.default_cases(2)
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_stages_and_matrices_agree(kind, monkeypatch):
    for construction in (dc.fft(32, **kind), dc.realify(dc.fft(8, **kind)), dc.fft(2, **kind)):
        whole = proved(construction)
        with monkeypatch.context() as patch:
            patch.setattr(basis, "_WHOLE", 0)
            staged = proved(construction)
        assert whole.covers == staged.covers == BOTH
        assert staged.found.relative <= construction.claim.error.relative
        assert 0.8 < staged.found.relative / whole.found.relative < 1.2
        # The matrix's norm is known to n^(1/16) only.
        size = construction.claim.target.stretch()[1]
        for found in (whole, staged):
            # This oracle itself rounds, by about 2^-64 an entry.
            assert off(construction) * size <= found.evidence.difference + found.evidence.arithmetic + 1e-19 * size
        assert staged.evidence.difference <= 6 * whole.evidence.difference + 1e-18


def test_claims_below_what_was_found_are_not_proved(by_stages):
    for construction in (dc.fft(16, dtype="complex64"), dc.realify(dc.fft(8, dtype="complex128"))):
        share = proved(construction).found.relative / construction.claim.error.relative
        assert dc.certify(scaled(construction, 0.98 * share), method="basis").verdict == "undecided"
        proved(scaled(construction, 1.0001 * share))


def test_a_gain_that_is_too_small_leaves_the_error_alone():
    for construction, row in (
        (dc.fft(8, dtype="complex64"), 8),
        (dc.realify(dc.fft(4, dtype="complex64")), 4 * 2**0.5),
    ):
        for gain, covers in ((row * 1.00001, BOTH), (row, ("error",)), (np.inf, BOTH)):
            moved = claiming(construction, robustness=dc.Robustness(np.inf, gain))
            assert proved(moved).covers == covers
        each = dc.Robustness(1.0, (row * 2,) * (construction.out_size - 1) + (row / 2,))
        assert proved(claiming(construction, robustness=each)).covers == ("error",)
        assert proved(claiming(construction, robustness=dc.Robustness())).covers == BOTH


def test_gains_of_matrices_of_ones_own():
    @dataclasses.dataclass(frozen=True)
    class Given(dc.targets.AbstractTarget):
        @property
        def name(self):
            return "given"

        def _evaluate(self, x):
            return x @ np.array([[1.0, 2.0], [0.0, -3.0]]).T

        @property
        def is_linear(self):
            return True

        def matrix(self):
            return np.array([[1.0, 2.0], [0.0, -3.0]], np.longdouble)

    network = Network((Layer(Dense(jnp.array([[1.0, 2.0], [0.0, -3.0]], "float64"))),))
    gains: list[Any] = [3.001, 2.999, (3.001, 2.999)]
    for gain, covers in zip(gains, (BOTH, ("error",), ("error",)), strict=True):
        claim = dc.Claim(Given(), Space(2), Space(2), dc.Bound(relative=1e-9), dc.Robustness(1.0, gain), "float64")
        assert proved(dc.claim(network, claim)).covers == covers


def changed(construction, stage, change):
    leaves, treedef = jax.tree.flatten(construction.network)
    leaves[stage] = jnp.asarray(change(np.array(leaves[stage])))
    return dc.claim(jax.tree.unflatten(treedef, leaves), construction.claim)


def off(construction):
    """What the stored weights are off, relative to the target, in extended precision."""
    matrix = construction.claim.target.matrix()
    difference = (basis.network_matrix(construction.network) - matrix).astype(complex)
    return np.linalg.norm(difference, 2) / construction.claim.target.stretch()[1]


@pytest.mark.parametrize("whole", [0, 256])
def test_mutants_that_are_off_are_not_proved(whole, monkeypatch):
    monkeypatch.setattr(basis, "_WHOLE", whole)
    good, generator, count = dc.fft(16, dtype="complex64"), np.random.default_rng(0), 0
    changes = [lambda w: -w, lambda w: 2 * w, lambda w: 0 * w, np.conj, lambda w: w * (1 + 2**-22)]
    changes += [lambda w: np.nextafter(w.real, np.float32(9)) + 1j * w.imag, lambda w: w + 1e-5j]
    for change in changes:
        stage = generator.integers(4)

        def one(w, change=change):
            flat = w.reshape(-1)
            place = generator.integers(flat.size)
            flat[place] = change(flat[place])
            return w

        mutant = changed(good, stage, one)
        found = dc.certify(mutant, method="basis")
        if off(mutant) > good.claim.error.relative:
            assert found.verdict == "refuted" or whole == 0, found
            assert found.verdict != "proved"
        count += found.verdict == "proved"
    assert 1 <= count <= 3


def test_stages_that_lie_elsewhere_are_multiplied_out(by_stages):
    good = dc.fft(8, dtype="complex64")
    first, *others = list[Any](good.network.layers)
    order = np.array(first.linear.permutation.array)
    for permutation in (None, order[[1, 0, *range(2, 8)]]):
        other = Network((Layer(Butterfly(first.linear.twiddles, permutation)), *others))
        assert dc.certify(dc.claim(other, good.claim), method="basis").verdict == "refuted"
    # Another way of doing the same: all of it in one stage, the others swap two and swap them back.
    dense = Layer(Dense(jnp.asarray(good.claim.target.matrix(), "complex64")))
    swaps = [Layer(dc.linear.Permutation([1, 0, *range(2, 8)]))] * 2
    other = scaled(dc.claim(Network((dense, *swaps)), good.claim), 8)
    assert proved(other).evidence.arithmetic > 0


def test_stages_may_share_their_scale_otherwise(by_stages):
    ortho, plain = dc.fft(16, norm="ortho", dtype="complex128"), dc.fft(16, dtype="complex128")
    last: Any = plain.network.layers[-1]
    for change in (1, 2):
        layers = (*plain.network.layers[:-1], Layer(Butterfly(last.linear.twiddles * (change / 4))))
        found = dc.certify(dc.claim(Network(layers), ortho.claim), method="basis")
        assert found.verdict == ("proved" if change == 1 else "refuted")


def test_one_wrong_twiddle_is_found_and_run(by_stages):
    good = dc.fft(16, dtype="complex64")
    assert proved(good).covers == BOTH

    def one(w):
        w[0, 1, 1, 3] *= -1
        return w

    bad = changed(good, -1, one)
    found = dc.certify(bad)
    assert (found.verdict, found.method) == ("refuted", "basis")
    x = np.array(found.counterexample)
    assert np.linalg.norm(np.asarray(bad(x)) - np.fft.fft(x)) > 1e-3 * np.linalg.norm(np.fft.fft(x))


def test_sizes_that_no_route_takes():
    good = dc.fft(2**13, dtype="complex64")
    first, *others = list[Any](good.network.layers)
    unsorted = Network((Layer(Butterfly(first.linear.twiddles)), *others))
    assert "don't lie where" in str(dc.certify(dc.claim(unsorted, good.claim), method="basis"))
    twice = dc.series(dc.fft(1024, dtype="complex64"), dc.fft(1024, inverse=True, dtype="complex64"))
    with pytest.raises(ValueError, match="multiplies targets' matrices up to a size of 512; got 1024"):
        dc.certify(twice, method="basis")


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_a_transform_of_16384_is_proved_within_a_minute(dtype):
    construction = dc.fft(2**14, dtype=dtype)
    began = time.perf_counter()
    assert proved(construction).covers == BOTH
    assert time.perf_counter() - began < 60
