"""Networks: input rules, layouts, repeated blocks, and life as a plain pytree under JAX and Optax."""

import itertools
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import deepconstruct as dc
from deepconstruct import activations, linear
from deepconstruct.network import flat_layers, plan
from deepconstruct.network.running import run_layers


def draw(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def mlp(*sizes: int, dtype: str = "float64", seed: int = 0) -> dc.Network:
    """A dense tanh network with a linear readout."""
    layers = []
    for index, (size_in, size_out) in enumerate(itertools.pairwise(sizes)):
        activation = activations.Tanh() if index < len(sizes) - 2 else activations.Identity()
        weight = jnp.asarray(draw(size_out, size_in, seed=seed + index), dtype)
        layers.append(dc.Layer(linear.Dense(weight), jnp.asarray(draw(size_out, seed=seed + 50), dtype), activation))
    return dc.Network(tuple(layers))


def oracle(network: dc.Network, x: np.ndarray) -> np.ndarray:
    *hidden, last = flat_layers(network)
    for layer in hidden:
        x = np.tanh(x @ np.asarray(linear.as_matrix(layer.linear)).T + np.asarray(layer.bias))
    return x @ np.asarray(linear.as_matrix(last.linear)).T + np.asarray(last.bias)


NET = mlp(3, 4, 2)
COMPLEX = dc.Network((dc.Layer(linear.Dense(jnp.asarray(draw(2, 3) + 1j * draw(2, 3, seed=1)))),))
X = draw(5, 3, seed=9)


def stacked(times: int) -> dc.Repeat:
    """Two layers of weights that differ from repetition to repetition."""
    one = [
        (
            dc.Layer(linear.Dense(jnp.asarray(draw(4, 3, seed=t))), jnp.asarray(draw(4, seed=t)), activations.Tanh()),
            dc.Layer(linear.Dense(jnp.asarray(draw(3, 4, seed=t + 60))), None, activations.Tanh()),
        )
        for t in range(times)
    ]
    return dc.Repeat(jax.tree.map(lambda *leaves: jnp.stack(leaves), *one), times)


def test_layers_are_applied_in_order():
    assert np.allclose(NET(X), oracle(NET, X), rtol=0, atol=1e-14)


@pytest.mark.parametrize("dtype", ["bool", "int8", "int64", "uint32", "float16", "float32"])
def test_other_real_inputs_are_cast(dtype):
    x = np.array([[0, 1, 1], [1, 0, 0]]).astype(dtype)
    found = NET(x)
    assert found.dtype == "float64"
    assert np.array_equal(found, NET(x.astype("float64")))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_output_has_the_dtype_of_the_weights(dtype):
    assert mlp(2, 2, dtype=dtype)(np.zeros((1, 2))).dtype == dtype
    assert mlp(2, 2, dtype=dtype).dtype == np.dtype(dtype)


def test_real_input_goes_into_a_complex_network():
    found = COMPLEX(X)
    assert found.dtype == "complex128"
    assert np.allclose(found, X @ np.asarray(linear.as_matrix(flat_layers(COMPLEX)[0].linear)).T)


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_complex_input_to_a_real_network_is_refused(dtype):
    with pytest.raises(TypeError, match=r"Network: complex input to a network of float64 weights; pass the real part"):
        NET(np.zeros((2, 3), dtype))


@pytest.mark.parametrize(
    "shape,axis",
    [((2,), -1), ((5, 4), -1), ((3, 5), -1), ((), -1), ((5, 3), 0), ((3,), 1), ((3,), -2)],
    ids=str,
)
def test_a_wrong_width_is_refused(shape, axis):
    with pytest.raises(ValueError, match=f"Network: expected 3 features on axis {axis}; got an array of shape"):
        NET(np.zeros(shape), axis=axis)


def test_an_empty_batch_is_allowed():
    assert NET(np.zeros((0, 3))).shape == (0, 2)


@pytest.mark.parametrize("shape", [(0,), (2, 0), (0, 0)], ids=str)
@pytest.mark.parametrize("size,make", [(4, lambda: dc.fft(4)), (5, lambda: dc.parity(5)), (3, lambda: NET)])
def test_empty_batches_keep_their_shape(size, make, shape):
    network = getattr(make(), "network", NET)
    x = jax.ShapeDtypeStruct((*shape, size), "float64")
    assert jax.eval_shape(network, x).shape == (*shape, network.out_size)


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2, -3])
def test_features_on_any_axis(axis):
    x = draw(2, 5, 3)
    moved = np.moveaxis(x, -1, axis)
    assert np.allclose(NET(moved, axis=axis), np.moveaxis(oracle(NET, x), -1, axis), rtol=0, atol=1e-14)


# Layers -------------------------------------------------------------------------------------------


def test_layer_outputs_are_those_of_every_layer():
    hidden, readout = dc.layer_outputs(NET, X)
    first = flat_layers(NET)[0]
    wanted = np.tanh(X @ np.asarray(linear.as_matrix(first.linear)).T + np.asarray(first.bias))
    assert np.allclose(hidden, wanted, rtol=0, atol=1e-14)
    assert np.allclose(readout, NET(X), rtol=0, atol=1e-14)


def test_layer_outputs_unroll_repeats_and_keep_leading_axes():
    outputs = dc.layer_outputs(dc.Network((stacked(3),)), draw(2, 5, 3))
    assert [h.shape for h in outputs] == [(2, 5, 4), (2, 5, 3)] * 3


def test_layer_outputs_take_constructions():
    assert [h.shape for h in dc.layer_outputs(dc.parity(4), np.zeros((2, 4)))] == [(2, 4), (2, 2), (2, 1)]  # pyright: ignore


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("times", [1, 2, 5])
def test_repeat_equals_its_layers_one_after_another(times):
    repeat = stacked(times)
    rolled, flat = dc.Network((repeat,)), dc.Network(repeat.unrolled())
    assert len(flat.layers) == 2 * times
    assert np.allclose(jax.jit(rolled)(X), jax.jit(flat)(X), rtol=0, atol=1e-12)


def test_repeat_is_one_scan_however_deep():
    lengths = [len(str(jax.make_jaxpr(dc.Network((stacked(t),)))(X))) for t in (3, 30)]
    assert abs(lengths[0] - lengths[1]) < 100


def test_butterflies_run_in_pairs_but_keep_their_leaves():
    network = dc.fft(16).network
    gradient = jax.eval_shape(jax.grad(lambda n: jnp.sum(jnp.real(n(jnp.ones(16))))), network)
    assert jax.tree.map(jnp.shape, gradient).layers == jax.tree.map(jnp.shape, network).layers
    assert len(plan(network.layers)) == 2


@pytest.mark.parametrize(
    "label,width,gates",
    [
        (dc.Label("xor", group=2), 6, [0, 0, 1, 1, 2, 2]),
        (dc.Label("xor", group=2, strided=True), 6, [0, 1, 2, 0, 1, 2]),
        (dc.Label("xor", group=3, strided=True), 6, [0, 1, 0, 1, 0, 1]),
        (dc.Label("unit"), 3, [0, 1, 2]),
    ],
)
def test_label_traces_units_to_gates(label, width, gates):
    assert [label.gate(unit, width) for unit in range(width)] == gates


@pytest.mark.parametrize("n,activation", [(8, "relu"), (16, "step")])
def test_labels_of_the_parity_tree_name_its_gates(n, activation):
    # Both units of one gate, and they alone, see the same two inputs.
    layer = dc.parity(n, activation=activation).network.layers[0]
    pattern = np.asarray(linear.as_matrix(layer.linear)) != 0  # pyright: ignore
    assert layer.label is not None  # pyright: ignore
    gates = [layer.label.gate(unit, layer.out_size) for unit in range(layer.out_size)]  # pyright: ignore
    for a, b in itertools.combinations(range(len(gates)), 2):
        assert (gates[a] == gates[b]) == bool(np.array_equal(pattern[a], pattern[b]))


# As a pytree --------------------------------------------------------------------------------------

BARE = {
    "parity": lambda: dc.parity(8).network,
    "tied": lambda: dc.parity(8, tied=True).network,
    "fft": lambda: dc.fft(8).network,
    "repeat": lambda: dc.Network((stacked(3),)),
    "joined": lambda: dc.parallel(dc.parity(3), dc.parity(4)).network,
}
EVERY = pytest.mark.parametrize("make", BARE.values(), ids=BARE.keys())


@pytest.mark.default_cases(1)
@EVERY
def test_jit_of_the_network_itself(make):
    network = make()
    x = np.ones((2, network.in_size))
    assert np.allclose(jax.jit(network)(x), network(x), rtol=0, atol=1e-12)


@pytest.mark.default_cases(2)
@EVERY
def test_jit_with_the_network_as_argument_traces_once(make):
    traces = []

    @jax.jit
    def run(network, x):
        traces.append(1)
        return network(x)

    for network in (make(), make(), jax.tree.map(lambda leaf: 2 * leaf, make())):
        run(network, np.ones((2, network.in_size)))
    assert len(traces) == 1


@pytest.mark.default_cases(2)
@EVERY
def test_vmap_over_inputs_is_the_batch(make):
    network = make()
    x = draw(4, network.in_size)
    assert np.allclose(jax.jit(jax.vmap(network))(x), jax.jit(network)(x), rtol=0, atol=1e-12)


@pytest.mark.default_cases(1)
@EVERY
def test_vmap_over_networks(make):
    network = make()
    pair = jax.tree.map(lambda leaf: jnp.stack([leaf, 2 * leaf]), network)
    x = draw(4, network.in_size)
    run = jax.jit(lambda n: n(x))
    found = jax.jit(jax.vmap(lambda n: n(x)))(pair)
    assert np.allclose(found[0], run(network), rtol=0, atol=1e-12)
    assert np.allclose(found[1], run(jax.tree.map(lambda leaf: 2 * leaf, network)), rtol=0, atol=1e-10)


@pytest.mark.default_cases(1)
@EVERY
def test_adam_updates_a_bare_network(make):
    network, optimizer = make(), optax.adam(0.1)
    x = np.eye(network.in_size)[:2]  # one bit set, so that the parity is odd and no gate is dead

    @jax.jit
    def step(network, state):
        gradient = jax.grad(lambda n: jnp.sum(jnp.real(n(x)) ** 2))(network)
        with jax.numpy_dtype_promotion("standard"):  # Optax mixes dtypes
            updates, state = optimizer.update(gradient, state, network)
            return optax.apply_updates(network, updates)

    changed = step(network, optimizer.init(network))
    assert isinstance(changed, dc.Network)
    assert jax.tree.structure(changed) == jax.tree.structure(network)
    assert not all(map(np.array_equal, jax.tree.leaves(changed), jax.tree.leaves(network)))


def test_gradient_against_central_differences():
    def loss(network):
        return jnp.sum(network(X) ** 2)

    gradient = jax.tree.leaves(jax.jit(jax.grad(loss))(NET))
    leaves, structure = jax.tree.flatten(NET)
    for index, leaf in enumerate(leaves):
        shift = 1e-6 * np.random.default_rng(index).normal(size=leaf.shape)
        ends = []
        for sign in (1, -1):
            moved = [*leaves[:index], leaf + sign * shift, *leaves[index + 1 :]]
            ends.append(np.sum(oracle(jax.tree.unflatten(structure, moved), X) ** 2))
        assert (ends[0] - ends[1]) / 2 == pytest.approx(float(np.sum(gradient[index] * shift)), rel=1e-6)


def test_tree_map_gives_a_network():
    doubled = jax.tree.map(lambda leaf: 2 * leaf, NET)
    assert isinstance(doubled, dc.Network)
    assert all(np.array_equal(b, 2 * a) for a, b in zip(jax.tree.leaves(NET), jax.tree.leaves(doubled), strict=True))


def test_equal_only_to_itself():
    same = jax.tree.map(lambda leaf: leaf, NET)
    assert NET == NET
    assert same != NET
    assert len({NET, NET, same}) == 2


@pytest.mark.parametrize(
    "make", [lambda: dc.parity(2**14).network, lambda: dc.fft(2**10).network, lambda: dc.Network((stacked(50),))]
)
def test_repr_is_a_short_table(make):
    text = repr(make())
    assert len(text.splitlines()) <= 13
    assert max(map(len, text.splitlines())) < 120


def test_repr_tells_sizes_kinds_and_what_is_left_out():
    lines = repr(mlp(*[2] * 21)).splitlines()
    assert lines[0] == "Network(2 -> 2, float64)"
    assert lines[1] == "  Dense 2 -> 2 + bias, tanh"
    assert lines[7] == "  ... 9 more"
    assert len(lines) == 1 + 6 + 1 + 5


# Refusals -----------------------------------------------------------------------------------------

D22, D32 = linear.Dense(jnp.ones((2, 2))), linear.Dense(jnp.ones((3, 2)))
BAD = [
    (lambda: dc.Network((dc.Layer(linear.Dense(jnp.array([[jnp.nan]]))),)), ValueError, "weights must .* nan"),
    (lambda: dc.Network((dc.Layer(D22, jnp.array([0, jnp.inf])),)), ValueError, "weights must be finite; got inf"),
    (lambda: dc.Network(()), ValueError, "Network: layers must be a non-empty tuple"),
    (lambda: dc.Network([]), ValueError, "Network: layers must be a non-empty tuple"),  # pyright: ignore
    (lambda: dc.Layer(D22, activation="rleu"), TypeError, "Layer: activation must be one of .*mean 'relu'"),
    (lambda: dc.Network((D22,)), TypeError, "Network: layers must be Layer or Repeat; got Dense"),  # pyright: ignore
    (lambda: dc.Network((dc.Layer(D32), dc.Layer(D22))), ValueError, "layer 0 gives 3 features but layer 1 takes 2"),
    (lambda: dc.Network((dc.Layer(linear.Dense(jnp.ones((1, 1), int))),)), TypeError, "every weight must be"),
    (lambda: dc.Layer(D32, jnp.zeros(2)), ValueError, r"Layer: bias must have shape \(3,\); got \(2,\)"),
    (lambda: dc.Layer("12"), TypeError, "Layer: linear must be a map of dc.linear or a matrix .*; got str"),
    (lambda: dc.Layer(jnp.ones(2)), ValueError, r"Layer: linear must be a map .* \(out, in\); got shape \(2,\)"),
    (lambda: dc.Repeat((dc.Layer(D32),), 2), ValueError, "Repeat: the block must keep its size; got 2 to 3"),
    (lambda: dc.Repeat((dc.Layer(D22),), 0), ValueError, "Repeat: times must be at least 1; got 0"),
]  # fmt: skip


@pytest.mark.parametrize("make,error,message", BAD)
def test_bad_networks_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_layers_may_come_as_a_list():
    assert isinstance(dc.Network([dc.Layer(D22)]).layers, tuple)  # pyright: ignore[reportArgumentType]


def test_networks_may_be_built_from_traced_weights():
    build = jax.jit(lambda weight: dc.Network((dc.Layer(linear.Dense(weight)),))(jnp.ones(2)))
    assert build(jnp.eye(2)).tolist() == [1.0, 1.0]


def test_a_diverged_network_is_not_refused():
    # Training must be able to hold it: only building checks the weights.
    diverged = jax.tree.map(lambda leaf: leaf * jnp.nan, NET)
    assert bool(jnp.all(jnp.isnan(diverged(X))))


NARROW = """
import jax, numpy as np, deepconstruct as dc
with jax.enable_x64(True):
    wide = dc.parity(4, dtype="float64").network
for build in (
    lambda: dc.Network(wide.layers),
    lambda: wide(np.ones(4)),
    lambda: jax.jit(wide)(np.ones(4)),
    lambda: dc.Network.from_matrices([np.eye(2)], None, "identity", dtype="float64"),
    lambda: dc.parity(4, dtype="float64"),
    lambda: dc.fft(4, dtype="complex128"),
):
    try:
        build()
    except ValueError as error:
        print(error)
print(dc.parity(4)(np.ones(4)).dtype, dc.fft(4)(np.ones(4)).dtype)
"""


@pytest.mark.slow
def test_64_bit_weights_need_64_bit_jax():
    run = subprocess.run([sys.executable, "-c", NARROW], capture_output=True, text=True, check=True)
    *networks, matrices, parity, fft, dtypes = run.stdout.splitlines()
    assert len(networks) == 3
    for network in networks:
        assert network.startswith("Network: float64 needs 64-bit JAX, which is off; call jax.config.update")
    assert matrices.startswith("Network.from_matrices: float64 needs 64-bit JAX")
    assert parity.startswith("parity: float64 needs 64-bit JAX")
    assert fft.startswith("fft: complex128 needs 64-bit JAX")
    assert dtypes == "float32 complex64"


def test_networks_built_alike_are_traced_once(monkeypatch):
    traces = []

    def counted(layers, x):
        traces.append(len(layers))
        return run_layers(layers, x)

    monkeypatch.setattr("deepconstruct.network.network.run_layers", counted)
    for network in (dc.parity(29).network, dc.parity(29).network):
        for x in (np.zeros((3, 29)), np.ones((3, 29))):
            assert network(x).shape == (3, 1)
    assert len(traces) == 1


def test_a_layer_and_its_outputs_are_those_of_each_operation_alone():
    network = dc.fractal(dc.systems.cantor_dust(), 3).network
    x = np.random.default_rng(0).uniform(-1, 1, (5, 2)).astype(np.float32)
    with jax.disable_jit():
        wanted = dc.layer_outputs(network, x)
        first = network.layers[0](x)
    found = dc.layer_outputs(network, x)
    assert len(found) == len(wanted)
    for one, other in zip([*found, network.layers[0](x)], [*wanted, first], strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)
