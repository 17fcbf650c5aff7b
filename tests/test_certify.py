"""Certificates: what is proved, what is refuted and by which input, and what is only tested."""

import dataclasses
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import deepconstruct as dc
from deepconstruct._certify import comparison
from deepconstruct.domains import Bits, Points, Product, Space
from deepconstruct.linear import Dense, Kronecker
from deepconstruct.network import Layer, Network
from deepconstruct.targets import AbstractTarget


def found(certificate):
    """The error found, which is finite."""
    assert certificate.found is not None
    return certificate.found


def with_target(construction, function):
    """The same network, claimed to compute something else."""
    return dc.claim(construction.network, dataclasses.replace(construction.claim, target=dc.Target("other", function)))


def parity_but_at(index, n):
    """The parity of `n` bits, wrong at vector number `index` only."""

    def target(x):
        wrong = jnp.sum(x * 2.0 ** jnp.arange(n), axis=-1, keepdims=True) == index
        return jnp.where(wrong, 7.0, x.sum(axis=-1, keepdims=True) % 2)

    return target


def bits_of(index, n):
    return tuple((index >> i) & 1 for i in range(n))


@pytest.mark.parametrize("n", [1, 2, 3, 11])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_exhaustive_proof_of_parity(n, dtype):
    certificate = dc.certify(dc.parity(n, dtype=dtype), method="exhaustive")
    assert (certificate.verdict, certificate.method, certificate.inputs) == ("proved", "exhaustive", 2**n)
    assert certificate.found == certificate.claimed == dc.Bound(0)
    assert certificate.counterexample is None
    assert certificate.holds


def test_the_error_of_a_proof_is_the_largest_found():
    construction = dc.parity(6, activation="sigmoid", readout="raw", dtype="float64")
    x = Bits(6).enumerate(jnp.arange(64))
    worst = np.abs(np.asarray(construction(x)) - np.asarray(x).sum(axis=-1, keepdims=True) % 2).max()
    certificate = dc.certify(construction, method="exhaustive")
    assert certificate.verdict == "proved"
    assert found(certificate).absolute == pytest.approx(worst, rel=1e-9)
    assert certificate.claimed == construction.claim.error


def test_one_changed_weight_is_refuted_by_an_input_that_it_spoils():
    good = dc.parity(5, dtype="float64")
    leaves, treedef = jax.tree.flatten(good.network)
    for index in range(len(leaves)):
        changed = list(leaves)
        changed[index] = leaves[index].at[(0,) * leaves[index].ndim].add(0.25)
        bad = dc.claim(jax.tree.unflatten(treedef, changed), good.claim)
        certificate = dc.certify(bad)
        assert (certificate.verdict, certificate.holds) == ("refuted", False)
        x = np.array(certificate.counterexample)
        assert set(x) <= {0, 1}
        error = abs(float(bad(x)[0]) - x.sum() % 2)
        assert error == pytest.approx(found(certificate).absolute)
        assert error > 0


def test_a_wrong_target_is_refuted():
    bad = with_target(dc.parity(4), lambda x: x[..., :1])
    certificate = dc.certify(bad)
    assert certificate.verdict == "refuted"
    example = np.array(certificate.counterexample)
    assert example.sum() % 2 != example[0]


@pytest.mark.default_cases(3)
@pytest.mark.promotes
@pytest.mark.parametrize("index", [0, 1, 99, 100, 399, 411, 412, 500, 511])
def test_a_single_wrong_input_is_found_wherever_it_lies(index, monkeypatch):
    # 512 inputs in blocks of 100: the last block is short.
    monkeypatch.setattr(comparison, "_BLOCK", 100)
    certificate = dc.certify(with_target(dc.parity(9, dtype="float64"), parity_but_at(index, 9)))
    assert certificate.verdict == "refuted"
    assert certificate.counterexample == bits_of(index, 9)
    assert certificate.inputs == 512


def test_a_proof_in_blocks_that_do_not_divide_the_domain(monkeypatch):
    monkeypatch.setattr(comparison, "_BLOCK", 100)
    assert dc.certify(dc.parity(9, dtype="float64")).verdict == "proved"


def identity_on(points, function, dtype="float64"):
    """The identity on a list of points, with a target of choice."""
    domain = Points(points)
    network = Network((Layer(Dense(jnp.eye(domain.size, dtype=dtype))),))
    claim = dc.Claim(dc.Target("given", function), domain, Space(domain.size), dtype=dtype)
    return dc.claim(network, claim)


def test_points_are_enumerated():
    points = [[0.5, -2.0], [3.0, 1e6], [0.1, 0.2]]
    certificate = dc.certify(identity_on(points, lambda x: x))
    assert (certificate.verdict, certificate.inputs) == ("proved", 3)


def test_a_wrong_point_is_the_counterexample():
    certificate = dc.certify(identity_on([[1.0], [2.0], [4.0]], lambda x: jnp.where(x == 2, 0, x)))
    assert (certificate.verdict, certificate.counterexample, found(certificate).absolute) == ("refuted", (2.0,), 2.0)


def test_products_are_enumerated_to_the_last_combination():
    part = identity_on([[0.0], [1.0], [5.0]], lambda x: jnp.where(x == 5, 6, x))
    both = dc.parallel(dc.parity(4, dtype="float64"), part)
    assert isinstance(both.claim.domain, Product)
    certificate = dc.certify(both)
    assert (certificate.verdict, certificate.inputs) == ("refuted", 16 * 3)
    assert certificate.counterexample is not None
    assert certificate.counterexample[4] == 5
    right = dc.parallel(dc.parity(4, dtype="float64"), identity_on([[0.0], [1.0], [5.0]], lambda x: x))
    assert dc.certify(right).verdict == "proved"


def test_a_claim_that_is_too_tight_is_refuted():
    construction = dc.parity(4, activation="sigmoid", readout="raw", dtype="float64")
    error = dc.Bound(found(dc.certify(construction)).absolute * 0.99)
    tight = dc.claim(construction.network, dataclasses.replace(construction.claim, error=error))
    assert dc.certify(tight).verdict == "refuted"


def test_nan_weights_can_not_slip_in():
    good = dc.parity(4)
    bad = eqx.tree_at(lambda network: network.layers[0].linear.blocks, good.network, replace_fn=lambda w: w * jnp.nan)
    with pytest.raises(ValueError, match="weights must be finite; got nan"):
        dc.claim(bad, good.claim)
    with pytest.raises(ValueError, match="weights must be finite; got nan"):
        dataclasses.replace(good, network=bad)


@pytest.mark.parametrize("method", ["exhaustive", "sampling"])
def test_a_network_whose_output_is_nan_is_refuted(method):
    good = dc.parity(3, dtype="float32")
    # Finite weights whose sums overflow: infinity minus infinity.
    huge = jax.tree.map(lambda w: jnp.where(w > 0, 3e38, -3e38).astype("float32"), good.network)
    certificate = dc.certify(dc.claim(huge, good.claim), method=method)
    assert certificate.verdict == "refuted"
    assert certificate.counterexample is not None


def test_a_target_that_is_nan_is_refuted():
    assert dc.certify(with_target(dc.parity(3), lambda x: x[..., :1] * jnp.nan)).verdict == "refuted"


LINEAR = {
    "fft": lambda: dc.fft(16, dtype="complex64"),
    "fft of one number": lambda: dc.fft(1, dtype="complex64"),
    "double precision": lambda: dc.fft(64, dtype="complex128"),
    "unitary": lambda: dc.fft(32, norm="ortho", inverse=True, dtype="complex64"),
    "real": lambda: dc.realify(dc.fft(8, dtype="complex64")),
    "there and back": lambda: dc.series(dc.fft(8, dtype="complex64"), dc.fft(8, inverse=True, dtype="complex64")),
    "twice real": lambda: dc.series(*[dc.realify(dc.fft(8, norm="ortho", dtype="complex64"))] * 2),
    "side by side": lambda: dc.parallel(
        dc.fft(4, norm="ortho", dtype="complex64"), dc.fft(8, norm="ortho", dtype="complex64")
    ),
    "repeated": lambda: dc.repeat(dc.fft(4, norm="ortho", dtype="complex64"), 5),
}


@pytest.mark.default_cases(2)
@pytest.mark.parametrize("name", LINEAR)
def test_basis_proof_of_linear_networks(name):
    construction = LINEAR[name]()
    certificate = dc.certify(construction)
    assert (certificate.verdict, certificate.method, certificate.inputs) == ("proved", "basis", 0)
    assert certificate.backend is None
    assert found(certificate).absolute == 0
    assert found(certificate).relative <= certificate.claimed.relative == construction.claim.error.relative


@dataclasses.dataclass(frozen=True)
class Matrix(AbstractTarget):
    """A linear target given by its matrix."""

    rows: tuple[tuple[float, ...], ...]

    @property
    def name(self):
        return "matrix"

    def _evaluate(self, x):
        return x @ np.array(self.rows).T

    @property
    def is_linear(self):
        return True

    def matrix(self):
        return np.array(self.rows, np.longdouble)

    def stretch(self):
        values = np.linalg.svd(np.array(self.rows), compute_uv=False)
        low = values[-1] if len(values) == len(self.rows[0]) and values[-1] > 1e-9 else 0.0
        return float(low) * (1 - 1e-12), float(values[0]) * (1 + 1e-12)


def linear_construction(matrix, layers, absolute=0.0):
    rows = tuple(tuple(float(value) for value in row) for row in matrix)
    claim = dc.Claim(Matrix(rows), Space(len(rows[0])), Space(len(rows)), dc.Bound(absolute, 1e-5))
    return dc.claim(Network(tuple(Layer(layer) for layer in layers)), claim)


def hadamard_layers(k):
    block = jnp.array([[1, 1], [1, -1]], jnp.float32)
    return [Kronecker(block, outer=2**i, inner=2 ** (k - 1 - i)) for i in range(k)]


@pytest.mark.promotes
def test_basis_proof_of_kronecker_factors():
    matrix = np.ones((1, 1))
    for _ in range(4):
        matrix = np.kron(matrix, [[1, 1], [1, -1]])
    assert dc.certify(linear_construction(matrix, hadamard_layers(4))).verdict == "proved"
    wrong = matrix.copy()
    wrong[3, 5] += 0.01
    assert dc.certify(linear_construction(wrong, hadamard_layers(4))).verdict == "refuted"


@pytest.mark.promotes
def test_basis_proof_of_a_tall_product():
    left, right = np.array([[1, 2], [3, -1], [0, 5], [2, 2]]), np.array([[2, 1], [1, 3]])
    layers = [Dense(jnp.asarray(factor, jnp.float32)) for factor in (right, left)]
    assert dc.certify(linear_construction(left @ right, layers)).verdict == "proved"


@pytest.mark.promotes
def test_a_low_rank_map_is_only_tested():
    # Some inputs go to zero, where no relative error can be promised.
    left, right = np.array([[1.0], [2.0]]), np.array([[3.0, 1.0]])
    layers = [Dense(jnp.asarray(factor, jnp.float32)) for factor in (right, left)]
    certificate = dc.certify(linear_construction(left @ right, layers, absolute=1e-4))
    assert (certificate.verdict, certificate.method) == ("tested", "sampling")


def fft_off_by(change, n=16):
    """The FFT with one twiddle of its last stage changed."""
    good = dc.fft(n, dtype="complex128")
    leaves, treedef = jax.tree.flatten(good.network)
    leaves[-1] = leaves[-1].at[0, 0, 1, 3].add(change)
    return dc.claim(jax.tree.unflatten(treedef, leaves), good.claim)


def test_a_twiddle_that_is_off_is_refuted():
    certificate = dc.certify(fft_off_by(1e-3))
    assert (certificate.verdict, certificate.method) == ("refuted", "basis")
    bad, x = fft_off_by(1e-3), np.array(certificate.counterexample)
    error = np.linalg.norm(np.asarray(bad(x)) - np.fft.fft(x)) / np.linalg.norm(np.fft.fft(x))
    assert error > certificate.claimed.relative


# One entry d of the last stage, times rows of norm sqrt(n / 2), is d / sqrt(2) of the norm sqrt(n).
@pytest.mark.parametrize("share,proved", [(0.01, True), (1.01, False), (3.0, False)])
def test_a_twiddle_off_by_a_share_of_the_claim(share, proved):
    claimed = dc.fft(16, dtype="complex128").claim.error.relative
    certificate = dc.certify(fft_off_by(share * claimed * math.sqrt(2)))
    assert (certificate.verdict == "proved") == proved


@pytest.mark.parametrize("samples", [1, 500])
def test_samples_test_but_never_prove(samples):
    certificate = dc.certify(dc.parity(27), method="sampling", samples=samples)
    assert (certificate.verdict, certificate.method, certificate.inputs) == ("tested", "sampling", samples)
    small = dc.certify(dc.parity(2), method="sampling", samples=samples)
    assert small.verdict == "tested"


def test_samples_can_refute():
    certificate = dc.certify(with_target(dc.parity(40), lambda x: x[..., :1]), samples=100)
    assert certificate.verdict == "refuted"
    example = np.array(certificate.counterexample)
    assert example.sum() % 2 != example[0]


def test_the_certificate_says_what_was_checked():
    certificate = dc.certify(dc.parity(3, encoding="signs", dtype="float32"), method="exhaustive")
    assert certificate.name == "parity(3, signs)"
    assert certificate.domain == "Signs(n=3)"
    assert (certificate.dtype, certificate.backend) == ("float32", None)
    assert str(certificate) == "proved (exhaustive, 8 inputs): error 0"


@pytest.mark.promotes
def test_a_refutation_shows_its_input():
    text = str(dc.certify(with_target(dc.parity(10), parity_but_at(5, 10))))
    assert text.startswith("refuted (exhaustive, 1,024 inputs): error ")
    assert text.endswith(" at (1, 0, 1, 0, 0, 0, 0, 0, ...)")


def test_the_digest_follows_the_weights():
    first, again, other = dc.parity(4), dc.parity(4), dc.parity(4, activation="step")
    moved = dc.claim(jax.tree.map(lambda w: w * (1 + 1e-6), first.network), first.claim)
    digests = [dc.certify(c).digest for c in (first, again, other, moved)]
    assert digests[0] == digests[1]
    assert len(set(digests[1:])) == 3


@pytest.mark.slow
def test_sixteen_million_inputs_are_run():
    certificate = dc.certify(dc.parity(24, dtype="float32"), method="exhaustive")
    assert (certificate.verdict, certificate.inputs, found(certificate).absolute) == ("proved", 2**24, 0)


def test_a_composition_is_proved_on_all_inputs():
    two = dc.parity(8, dtype="float32")
    tree = dc.series(dc.parallel(two, two), dc.parity(2, dtype="float32"))
    certificate = dc.certify(tree, method="exhaustive")
    assert (certificate.verdict, certificate.inputs) == ("proved", 65_536)


def test_a_target_outside_its_codomain_is_refuted_where_it_leaves():
    # The network computes the sum exactly, but a sum isn't a bit, and compositions rely on that.
    network = Network((Layer(Dense(jnp.ones((1, 2)))),))
    target = dc.Target("sum", lambda x: x.sum(axis=-1, keepdims=True))
    for method in ("exhaustive", "sampling"):
        wrong = dc.claim(network, dc.Claim(target, dc.domains.Bits(2), dc.domains.Bits(1), dtype="float64"))
        certificate = dc.certify(wrong, method=method)
        assert certificate.verdict == "refuted"
        assert certificate.counterexample == (1.0, 1.0)
        right = dc.claim(network, dc.Claim(target, dc.domains.Bits(2), Points([[0.0], [1.0], [2.0]]), dtype="float64"))
        assert dc.certify(right, method=method).holds


@pytest.mark.promotes
@pytest.mark.parametrize("function", [lambda x: x.sum(axis=-1), lambda x: x[..., :1] * np.ones(2), lambda x: x.sum()])
def test_a_target_of_another_shape_is_refused_before_it_broadcasts(function):
    network = Network((Layer(Dense(jnp.ones((1, 2)))),))
    claim = dc.Claim(dc.Target("sum", function), dc.domains.Bits(2), dc.domains.Bits(1), dtype="float64")
    with pytest.raises(ValueError, match=r"claim: target 'sum' must map \(\*batch, 2\) to \(\*batch, 1\); it maps"):
        dc.claim(network, claim)


def test_sampling_measures_relative_claims_in_their_own_terms():
    certificate = dc.certify(dc.fft(64, dtype="complex64"), method="sampling")
    assert certificate.claimed == dc.fft(64, dtype="complex64").claim.error
    assert found(certificate).absolute == 0
    assert 0 < found(certificate).relative < certificate.claimed.relative


@pytest.mark.slow
def test_sampling_of_a_wide_network_runs_in_blocks():
    certificate = dc.certify(dc.parity(2**17, tied=True, dtype="float32"), method="sampling", samples=200)
    assert certificate.verdict == "tested"
    assert certificate.inputs >= 200


def test_notebooks_show_a_certificate_as_a_table():
    refuted = dc.certify(with_target(dc.parity(2), lambda x: 1 + 0 * x[..., :1]))
    shown = refuted._repr_html_()
    for part in ("refuted (exhaustive, 4 inputs)", "Bits(n=2)", "<td>counterexample</td>", "extended precision"):
        assert part in shown
    assert "<td>counterexample</td>" not in dc.certify(dc.parity(2))._repr_html_()
