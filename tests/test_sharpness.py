"""Sharpness: against exact Hessians, analytic quadratics, and what scaling of layers must do."""

import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import deepconstruct as dc
from deepconstruct._analysis import curvature
from deepconstruct._analysis.curvature import flat_weights, largest_eigenvalue
from deepconstruct._analysis.sharpness import _traces
from deepconstruct.losses.base import squared_modulus

KEY, SLOW = jax.random.key(0), pytest.mark.slow


def random_network(sizes, *, dtype="float64", activation="tanh", seed=0):
    random = np.random.default_rng(seed)
    weights = [random.normal(size=(out, into)) / math.sqrt(into) for into, out in itertools.pairwise(sizes)]
    biases = [random.normal(size=out) for out in sizes[1:]]
    if np.dtype(dtype).kind == "c":
        weights = [w + 1j * random.normal(size=w.shape) for w in weights]
        biases = [b + 1j * random.normal(size=b.shape) for b in biases]
    return dc.Network.from_matrices(weights, biases, [activation] * (len(sizes) - 2) + ["identity"], dtype=dtype)


def squares(network, key):
    """The mean square of the distance from the first inputs, on fixed inputs; complex outputs too."""
    x = jnp.asarray(np.random.default_rng(1).normal(size=(7, network.in_size)), network.dtype)
    off = network(x) - x[:, : network.out_size]
    return jnp.mean(off.real**2 + off.imag**2 if jnp.iscomplexobj(off) else off**2)


def exact_hessian(network, loss):
    """JAX's whole Hessian in the real numbers, by JAX's own flattening: real parts of a leaf, then imaginary ones."""
    leaves, structure = jax.tree.flatten(network)
    kinds = [jnp.iscomplexobj(leaf) for leaf in leaves]
    parts = [(leaf.real, leaf.imag) if k else (leaf,) for leaf, k in zip(leaves, kinds, strict=True)]
    flat, rebuild = ravel_pytree(parts)

    def of_flat(flat):
        found = [jax.lax.complex(*part) if k else part[0] for part, k in zip(rebuild(flat), kinds, strict=True)]
        return loss(jax.tree.unflatten(structure, found), KEY)

    return np.asarray(jax.jit(jax.hessian(of_flat))(flat))


@functools.cache
def case(name):
    """A network, a loss, its sharpness and the exact Hessian with the sizes of the layers' blocks."""
    fft = dc.fft(4, dtype="complex128")
    network, loss = {
        "tanh": (random_network((3, 5, 2)), squares),
        "relu": (random_network((2, 4, 3, 1), activation="relu"), squares),
        "float32": (random_network((3, 5, 2), dtype="float32"), squares),
        "complex": (random_network((2, 3, 2), dtype="complex128", activation="identity"), squares),
        "fft": (fft.network, dc.losses.population(fft.claim.target.matrix())),
        "one": (dc.Network.from_matrices([[[3.0]]], None, ["relu"], dtype="float64"), squares),
    }[name]
    matrix = exact_hessian(network, loss)
    sizes = [
        sum(leaf.size * (2 if jnp.iscomplexobj(leaf) else 1) for leaf in jax.tree.leaves(p)) for p in network.layers
    ]
    return network, loss, dc.sharpness(network, loss, key=KEY), matrix, sizes


@pytest.mark.parametrize("names", [("fft",), pytest.param(("tanh", "relu", "float32", "complex", "one"), marks=SLOW)])
def test_all_numbers_are_those_of_the_exact_hessian(names):
    for name in names:
        network, loss, found, matrix, sizes = case(name)
        rtol = 1e-4 if name == "float32" else 1e-8
        values = np.linalg.eigvalsh(matrix.astype(np.float64))
        scale = np.abs(values).max()
        assert found.parameters == len(matrix) == sum(sizes), name
        assert found.loss == pytest.approx(float(loss(network, KEY)), rel=1e-6), name
        assert found.largest == pytest.approx(values[-1], abs=rtol * scale), name
        assert np.min(np.abs(values - found.largest)) <= found.residual + rtol * scale, name
        assert found.residual <= 2e-5 * scale, name
        assert found.trace == pytest.approx(np.trace(matrix), abs=rtol * scale), name  # fewer weights than probes
        assert found.trace_error == 0, name
        ends = np.cumsum([0, *sizes])
        blocks = [np.trace(matrix[a:b, a:b]) for a, b in itertools.pairwise(ends)]
        np.testing.assert_allclose(found.layers, blocks, atol=rtol * scale, err_msg=name)


def test_the_hessian_of_the_modulus_is_right_where_it_is_zero():
    # The Fourier transform errs by 0, where JAX's second derivative of a modulus is 0.
    _, _, found, matrix, _ = case("fft")
    assert found.loss == 0
    assert found.largest == pytest.approx(8)
    assert np.linalg.eigvalsh(matrix)[-1] == pytest.approx(8)
    twice = jax.grad(jax.grad(lambda t: squared_modulus(jax.lax.complex(t, t))))
    assert twice(0.0) == 4


def diagonal_case(curvatures, dtype="float64"):
    """A network of one weight a unit and the loss `sum c_i (w_i - 1)^2 / 2`, at all weights 1."""
    n = len(curvatures)
    network = dc.Network((dc.Layer(dc.linear.Sparse(range(n), range(n), np.ones(n, dtype), (n, n))),))
    c = jnp.asarray(curvatures, dtype)
    return network, lambda net, key: jnp.sum(c * (jax.tree.leaves(net)[0] - 1) ** 2) / 2


@functools.cache
def quadratic():
    curvatures = np.random.default_rng(3).uniform(-1, 5, 127)
    network, loss = diagonal_case(curvatures)
    return curvatures, dc.sharpness(network, loss, epsilon=0.01, probes=10, key=KEY)


def test_a_quadratic_has_the_numbers_of_its_formula():
    curvatures, found = quadratic()
    assert found.largest == pytest.approx(curvatures.max(), rel=1e-6)
    assert found.trace == pytest.approx(curvatures.sum(), rel=1e-12)  # random signs are exact on a diagonal
    assert found.trace_error == pytest.approx(0, abs=1e-12)
    # In the box of radius 0.01 (1 + 1) all weights of positive curvature go to a face, and the others stay.
    highest = np.sum(curvatures[curvatures > 0]) / 2 * 0.02**2
    assert found.rise == pytest.approx(highest, rel=1e-2)
    assert found.rise <= highest * (1 + 1e-12)
    assert found.keskar == 100 * found.rise  # over 1 + 0, in percent


def test_a_slope_and_maxima_inside_are_climbed():
    network = dc.Network.from_matrices([[[2.0]]], None, ["relu"], dtype="float64")
    weight = lambda net: jax.tree.leaves(net)[0][0, 0]  # noqa: E731
    up = dc.sharpness(network, lambda net, key: 5 * weight(net), epsilon=0.1, key=KEY)
    assert up.rise == pytest.approx(5 * 0.3)  # the radius is 0.1 (2 + 1)
    assert up.keskar == pytest.approx(100 * 1.5 / 11)
    assert up.largest == up.trace == up.residual == 0
    hill = dc.sharpness(network, lambda net, key: -((weight(net) - 2.1) ** 2), epsilon=0.1, steps=50, key=KEY)
    assert hill.rise == pytest.approx(0.01, abs=1e-4)
    assert hill.largest == pytest.approx(-2)
    assert math.isnan(dc.sharpness(network, lambda net, key: weight(net) - 9, key=KEY).keskar)


@pytest.mark.slow
def test_the_rise_is_met_inside_of_the_box(monkeypatch):
    network, loss, _, _, _ = case("tanh")
    epsilon = 0.05
    found = dc.sharpness(network, loss, epsilon=epsilon, key=KEY)
    center = np.asarray(flat_weights(network))
    radii = epsilon * (np.abs(center) + 1)
    random = np.random.default_rng(0)
    values = jax.jit(jax.vmap(lambda flat: loss(curvature._with_weights(network, flat), KEY)))
    corners = values(jnp.asarray(center + radii * random.choice([-1, 1], (5000, len(center)))))
    assert found.rise >= float(corners.max()) - found.loss  # better than chance
    seen = []
    real = curvature._with_weights
    monkeypatch.setattr(curvature, "_with_weights", lambda net, flat: (seen.append(flat), real(net, flat))[1])
    with jax.disable_jit():
        again = float(np.max(curvature.highest(network, loss, KEY, jnp.ones((1, len(center))), jnp.asarray(radii), 5)))
    assert again - found.loss <= found.rise * 1.5


def test_estimated_traces_hold_within_their_errors():
    random = np.random.default_rng(2)
    matrix = random.normal(size=(60, 60))
    matrix = matrix + matrix.T
    blocks = [np.trace(matrix[:7, :7]), np.trace(matrix[7:, 7:]), np.trace(matrix)]
    found = [_traces(lambda v: matrix @ v, [7, 53], 30, random) for _ in range(200)]
    off = np.array([(traces - blocks) / errors for traces, errors in found])
    assert np.all(np.abs(off.mean(axis=0)) < 0.25)  # no bias
    assert np.all(np.abs(np.sqrt(np.mean(off**2, axis=0)) - 1) < 0.2)  # neither boast nor modesty
    exact, none = _traces(lambda v: matrix @ v, [7, 53], 60, random)
    np.testing.assert_allclose(exact, blocks)
    assert not none.any()


def test_too_few_vectors_show_in_the_residual():
    network, _, _, matrix, _ = case("tanh")
    found = dc.sharpness(network, squares, probes=2, iterations=2, starts=1, steps=1, key=KEY)
    values = np.linalg.eigvalsh(matrix)
    assert found.residual > 0.01 * values[-1]
    assert found.largest < values[-1] * (1 - 1e-4)
    assert np.min(np.abs(values - found.largest)) <= found.residual
    assert found.steps == 2
    assert found.trace_error > 0
    assert sum(found.layers) == pytest.approx(found.trace)


def test_scaling_of_layers_scales_the_blocks_of_the_hessian():
    # The second layer has no bias, which would be in its block and not scale.
    random = np.random.default_rng(0)
    first, bias, second = (random.normal(size=shape) for shape in ((6, 2), 6, (2, 6)))

    def scaled(a):
        return dc.Network.from_matrices([first * a, second / a], [bias * a, None], "relu")

    before = dc.sharpness(scaled(1.0), squares, key=KEY)
    for power in (1, 3, 5):
        a = 2.0**power
        after = dc.sharpness(scaled(a), squares, key=KEY)
        assert after.loss == before.loss
        np.testing.assert_allclose(after.layers, np.array(before.layers) * [a**-2, a**2], rtol=1e-9)
        assert after.largest >= before.layers[1] * a**2 / second.size  # the mean eigenvalue of its larger block


def test_lanczos_finds_eigenvalues_of_any_kind():
    random = np.random.default_rng(0)
    for size in (1, 2, 3, 17, 101):
        turn = np.linalg.qr(random.normal(size=(size, size)))[0]
        cases = [random.normal(size=size), np.zeros(size), np.ones(size), -np.arange(1.0, size + 1)]
        cases += [np.append(np.zeros(size - 1), 1e-8), np.repeat([2.0, -3.0], [(size + 1) // 2, size // 2])]
        for values in cases:
            matrix = (turn * values) @ turn.T
            start = random.normal(size=size)
            found, residual, vector, steps = largest_eigenvalue(lambda v: matrix @ v, start, steps=200, tolerance=1e-9)  # noqa: B023
            scale = np.abs(values).max()
            assert found == pytest.approx(values.max(), abs=1e-8 * scale)
            assert residual <= 1e-8 * scale + 1e-300
            assert np.linalg.norm(vector) == pytest.approx(1)
            assert 1 <= steps <= size


def test_wrong_hessians_are_seen(monkeypatch):
    network, loss, right, matrix, _ = case("tanh")
    real = curvature.hessian_product
    for wrong in (lambda *a: real(*a) * 1.01, lambda *a: real(*a) + 0.01 * a[3], lambda *a: real(*a).at[0].set(0.0)):
        monkeypatch.setattr("deepconstruct._analysis.sharpness.hessian_product", wrong)
        found = dc.sharpness(network, loss, starts=1, steps=1, key=KEY)
        assert found.trace != pytest.approx(np.trace(matrix), rel=1e-6)
        assert found.largest != pytest.approx(right.largest, rel=1e-9) or found.layers != right.layers


def test_constructions_are_taken_and_equal_keys_give_equal_numbers():
    network, loss, _, _, _ = case("fft")
    transform = dc.fft(4, dtype="complex128")
    found = dc.sharpness(transform, loss, probes=10, key=KEY)
    assert found == dc.sharpness(network, loss, probes=10, key=KEY)
    assert found != dc.sharpness(network, loss, probes=10, key=jax.random.key(1))
    assert repr(found).startswith("Sharpness(loss=0, largest=8 (residual ")
    assert repr(found).endswith("% (epsilon 0.001), parameters=32)")


@pytest.mark.slow
def test_a_repeated_block_is_one_part():
    block = random_network((2, 3, 2)).layers
    stacked = jax.tree.map(lambda w: jnp.stack([w, w / 2]), block)
    repeated, unrolled = (
        dc.Network((dc.Repeat(stacked, 2),)),
        dc.Network((*block, *jax.tree.map(lambda w: w / 2, block))),
    )
    one, two = (dc.sharpness(network, squares, key=KEY) for network in (repeated, unrolled))
    assert len(one.layers) == 1
    assert (one.largest, one.trace) == pytest.approx((two.largest, two.trace))
    assert one.parameters == two.parameters == 34


def test_a_diverged_network_has_no_sharpness():
    network = jax.tree.map(lambda w: w * jnp.nan, random_network((3, 5, 2)))
    found = dc.sharpness(network, squares, starts=1, steps=1, key=KEY)
    for number in (found.loss, found.largest, found.residual, found.trace, found.rise, found.keskar):
        assert math.isnan(number)


REFUSED = [
    (TypeError, "sharpness: expected a Network or Construction; got int", {"network": 3}),
    (TypeError, r"sharpness: loss must be called as loss\(network, key\), .* got 3", {"loss": 3}),
    (TypeError, "sharpness: key must be one PRNG key", {"key": 3}),
    (TypeError, r"sharpness: loss must give one real number; got float64 of shape \(2,\)",
     {"loss": lambda net, key: jnp.zeros(2)}),
    (TypeError, "sharpness: loss must give one real number; got complex128",
     {"loss": lambda net, key: jnp.zeros((), complex)}),
    (TypeError, "sharpness: loss must give one real number; got tuple", {"loss": lambda net, key: (1.0, 2.0)}),
    (ValueError, "sharpness: epsilon must be finite and at least 0; got -1", {"epsilon": -1}),
    (ValueError, "sharpness: probes must be at least 2; got 1", {"probes": 1}),
    (ValueError, "sharpness: iterations must be at least 1; got 0", {"iterations": 0}),
    (ValueError, "sharpness: tolerance must be finite and at least 0; got nan", {"tolerance": math.nan}),
    (ValueError, "sharpness: starts must be at least 1; got 0", {"starts": 0}),
    (ValueError, "sharpness: steps must be at least 1; got 0", {"steps": 0}),
    (ValueError, "sharpness: the network has no weights",
     {"network": dc.Network((dc.Layer(dc.linear.Identity(2)),))}),
    (ValueError, "sharpness: second derivatives need weights of at least 32 bits; got bfloat16: pass dc.astype",
     {"network": dc.parity(2, dtype="bfloat16")}),
]  # fmt: skip


def test_what_has_no_sharpness_is_refused():
    for error, message, changes in REFUSED:
        options = {"network": random_network((2, 2)), "loss": squares, "key": KEY, **changes}
        with pytest.raises(error, match=message):
            dc.sharpness(**options)


def test_it_cannot_be_traced():
    network = random_network((2, 2))
    with pytest.raises(TypeError, match="sharpness: the weights are being traced; ask outside jit, vmap and grad"):
        jax.jit(lambda net: dc.sharpness(net, squares, key=KEY).loss)(network)
