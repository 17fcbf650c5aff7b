"""Networks: the weights, and nothing about what they compute."""

import math
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Array, Inexact

from .._checks import check_finite
from .inputs import compiled, dtype_of, is_template, prepared
from .layer import Layer
from .matrices import layers_from_matrices
from .narrow import is_narrow, run_narrow
from .repeat import Repeat, check_chain
from .running import run_layers
from .stacks import check_single


def _as_tuple(layers: Any) -> Any:
    return tuple(layers) if isinstance(layers, list) else layers


class Network(eqx.Module):
    """A chain of layers and repeated blocks: a pytree whose leaves are its trainable arrays.

    Two networks are equal only if they are the same object, so that `jax.jit(network)` works.

    Args:
        layers: at least one `Layer` or `Repeat`, sizes matching.

    Raises:
        ValueError: sizes that don't match, NaN or infinite weights, a 64-bit weight without x64.

    Example:
        >>> import deepconstruct as dc, jax
        >>> network = dc.parity(4).network
        >>> jax.jit(network)([1, 0, 1, 1]).tolist()
        [1.0]
    """

    layers: tuple[Layer | Repeat, ...] = eqx.field(converter=_as_tuple)

    def __check_init__(self):
        check_chain("Network", self.layers)
        check_finite("Network", "weights", self.layers)

    @classmethod
    def from_matrices(
        cls, weights: Sequence[Any], biases: Sequence[Any] | None, activation: Any, *, dtype: Any = None
    ) -> "Network":
        """A network from the matrices and biases that you have.

        Args:
            weights: a matrix of shape `(out, in)` a layer, from NumPy, JAX or nested lists, the first
                layer first; maps of `dc.linear` may stand among them. Flax and Keras store `(in, out)`:
                pass the transposes.
            biases: a vector of shape `(out,)` or `None` a layer; `None` where no layer has one.
            activation: a name such as `"relu"`, or an object of `dc.activations`, for all hidden layers,
                and the last layer is linear; or a list with one a layer, the last included.
            dtype: what all weights are cast to. If `None`, that of the arrays, or the widest of theirs;
                numbers in lists and integers have none, and get JAX's default.

        Returns:
            The network.

        Raises:
            ValueError: sizes that don't fit, lists of other lengths, NaN or infinity, a 64-bit dtype
                without x64.
            TypeError: weights that aren't numbers, complex ones with a real dtype, an activation that
                isn't known.

        Example:
            >>> import deepconstruct as dc
            >>> xor = dc.Network.from_matrices([[[1, 1], [1, 1]], [[1, -2]]], [[0, -1], None], "relu")
            >>> xor([[0, 0], [0, 1], [1, 0], [1, 1]]).tolist()
            [[0.0], [1.0], [1.0], [0.0]]
        """
        return cls(layers_from_matrices(weights, biases, activation, dtype))

    def __eq__(self, other: object) -> Any:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    @property
    def in_size(self) -> int:
        return self.layers[0].in_size

    @property
    def out_size(self) -> int:
        return self.layers[-1].out_size

    @property
    def dtype(self) -> np.dtype:
        """The dtype of the weights (JAX's default real one where there are none)."""
        return dtype_of(self.layers)

    def __call__(self, x: Any, *, axis: int = -1) -> Inexact[Array, "..."]:
        """Run the network along one axis of `x`, as one compiled function.

        Args:
            x: shape `(*batch, in_size)`, or with the features on `axis`; on a CPU `axis=0` is the
                fast layout. Boolean and integer input is cast, real input to a complex network too.
            axis: the axis of the features.

        Returns:
            The same shape with `out_size` on that axis.

        A network of labels, one a leaf, gives itself where it is called with a network: Optax takes whatever
        can be called for a function of the weights, also where it was given labels or masks.

        Raises:
            ValueError: a wrong number of features, or 64-bit weights without x64.
            TypeError: complex input to a real network, text, objects, or a network for its input.
        """
        if is_template(self, x):
            return self  # pyright: ignore[reportReturnType]
        return _run(self, *self._prepared(x, axis))

    def _prepared(self, x: Any, axis: Any = -1) -> tuple[Array, int]:
        check_single("Network", self.layers)
        return prepared("Network", self.in_size, self.dtype, x, axis)

    def __repr__(self) -> str:
        return describe(self)


@compiled
def _run(network: Network, x: Array, axis: int) -> Array:
    shape = x.shape
    before, after = math.prod(shape[:axis]), math.prod(shape[axis + 1 :])
    x, layers = x.reshape(before, network.in_size, after), network.layers
    y = run_narrow(layers, x) if is_narrow(layers, before * after) else run_layers(layers, x)
    return y.reshape(*shape[:axis], network.out_size, *shape[axis + 1 :])


def describe(network: Network) -> str:
    """A short table of the layers."""
    lines = [f"Network({network.in_size} -> {network.out_size}, {network.dtype.name})"]
    shown = list(network.layers)
    if len(shown) > 12:
        shown = [*shown[:6], None, *shown[-5:]]
    for part in shown:
        if part is None:
            lines.append(f"  ... {len(network.layers) - 11} more")
        elif isinstance(part, Repeat):
            inside = "; ".join(_describe_layer(layer) for layer in part.layers)
            lines.append(f"  {part.times} x [{inside}]")
        else:
            lines.append("  " + _describe_layer(part))
    return "\n".join(lines)


def _describe_layer(layer: Layer) -> str:
    bias = "" if layer.bias is None else " + bias"
    label = "" if layer.label is None else f"  ({layer.label.name})"
    kind = type(layer.linear).__name__
    return f"{kind} {layer.in_size} -> {layer.out_size}{bias}, {layer.activation.name()}{label}"
