"""Copies of networks with their hidden units in another order, and with other factors."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

import deepconstruct as dc
from deepconstruct import activations as act
from deepconstruct.linear import Dense, as_matrix
from deepconstruct.network import flat_layers


def network(random, sizes, activation, is_complex=False):
    """Random weights, an identity readout."""
    layers = []
    for k, (a, b) in enumerate(itertools.pairwise(sizes)):
        # Small enough for powers and exponentials of each other.
        draw = random.normal(size=(b, a + 1)) / (2 * math.sqrt(a + 1))
        draw = draw * np.exp(1j * random.uniform(0, 2 * np.pi, draw.shape)) if is_complex else draw
        last = k == len(sizes) - 2
        layers.append(dc.Layer(Dense(jnp.asarray(draw[:, :-1])), jnp.asarray(draw[:, -1]),
                               act.Identity() if last else activation))  # fmt: skip
    return dc.Network(tuple(layers))


def weights(net):
    """Dense matrices and biases in NumPy."""
    pairs = []
    for layer in flat_layers(dc.densify(net)):
        bias = np.zeros(layer.out_size) if layer.bias is None else np.asarray(layer.bias)
        pairs.append((np.asarray(as_matrix(layer.linear)), bias))
    return pairs


def rebuilt(net, pairs):
    layers = [dc.Layer(Dense(jnp.asarray(w)), jnp.asarray(b), layer.activation)
              for (w, b), layer in zip(pairs, flat_layers(net), strict=True)]  # fmt: skip
    return dc.Network(tuple(layers))


def changed(net, orders, into, out):
    """Hidden units of each layer in another order, with factors on their incoming and outgoing weights."""
    pairs = weights(net)
    for k, (order, a, b) in enumerate(zip(orders, into, out, strict=True)):
        (w, bias), (after, end) = pairs[k], pairs[k + 1]
        pairs[k] = a[:, None] * w[order], a * bias[order]
        pairs[k + 1] = after[:, order] * b, end
    return rebuilt(net, pairs)


def shuffled(net: Any, seed: int, factors: Callable | None = None) -> dc.Network:
    """A copy in another order; `factors(random, width)` gives the factors of incoming and outgoing weights."""
    random = np.random.default_rng(seed)
    widths = [layer.out_size for layer in flat_layers(net)[:-1]]
    pairs = [(np.ones(width), np.ones(width)) if factors is None else factors(random, width) for width in widths]
    return changed(net, [random.permutation(width) for width in widths], *zip(*pairs, strict=True))


def signs(random, width):
    sign = random.choice([-1.0, 1.0], width)
    return sign, sign


def incoming_signs(random, width):
    return random.choice([-1.0, 1.0], width), np.ones(width)


def scales(degree):
    def factors(random, width):
        scale = np.exp(random.normal(size=width))
        return scale, scale**-degree

    return factors


def phases(random, width):
    turn = np.exp(1j * random.uniform(0, 2 * np.pi, width))
    return turn, turn.conj()


def both(one, other):
    def factors(random, width):
        (a, b), (c, d) = one(random, width), other(random, width)
        return a * c, b * d

    return factors


def same_function(one, other):
    x = np.random.default_rng(99).normal(size=(64, one.in_size))
    size = np.sqrt(np.mean(np.abs(np.asarray(other(x))) ** 2))
    return float(dc.function_distance(one, other, x)) < 1e-9 * size


def stacked(pairs):
    return [np.concatenate([w, b[:, None]], axis=1) for w, b in pairs]


def norm_of(one, other):
    return math.sqrt(sum(np.sum(np.abs(a - b) ** 2) for a, b in zip(one, other, strict=True)))
