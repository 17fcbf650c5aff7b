"""Networks as plain layers, which is what other formats hold: a matrix, a bias and an activation each.

Repeated blocks are unrolled, and structured maps written out. Maps whose order of operations claims count on
stay in steps, as layers without an activation: both factors of a `Composed` map, and the halvings of a
`SignProduct`, each a matrix with one 1 and one -1 a row.
"""

import dataclasses
from typing import Any

import jax
import numpy as np

from .._bias import bias_vector
from .._checks import check_allocation, is_concrete
from ..activations import AbstractActivation, Identity
from ..construction import as_network
from ..linear import AbstractLinear, SignProduct, as_matrix
from ..linear.composed import factors
from ..network import Layer, Network, flat_layers, stack_size

_LINEAR = Identity()
FLOATS = ("float16", "float32", "float64")


@dataclasses.dataclass(frozen=True, eq=False)
class Plain:
    """`activation(matrix @ x + bias)` in NumPy.

    Attributes:
        matrix: shape `(out, in)`.
        bias: shape `(out,)`, or `None`.
        activation: as in a layer.
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
    network = _checked(owner, value, dtypes)
    dtype = network.dtype
    # With NumPy's leaves nothing is compiled.
    layers = flat_layers(jax.tree.map(np.asarray, network))
    return tuple(plain for index, layer in enumerate(layers) for plain in _lowered(index, layer, dtype))


def _checked(owner: str, value: Any, dtypes: tuple[str, ...]) -> Network:
    """The network, if it is one network of known real weights."""
    network = as_network(owner, value, read=True)
    if not all(map(is_concrete, jax.tree.leaves(network))):
        raise TypeError(f"{owner}: the weights are being traced; call it outside jit, vmap and grad")
    if stack_size(network) is not None:
        raise TypeError(f"{owner}: this is a stack of networks; take them apart by dc.unstack(stack)")
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


def _lowered(index: int, layer: Layer, dtype: np.dtype) -> list[Plain]:
    vector = bias_vector(layer.bias)
    bias = None if vector is None else np.asarray(vector).astype(dtype)
    *inner, last = [matrix for factor in factors(layer.linear) for matrix in _matrices(factor, dtype)]
    return [*(Plain(matrix, None, _LINEAR, index) for matrix in inner), Plain(last, bias, layer.activation, index)]


def _matrices(linear: AbstractLinear, dtype: np.dtype) -> list[np.ndarray]:
    """A map as matrices, the first first."""
    if not isinstance(linear, SignProduct) or linear.n == 0:
        return [np.ascontiguousarray(np.asarray(as_matrix(linear)).astype(dtype))]
    check_allocation("as_matrix", f"the halvings of 2^{linear.n} numbers", 2 ** (2 * linear.n), dtype)
    halves = [np.eye(2**power, dtype=dtype) for power in reversed(range(linear.n))]
    return [*(np.hstack([half, 0 - half]) for half in halves), np.asarray(linear.weight, dtype).reshape(1, 1)]
