"""The FFT network against numpy.fft, its cost, and a claim that is true and not too wide."""

import functools
import itertools
from typing import Any

import jax
import numpy as np
import pytest

import deepconstruct as dc
from deepconstruct._arithmetic.rounding import linear_rounding, unit_roundoff
from deepconstruct.linear import as_matrix
from deepconstruct.network import flat_layers
from marks import slow_among

SIZES = [2**k for k in range(13)]
NORMS = ["backward", "ortho", "forward"]
PRECISIONS = ["complex64", "complex128"]


@functools.cache
def plain_matrix(n):
    return np.fft.fft(np.eye(n))


def plain(x, *, inverse=False, norm: Any = "backward"):
    return (np.fft.ifft if inverse else np.fft.fft)(x, axis=-1, norm=norm)


def spectral_norm(matrix):
    """The 2-norm: exactly for small matrices, else by power iteration from several random starts."""
    n = len(matrix)
    if n <= 64:
        return float(np.linalg.norm(matrix, 2))
    random = np.random.default_rng(0)
    vectors = random.normal(size=(n, 4)) + 1j * random.normal(size=(n, 4))
    for _ in range(8):
        vectors = matrix.conj().T @ (matrix @ (vectors / np.linalg.norm(vectors, axis=0)))
    # A few steps come within some percent of it from below.
    return 1.2 * float(np.sqrt(np.linalg.norm(vectors, axis=0).max()))


@pytest.mark.default_cases(2)
@pytest.mark.parametrize("n", slow_among(SIZES, (32, 64, 128, 512, 2048, 4096)))
@pytest.mark.parametrize("dtype,limit", [("complex64", 1e-6), ("complex128", 2e-15)])
def test_matrix_agrees_with_numpy_in_the_2_norm(dtype, limit, n):
    network = dc.fft(n, dtype=dtype).network
    got = jax.jit(lambda x: network(x, axis=0))(np.eye(n, dtype=dtype))
    assert got.dtype == dtype
    error = spectral_norm(np.asarray(got) - plain_matrix(n)) / np.sqrt(n)
    assert error <= limit * (np.log2(2 * n) if dtype == "complex128" else 1)


def test_the_2_norm_sees_one_wrong_entry():
    wrong = np.zeros((512, 512), complex)
    wrong[3, 5] = 1e-3
    assert spectral_norm(wrong) >= 1e-3


@pytest.mark.parametrize("n", [1, 2, 8, 64])
@pytest.mark.parametrize("inverse,norm", list(itertools.product([False, True], NORMS)))
def test_every_norm_and_direction_agrees_with_numpy(inverse, norm, n):
    construction = dc.fft(n, inverse=inverse, norm=norm, dtype="complex128")
    wanted = plain(np.eye(n), inverse=inverse, norm=norm)
    error = np.linalg.norm(np.asarray(construction(np.eye(n))) - wanted, 2)
    assert error <= 4e-15 * np.log2(2 * n) * np.linalg.norm(wanted, 2)


def stages_of(construction):
    """The twiddles of every stage, shape `(copies, 2, 2, half)`."""
    return [np.asarray(leaf) for leaf in jax.tree.leaves(construction.network)]


def vectors(n, count, seed=0):
    random = np.random.default_rng(seed)
    return random.normal(size=(count, n)) + 1j * random.normal(size=(count, n))


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("n", [1, 4, 256])
def test_inverse_undoes_the_transform(n, norm):
    there, back = (dc.fft(n, inverse=inverse, norm=norm, dtype="complex128") for inverse in (False, True))
    x = vectors(n, 5)
    allowed = 1.01 * (there.claim.error.relative + back.claim.error.relative)
    error = np.linalg.norm(np.asarray(back(there(x))) - x, axis=-1)
    assert np.all(error <= allowed * np.linalg.norm(x, axis=-1))


def test_the_network_is_linear():
    network = jax.jit(dc.fft(64, dtype="complex128").network)
    x, y = vectors(64, 2)
    together = network(2.5j * x - y)
    assert np.allclose(together, 2.5j * network(x) - network(y), rtol=0, atol=1e-12)
    assert np.array_equal(network(0 * x), np.zeros(64))


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("axis", [0, 1, -1, -2])
def test_features_may_lie_on_any_axis(axis):
    network, x = dc.fft(8, dtype="complex128").network, np.moveaxis(vectors(8, 6).reshape(2, 3, 8), -1, axis)
    assert np.allclose(network(x, axis=axis), np.fft.fft(x, axis=axis), rtol=0, atol=1e-13)


def test_real_and_integer_input_is_cast():
    record = np.arange(16)
    for x in (record, record.astype(np.float32), record % 2 == 0):
        assert np.allclose(dc.fft(16, dtype="complex64")(x), np.fft.fft(x), rtol=0, atol=1e-4)


@pytest.mark.parametrize("n,neighbours", [(12, "8 and 16"), (3, "2 and 4"), (1000, "512 and 1024")])
def test_other_sizes_are_refused_by_name(n, neighbours):
    with pytest.raises(ValueError, match=f"fft: n must be a power of two for now; got n={n}. .* {neighbours}"):
        dc.fft(n)


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("inverse", [False, True])
def test_quarter_turns_are_exact(inverse, dtype):
    norm = "forward" if inverse else "backward"
    for twiddles in stages_of(dc.fft(64, inverse=inverse, norm=norm, dtype=dtype)):
        parts = np.stack([np.real(twiddles), np.imag(twiddles)])
        # Nothing but the exact value lies near 0, 1 or -1.
        for value in (-1, 0, 1):
            assert np.all(parts[np.abs(parts - value) < 1e-3] == value)


@pytest.mark.parametrize("dtype", PRECISIONS)
def test_twiddles_are_correctly_rounded(dtype):
    angle = 2 * np.arccos(np.longdouble(-1)) * np.arange(128) / 256
    wanted = np.cos(angle) - 1j * np.sin(angle)
    got = stages_of(dc.fft(256, dtype=dtype))[-1][0, 0, 1].astype(np.clongdouble)
    half_ulp = unit_roundoff(dtype) / 2 * 1.01
    for part in (np.real, np.imag):
        _, exponent = np.frexp(np.abs(part(wanted)))
        assert np.all(np.abs(part(got) - part(wanted)) <= half_ulp * 2.0**exponent + 1e-18)


@pytest.mark.parametrize("stages", range(1, 13))
def test_cost_by_formula(stages):
    n, cost = 2**stages, dc.cost(dc.fft(2**stages, dtype="complex64"))
    assert (cost.layers, cost.depth, cost.synapses) == (stages, stages - 1, 2 * n * stages)
    assert (cost.neurons, cost.linear_neurons) == (n * (stages - 1), n * (stages - 1))
    assert cost.parameters == cost.synapses


@pytest.mark.parametrize("stages", [1, 2, 3, 5, 8])
def test_real_synapses_by_formula(stages):
    n = 2**stages
    real = dc.realify(dc.fft(n, dtype="complex64"))
    assert dc.cost(real).synapses == 6 * n * stages - 6 * n + 8


@pytest.mark.parametrize("n", [2, 16, 128])
def test_the_real_network_is_the_block_matrix(n):
    real = dc.realify(dc.fft(n, dtype="complex128"))
    f = np.fft.fft(np.eye(n))
    wanted = np.block([[f.real, -f.imag], [f.imag, f.real]])
    assert np.allclose(np.asarray(real(np.eye(2 * n))).T, wanted, rtol=0, atol=1e-13 * n)


def adversaries(n):
    """Vectors that load single stages, single outputs and single rounding errors."""
    chirp = np.exp(1j * np.pi * np.arange(n) ** 2 / n)
    pairs = np.eye(n)[:4] + 1j * np.roll(np.eye(n), 1, axis=1)[:4]
    waves = np.fft.ifft(np.eye(n))[[0, 1 % n, n // 2, n - 1]]
    scales = np.array([1.0, 2.0**-12, 1 / 3, 1e6])[np.random.default_rng(1).integers(0, 4, (4, n))]
    return np.concatenate([np.eye(n)[:4], np.ones((1, n)), chirp[None], pairs, waves, scales * vectors(n, 4)])


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("stages", slow_among(range(1, 13), (6, 7, 9, 10, 12)))
@pytest.mark.parametrize("norm", NORMS)
def test_claim_holds_on_random_and_adversarial_vectors(norm, stages):
    n = 2**stages
    construction = dc.fft(n, norm=norm, dtype="complex64")
    x = np.concatenate([vectors(n, 16), adversaries(n)]).astype(np.complex64)
    got = np.asarray(jax.jit(construction.network)(x), np.complex128)
    wanted = plain(x.astype(np.complex128), norm=norm)
    error = np.linalg.norm(got - wanted, axis=-1) / np.linalg.norm(wanted, axis=-1)
    assert error.max() <= construction.claim.error.relative


def storing_error(n, norm, dtype):
    """What rounding the twiddles adds, relative in the 2-norm, stage by stage."""
    total = 1.0
    for twiddles in stages_of(dc.fft(n, norm=norm, dtype=dtype)):
        blocks = twiddles[0].astype(np.clongdouble)
        half = blocks.shape[-1]
        angle = np.arccos(np.longdouble(-1)) * np.arange(half) / half
        roots = np.cos(angle) - 1j * np.sin(angle)
        factor = 1 / np.sqrt(np.longdouble(2)) if norm == "ortho" else abs(blocks[0, 0, 0])
        # The difference is a block [[a, b], [a, -b]], whose columns are orthogonal.
        off = np.stack([blocks[0, 0] - factor, blocks[0, 1] - factor * roots])
        total *= 1 + float(np.abs(off).max() / factor)
    return total - 1


# The bound is one multiple of the unit roundoff, so single precision is looked at once a norm.
BOUNDED = [*((stages, "complex128") for stages in range(1, 13)), (5, "complex64")]


@pytest.mark.default_cases(5)
@pytest.mark.parametrize("stages,dtype", slow_among(BOUNDED, [(stages, "complex128") for stages in (6, 8, 9, 11, 12)]))
@pytest.mark.parametrize("norm", NORMS)
def test_claim_is_the_a_priori_bound_and_little_more(norm, stages, dtype):
    construction = dc.fft(2**stages, norm=norm, dtype=dtype)
    rounding, _ = linear_rounding(construction.network, unit_roundoff(dtype))
    low, _ = construction.claim.target.stretch()
    bound = rounding / low + storing_error(2**stages, norm, dtype)
    assert bound <= construction.claim.error.relative <= (3 if stages == 1 else 2) * bound


def test_size_one_is_exact():
    construction = dc.fft(1, dtype="complex64")
    assert construction.claim.error.is_exact
    assert construction([3 - 4j]).tolist() == [3 - 4j]


def test_stages_have_two_weights_a_row():
    for layer in flat_layers(dc.fft(32, dtype="complex64").network):
        assert np.array_equal((np.asarray(as_matrix(layer.linear)) != 0).sum(axis=1), np.full(32, 2))
