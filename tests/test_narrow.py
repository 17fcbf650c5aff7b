"""Narrow networks at many points: the fused run agrees with the layers run one by one, derivatives too."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import deepconstruct as dc
from deepconstruct.activations import ReLU, Sigmoid
from deepconstruct.linear import Composed, Dense, Sparse
from deepconstruct.network import Layer, Network, Repeat
from deepconstruct.network.narrow import is_narrow, run_narrow
from deepconstruct.network.running import run_layers
from marks import slow_among

RNG = np.random.default_rng(0)


def sparse(out_size, in_size, dtype, stacked=()):
    """A random map with a row of zeros, if it has more than two."""
    mask = RNG.random((out_size, in_size)) < 0.6
    mask[:, 0] = True
    mask[2:3] = False
    rows, cols = np.nonzero(mask)
    values = jnp.asarray(RNG.normal(size=(*stacked, len(rows))), dtype)
    one = Sparse(rows, cols, values[(0,) * len(stacked)], (out_size, in_size))
    return jax.tree.map(lambda _: values, one)


def full(out_size, in_size):
    rows, cols = np.indices((out_size, in_size)).reshape(2, -1)
    return Sparse(rows, cols, jnp.ones(len(rows)), (out_size, in_size))


def bias(size, dtype, stacked=()):
    return jnp.asarray(RNG.normal(size=(*stacked, size)), dtype)


def with_bias(layer, values):
    """A stacked layer: its bias is checked before it is stacked."""
    one = Layer(layer, jnp.zeros(layer.out_size, values.dtype), ReLU())
    leaves, structure = jax.tree.flatten(one)
    return jax.tree.unflatten(structure, [*leaves[:-1], values])


def repeated(times, dtype):
    """A block that passes on 5 units and is 2 wide inside."""
    first = Composed(sparse(4, 2, dtype, (times,)), sparse(2, 5, dtype, (times,)))
    second = sparse(5, 4, dtype, (times,))
    return Repeat((with_bias(first, bias(4, dtype, (times,))), with_bias(second, bias(5, dtype, (times,)))), times)


def network(times, dtype):
    enter = Layer(sparse(5, 3, dtype), bias(5, dtype), Sigmoid())
    leave = Layer(Composed(sparse(2, 1, dtype), sparse(1, 5, dtype)), None, ReLU())
    middle = (repeated(times, dtype),) if times else ()
    return Network((enter, *middle, leave))


def points(count, dtype=np.float64):
    return jnp.asarray(RNG.normal(size=(count, 3)), dtype)


def plain(net, x):
    return run_layers(net.layers, x[:, :, None])[:, :, 0]


def close(found, expected, rtol=1e-11):
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=rtol, atol=rtol * float(jnp.abs(other).max()))


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("times", slow_among([0, 1, 2, 5], [5]))
@pytest.mark.parametrize("dtype, rtol", [("float32", 1e-5), ("float64", 1e-13)])
def test_outputs_are_those_of_the_layers(times, dtype, rtol):
    net, x = network(times, dtype), points(4099, dtype)
    assert is_narrow(net.layers, len(x))
    assert net(x).dtype == dtype
    close(net(x), plain(net, x), rtol)


@pytest.mark.parametrize("times, count", slow_among([(0, 4096), (1, 10_007), (3, 10_007)], [(1, 10_007), (3, 10_007)]))
def test_gradients_are_those_of_the_layers(times, count):
    net, x = network(times, np.float64), points(count)

    def loss(run):
        return lambda net, x: jnp.sum(jnp.sin(run(net, x)))

    grads = [jax.jit(jax.grad(loss(run), (0, 1)))(net, x) for run in (lambda net, x: net(x), plain)]
    close(*grads)


@pytest.mark.slow
def test_forward_and_second_derivatives():
    net, x = network(2, np.float64), points(4100)
    tangent = jax.tree.map(lambda leaf: jnp.asarray(RNG.normal(size=leaf.shape)), net)

    def slope(run):
        return lambda net: jax.jvp(lambda net: jnp.sum(run(net, x) ** 3), (net,), (tangent,))[1]

    for derivative in (lambda f: f, jax.grad):
        close(*(jax.jit(derivative(slope(run)))(net) for run in (lambda net, x: net(x), plain)))


@pytest.mark.default_cases(1)
@pytest.mark.parametrize(
    "shape, axis",
    slow_among(
        [((4100, 3), 1), ((3, 4100), 0), ((64, 3, 65), 1), ((2, 2050, 3), -1)], [((4100, 3), 1), ((2, 2050, 3), -1)]
    ),
)
def test_any_axis_may_hold_the_features(shape, axis):
    net = network(2, np.float64)
    x = jnp.asarray(RNG.normal(size=shape))
    rows = jnp.moveaxis(x, axis, -1)
    expected = plain(net, rows.reshape(-1, 3)).reshape(*rows.shape[:-1], 2)
    close(net(x, axis=axis), jnp.moveaxis(expected, -1, axis))


@pytest.mark.slow
def test_mapped_over_networks_and_compiled():
    nets, x = [network(2, np.float64) for _ in range(3)], points(4096)
    # The same positions everywhere, other weights: only such networks can be stacked.
    nets = [jax.tree.map(lambda leaf, s=scale: s * leaf, nets[0]) for scale in (1.0, 0.5, 2.0)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *nets)
    found = jax.jit(jax.vmap(lambda net: net(x)))(stacked)
    close(found, jnp.stack([plain(net, x) for net in nets]))


@pytest.mark.parametrize(
    "layers",
    [
        (Layer(Dense(jnp.ones((2, 3)))),),
        (Layer(Sparse([0], [0], jnp.ones(1, complex), (1, 3))),),
        (Layer(Sparse([0, 1], [0, 1], jnp.ones(2), (2, 3)), None, dc.activations.Softmax()),),
        (Layer(full(100, 3)),),
        tuple(Layer(full(15, 15)) for _ in range(5)),
    ],
    ids=["dense", "complex", "softmax", "wide", "long"],
)
def test_other_networks_are_run_by_layers(layers):
    assert not is_narrow(layers, 10**6)


def test_few_points_are_run_by_layers():
    layers = network(1, np.float64).layers
    assert is_narrow(layers, 4096)
    assert not is_narrow(layers, 4095)


def test_repeated_blocks_store_only_their_waist():
    """What the fused run is for: between repetitions no more than 2 units are kept."""
    net, x = network(6, np.float64), points(4096)
    text = str(jax.make_jaxpr(lambda x: run_narrow(net.layers, x[:, :, None]))(x))
    assert text.count("scan[") == 1
    assert "num_carry=2" in text
    assert "length=5" in text
