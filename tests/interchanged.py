"""What the tests of networks in and out share: the real entries of the catalog, and claims against numbers."""

import functools

import jax
import numpy as np
from scipy import special

import deepconstruct as dc
from deepconstruct.activations import names as activation_names
from deepconstruct.construction.encoding import digest
from deepconstruct.interchange.plain import lowered, raised
from deepconstruct.network import flat_layers
from deepconstruct.testing import _over

POINTS = 1000
ACTIVATIONS = (
    *activation_names.NAMED.values(),
    dc.activations.Sigmoid(2.5),
    dc.activations.Power(1),
    dc.activations.Power(3),
    dc.activations.Power(6),
    dc.activations.Concatenate(
        (dc.activations.ReLU(), dc.activations.Identity(), dc.activations.Softmax(), dc.activations.Sigmoid(0.1)),
        (1, 1, 2, 1),
    ),
)


@functools.cache
def real_entries():
    """Every real construction of the catalog, in float32, at the second of its tested sizes."""
    entries = [entry for entry in dc.catalog.ENTRIES.values() if entry.kind == "real"]
    return {entry.name: entry.build(entry.sizes[min(1, len(entry.sizes) - 1)], dtype="float32") for entry in entries}


@functools.cache
def points(name):
    """Inputs at which claims are likely to fail."""
    claim = real_entries()[name].claim
    return claim.domain.probe(jax.random.key(1), (POINTS,), dtype="float32")


def excess(construction, x, found):
    """By how much outputs break the claim; as it supposes that nothing underflows, by a little less."""
    assert found.shape == construction.claim.target.wide(x).shape
    assert np.isfinite(found).all()
    return float(np.max(_over(construction, x, found)))


def dense_digest(network):
    """The digest of the network with everything written out, as other formats hold it."""
    return digest(raised(lowered("test", network)))


@functools.cache
def one_of_each():
    """For every activation a small network with weights that have all their bits."""
    rng = np.random.default_rng(0)
    networks = []
    for activation in ACTIVATIONS:
        weights, biases = [rng.normal(size=(5, 3)), rng.normal(size=(2, 5))], [rng.normal(size=5), None]
        networks.append(dc.Network.from_matrices(weights, biases, [activation, "identity"], dtype="float32"))
    return tuple(networks)


def sizes_and_structures():
    """Networks of sizes 1, 2, 3, odd, prime and large, and of structures that are written out."""
    rng = np.random.default_rng(1)
    for sizes in ((1, 1), (2, 1, 2), (3, 7, 1, 4), (13, 31, 2), (257, 300, 5)):
        pairs = zip(sizes[1:], sizes[:-1], strict=True)
        weights = [rng.normal(size=pair) for pair in pairs]
        biases, activations = [rng.normal(size=len(w)) for w in weights], ["tanh"] * len(weights)
        yield dc.Network.from_matrices(weights, biases, activations, dtype="float32")
    block = dc.fractal(dc.systems.cantor(), 5, dtype="float32").network
    assert any(isinstance(part, dc.Repeat) for part in block.layers)
    yield block


def _gelu_tanh(z):
    return z / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3)))


_FUNCTIONS = {
    "identity": lambda z: z,
    "relu": lambda z: np.where(z > 0, z, 0),
    "step": lambda z: (z > 0) + 0.0,
    "square": lambda z: z * z,
    "sigmoid": special.expit,
    "tanh": np.tanh,
    "softplus": lambda z: np.logaddexp(0, z),
    "exp": np.exp,
    "gelu": lambda z: z * special.ndtr(z),
    "gelu_tanh": _gelu_tanh,
    "silu": lambda z: z * special.expit(z),
    "sin": np.sin,
    "softmax": lambda z: special.softmax(z, axis=-1),
}


def by_hand(network, x):
    """What a network gives, in float64 by NumPy and SciPy."""
    h = np.asarray(x, float)
    for layer in flat_layers(network):
        h = h @ np.asarray(dc.linear.as_matrix(layer.linear), float).T
        h = h if layer.bias is None else h + np.asarray(dc.network.layer.bias_vector(layer.bias), float)
        h = _activated(layer.activation, h)
    return h


def _activated(activation, z):
    if isinstance(activation, dc.activations.Concatenate):
        parts = np.split(z, np.cumsum(activation.widths)[:-1], axis=-1)
        return np.concatenate(list(map(_activated, activation.activations, parts)), axis=-1)
    if isinstance(activation, dc.activations.Power):
        return z**activation.n
    if isinstance(activation, dc.activations.Sigmoid):
        return special.expit(activation.inverse_temperature * z)
    (name,) = [name for name, known in activation_names.NAMED.items() if known == activation]
    return _FUNCTIONS[name](z)
