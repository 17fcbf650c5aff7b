"""Networks as plain layers, which is what other formats hold: a matrix, a bias and an activation each.

Repeated blocks are unrolled, and structured maps written out. Maps whose order of operations claims count on
stay in steps, as layers without an activation: both factors of a `Composed` map, and the halvings of a
`SignProduct`, each a matrix with one 1 and one -1 a row.
"""

import dataclasses
from collections.abc import Iterable
from typing import Any

import jax
import numpy as np

from .._bias import bias_vector
from .._checks import check_allocation, is_concrete
from .._static import to_jax
from ..activations import AbstractActivation, Identity, Sigmoid, groups, join
from ..construction import as_network
from ..linear import AbstractLinear, Dense, SignProduct, as_matrix
from ..linear.composed import factors
from ..network import Layer, Network, Repeat, block_layers, flat_layers, stack_size

_LINEAR = Identity()
FLOATS = ("float16", "float32", "float64")


@dataclasses.dataclass(frozen=True, eq=False)
class Plain:
    """`activation(matrix @ x + bias)` in NumPy.

    Attributes:
        matrix: shape `(out, in)`.
        bias: shape `(out,)`, or `None`.
        activation: as in a layer, its number in the precision of the weights.
        layer: the number of the layer of the network that it is of, or a part of.
    """

    matrix: np.ndarray
    bias: np.ndarray | None
    activation: AbstractActivation
    layer: int

    @property
    def is_linear(self) -> bool:
        """Whether nothing is applied to the sums."""
        return type(self.activation) is Identity


def lowered(owner: str, value: Any, dtypes: tuple[str, ...] = FLOATS) -> tuple[Plain, ...]:
    """The plain layers of a network or construction.

    Raises:
        TypeError: something else, an ensemble, weights that are being traced or are complex, or those of
            a dtype that isn't among `dtypes`.
        ValueError: a matrix that this machine can't hold.
    """
    network = check_real(owner, value, dtypes)
    dtype = network.dtype
    check_allocation(owner, "all matrices written out", entries(network), dtype)
    # With NumPy's leaves nothing is compiled.
    layers = flat_layers(jax.tree.map(np.asarray, network))
    return tuple(plain for index, layer in enumerate(layers) for plain in _lowered(index, layer, dtype))


def one_network(owner: str, value: Any) -> Network:
    """The network of what is to be written, if it is one."""
    network = as_network(owner, value, read=True)
    if stack_size(network) is not None:
        raise TypeError(f"{owner}: this is a stack of networks; take them apart by dc.unstack(stack)")
    return network


def check_real(owner: str, value: Any, dtypes: tuple[str, ...] = FLOATS) -> Network:
    """The network, if it is one network of known real weights."""
    network = one_network(owner, value)
    if not all(map(is_concrete, jax.tree.leaves(network))):
        raise TypeError(f"{owner}: the weights are being traced; call it outside jit, vmap and grad")
    if np.issubdtype(network.dtype, np.complexfloating):
        raise TypeError(f"{owner}: complex weights have no counterpart there; make them real by dc.realify")
    if network.dtype.name not in dtypes:
        raise TypeError(
            f"{owner}: weights must be of {', '.join(dtypes)}; got {network.dtype.name}. Cast them by dc.astype"
        )
    return network


def refusal(owner: str, activation: AbstractActivation, layer: int) -> ValueError:
    """The error for an activation that has no counterpart outside."""
    return ValueError(
        f"{owner}: layer {layer} has the activation {activation.name()} ({type(activation).__name__}), which has no "
        "counterpart there; only activations of dc.activations other than Custom have one"
    )


def entries(network: Network) -> int:
    """How many numbers the matrices of all plain layers hold; nothing is written out to count them."""
    return sum(
        (part.times if isinstance(part, Repeat) else 1)
        * sum(_entries(factor) for layer in block_layers((part,)) for factor in factors(layer.linear))
        for part in network.layers
    )


def _entries(linear: AbstractLinear) -> int:
    if isinstance(linear, SignProduct) and linear.n > 0:
        return sum(2 ** (2 * power + 1) for power in range(linear.n)) + 1
    return linear.out_size * linear.in_size


def _lowered(index: int, layer: Layer, dtype: np.dtype) -> list[Plain]:
    vector = bias_vector(layer.bias)
    bias = None if vector is None else np.asarray(vector).astype(dtype)
    parts = groups(layer.activation, layer.out_size)
    activation = join([(_rounded(part, dtype), width) for part, width in parts])
    *inner, last = [matrix for factor in factors(layer.linear) for matrix in _matrices(factor, dtype)]
    return [*(Plain(matrix, None, _LINEAR, index) for matrix in inner), Plain(last, bias, activation, index)]


def _rounded(activation: AbstractActivation, dtype: np.dtype) -> AbstractActivation:
    """The activation with its number as JAX takes it: in the precision of the weights."""
    if type(activation) is not Sigmoid:
        return activation
    with np.errstate(over="ignore", under="ignore"):
        number = float(dtype.type(activation.inverse_temperature))
    return Sigmoid(number) if 0 < number < np.inf else activation


def _matrices(linear: AbstractLinear, dtype: np.dtype) -> list[np.ndarray]:
    """A map as matrices, the first first."""
    if not isinstance(linear, SignProduct) or linear.n == 0:
        return [np.ascontiguousarray(np.asarray(as_matrix(linear)).astype(dtype))]
    halves = [np.eye(2**power, dtype=dtype) for power in reversed(range(linear.n))]
    return [*(np.hstack([half, 0 - half]) for half in halves), np.asarray(linear.weight, dtype).reshape(1, 1)]


def raised(layers: Iterable[Plain]) -> Network:
    """A network of plain layers.

    Raises:
        ValueError: sizes that don't match, NaN or infinite weights, float64 without x64.
    """
    return Network(
        tuple(
            Layer(Dense(to_jax(plain.matrix)), None if plain.bias is None else to_jax(plain.bias), plain.activation)
            for plain in layers
        )
    )
