"""Networks: the weights, and nothing about what they compute."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Inexact

from .._checks import check_finite, check_weights
from .layer import Layer
from .narrow import is_narrow, run_narrow
from .repeat import Repeat, check_chain
from .running import run_layers


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
        found = {np.dtype(leaf.dtype) for leaf in jax.tree.leaves(self.layers) if hasattr(leaf, "dtype")}
        if len(found) == 1:
            return found.pop()  # also 64 bits after x64 was left
        with jax.numpy_dtype_promotion("standard"):
            return np.dtype(jnp.result_type(*found) if found else jnp.result_type(float))

    def __call__(self, x: Any, *, axis: int = -1) -> Inexact[Array, "..."]:
        """Run the network along one axis of `x`.

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
            TypeError: complex input to a real network, or a network for its input.
        """
        if isinstance(x, Network):
            return self._labels()
        x, axis = self._prepared(x, axis)
        shape = x.shape
        before, after = math.prod(shape[:axis]), math.prod(shape[axis + 1 :])
        x = x.reshape(before, self.in_size, after)
        y = run_narrow(self.layers, x) if is_narrow(self.layers, before * after) else run_layers(self.layers, x)
        return y.reshape(*shape[:axis], self.out_size, *shape[axis + 1 :])

    def _labels(self) -> Any:
        if any(hasattr(leaf, "dtype") for leaf in jax.tree.leaves(self)):
            raise TypeError("Network: expected an array of inputs; got a Network (dc.series runs one after another)")
        return self

    def _prepared(self, x: Any, axis: int) -> tuple[Array, int]:
        check_weights("Network", self)
        x = jnp.asarray(x)
        if not -x.ndim <= axis < x.ndim or x.shape[axis] != self.in_size:
            raise ValueError(
                f"Network: expected {self.in_size} features on axis {axis}; got an array of shape {x.shape}"
            )
        if jnp.iscomplexobj(x) and not jnp.issubdtype(self.dtype, jnp.complexfloating):
            raise TypeError(
                f"Network: complex input to a network of {self.dtype.name} weights; pass the real part, "
                "or stack real and imaginary parts for a network made by dc.realify"
            )
        return x.astype(self.dtype), axis % x.ndim

    def __repr__(self) -> str:
        return describe(self)


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
