"""Networks to be rewritten, and what is compared of them."""

# pyright: reportArgumentType=false

import hypothesis.strategies as st
import jax
import numpy as np

import deepconstruct as dc
import rationals
from deepconstruct._bias import bias_vector
from deepconstruct.activations import Identity, Power, ReLU, Square, Step, groups, join
from deepconstruct.linear import as_matrix
from deepconstruct.network import Layer, Network, flat_layers

KINDS = {"relu": ReLU(), "step": Step(), "square": Square(), "identity": Identity(), "cube": Power(3)}


def network(*layers, dtype="float32", labels=None):
    """A network of `(matrix, bias, activation)`."""
    made = [
        Layer(np.asarray(matrix, dtype), None if bias is None else np.asarray(bias, dtype), activation, label)
        for (matrix, bias, activation), label in zip(layers, labels or [None] * len(layers), strict=True)
    ]
    return Network(tuple(made))


def one_hidden(matrix, bias, outgoing, kind="relu", **options):
    return network((matrix, bias, kind), (outgoing, None, "identity"), **options)


def counts(given):
    return dc.cost(given).neurons, dc.cost(given).synapses


def same(first, second, x):
    return np.array_equal(rationals.evaluate(first, x), rationals.evaluate(second, x))


def inputs(size, domain=None, count=40, seed=0):
    generator = np.random.default_rng(seed)
    low, high = (np.full(size, -3.0), np.full(size, 3.0)) if domain is None else domain.box()
    inside = generator.uniform(low, high, (count, size)).astype(np.float32)
    return np.concatenate([inside, np.where(generator.integers(0, 2, inside.shape) == 1, high, low)])


# Networks that are full of what can be left out.


@st.composite
def drawn(draw, dtype="float32"):
    """Layers with duplicates, scaled ones, empty ones and unused ones, of mixed activations."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    sizes = draw(st.lists(st.integers(1, 5), min_size=2, max_size=4))
    layers, width = [], draw(st.integers(1, 3))
    for size in sizes:
        matrix = generator.integers(-2, 3, (size, width)) * 2.0 ** generator.integers(-1, 2, (size, 1))
        bias = generator.integers(-2, 3, size) / 2.0
        kinds = [KINDS[name] for name in generator.choice(["relu", "relu", "step", "square", "identity"], size)]
        again = generator.integers(0, size, generator.integers(0, 3))
        scale = 2.0 ** generator.integers(-2, 3, len(again))
        matrix, bias = np.concatenate([matrix, matrix[again] * scale[:, None]]), np.append(bias, bias[again] * scale)
        layers.append((matrix, bias, join([(kind, 1) for kind in [*kinds, *(kinds[unit] for unit in again)]])))
        width = len(matrix)
    out = generator.integers(-2, 3, (2, width)) * 1.0
    out[:, generator.integers(0, width)] = 0
    return network(*layers, (out, None, "identity"), dtype=dtype)


def shuffled(given, seed):
    """The same function with hidden units in another order, scaled by powers of two."""
    generator = np.random.default_rng(seed)
    layers, last = [], np.arange(given.in_size)
    matrices = [np.array(as_matrix(layer.linear)) for layer in flat_layers(given)]
    for index, layer in enumerate(flat_layers(given)):
        matrix, bias = matrices[index][:, last], bias_vector(layer.bias)
        bias = np.zeros(len(matrix)) if bias is None else np.array(bias)
        kinds = [kind for kind, count in groups(layer.activation, len(bias)) for _ in range(count)]
        order = np.arange(len(bias))
        if index + 1 < len(matrices):
            order = generator.permutation(len(bias))
            scale = 2.0 ** generator.integers(-3, 4, len(bias))
            power = np.array([1.0 / s ** degree(kind) for s, kind in zip(scale, kinds, strict=True)])
            matrix, bias = matrix * scale[:, None], bias * scale
            matrices[index + 1] = matrices[index + 1] * power
        layers.append((matrix[order], bias[order], join([(kinds[unit], 1) for unit in order])))
        last = order
    return network(*layers, dtype=given.dtype)


def degree(kind):
    return {ReLU: 1, Identity: 1, Step: 0, Square: 2}[type(kind)]


class Doubled(ReLU):
    """A ReLU of somebody's own."""

    def __call__(self, z, *, axis=-1):
        return 2 * jax.nn.relu(z) - z.sum(axis=axis, keepdims=True)
