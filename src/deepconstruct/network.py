"""Layers, repeated blocks and networks: the weights, and nothing about what they compute."""

import dataclasses
import itertools
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Inexact

from ._bias import AbstractBias, TiledBias, bias_vector
from ._checks import check_available, check_finite, check_size
from .activations import AbstractActivation, Identity, Softmax, is_elementwise
from .linear import AbstractLinear, Butterfly, SignPatterns, SignProduct
from .linear.butterfly import merge_stages
from .linear.signs import run_product_gate


@dataclasses.dataclass(frozen=True)
class Label:
    """What the units of a layer are: `group` units a gate, so that any unit is traced to its gate.

    With `strided=True` unit `k` of a layer of `width` units belongs to gate `k % (width // group)`,
    the fast layout of the trees; otherwise to gate `k // group`. Where a layer has gates of several
    sizes, `uneven` lists (units a gate, gates) of consecutive strided parts instead.
    """

    name: str
    group: int = 1
    strided: bool = False
    uneven: tuple[tuple[int, int], ...] = ()

    def gate(self, unit: int, width: int) -> int:
        """The index of the gate that unit `unit` of a layer of `width` units belongs to."""
        first_unit = first_gate = 0
        for units, gates in self.uneven:
            if unit < first_unit + units * gates:
                return first_gate + (unit - first_unit) % gates
            first_unit, first_gate = first_unit + units * gates, first_gate + gates
        return unit % (width // self.group) if self.strided else unit // self.group


class Layer(eqx.Module):
    """`activation(linear(x) + bias)`.

    Args:
        linear: the linear map.
        bias: shape `(out_size,)`, or `None` for a layer without one.
        activation: applied to every unit.
        label: what the units are.

    Example:
        >>> import deepconstruct as dc, jax.numpy as jnp
        >>> layer = dc.Layer(dc.linear.Dense(jnp.ones((1, 2))), activation=dc.activations.ReLU())
        >>> layer.out_size
        1
    """

    linear: AbstractLinear
    bias: Array | AbstractBias | None = None
    activation: AbstractActivation = Identity()
    label: Label | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        if not isinstance(self.linear, AbstractLinear):
            raise TypeError(f"Layer: linear must be a map of dc.linear; got {type(self.linear).__name__}")
        if not isinstance(self.activation, AbstractActivation):
            raise TypeError(f"Layer: activation must be one of dc.activations, such as ReLU(); got {self.activation!r}")
        shape = None
        if isinstance(self.bias, AbstractBias):
            shape = (self.bias.size,)
        elif self.bias is not None:
            shape = jnp.shape(self.bias)
        if shape is not None and shape != (self.out_size,):
            raise ValueError(f"Layer: bias must have shape ({self.out_size},); got {shape}")

    @property
    def in_size(self) -> int:
        return self.linear.in_size

    @property
    def out_size(self) -> int:
        return self.linear.out_size

    @property
    def is_linear(self) -> bool:
        """Whether the activation is the identity."""
        return isinstance(self.activation, Identity)

    @property
    def is_readout(self) -> bool:
        """Whether it counts as a readout where it is the last layer."""
        return isinstance(self.activation, Identity | Softmax)

    def finish(self, z: Inexact[Array, "before out after"]) -> Inexact[Array, "before out after"]:
        """Add the bias and apply the activation along the middle axis."""
        bias = bias_vector(self.bias)
        if bias is not None:
            z = z + bias[None, :, None]
        return self.activation(z, axis=1)

    def apply(self, x: Inexact[Array, "before size after"]) -> Inexact[Array, "before out after"]:
        """Run the layer along the middle axis."""
        return self.finish(self.linear.apply(x))


class Repeat(eqx.Module):
    """A block of layers applied `times` times, each time with weights of its own.

    Every leaf of `layers` has a leading axis of length `times`; the block runs in `lax.scan`, so
    that compile time doesn't grow with depth.

    Args:
        layers: the block; its last `out_size` equals its first `in_size`.
        times: how often, at least 1.
    """

    layers: tuple[Layer, ...]
    times: int = eqx.field(static=True)

    def __check_init__(self):
        check_size("Repeat", "times", self.times)
        _check_chain("Repeat", self.layers)
        if self.in_size != self.out_size:
            raise ValueError(f"Repeat: the block must keep its size; got {self.in_size} to {self.out_size}")
        for leaf in jax.tree.leaves(self.layers):
            shape = jnp.shape(leaf)
            if shape[:1] != (self.times,):
                raise ValueError(f"Repeat: every leaf must be stacked {self.times} times; got one of shape {shape}")

    @property
    def in_size(self) -> int:
        return self.layers[0].in_size

    @property
    def out_size(self) -> int:
        return self.layers[-1].out_size

    def apply(self, x: Inexact[Array, "before size after"]) -> Inexact[Array, "before out after"]:
        """Run all repetitions along the middle axis."""

        def block(carry, layers):
            return run_layers(layers, carry), None

        return jax.lax.scan(block, x, self.layers, length=self.times)[0]

    def unrolled(self) -> tuple[Layer, ...]:
        """The same layers one after another, without the scan."""
        blocks = [jax.tree.map(lambda leaf, i=i: leaf[i], self.layers) for i in range(self.times)]
        return tuple(layer for block in blocks for layer in block)


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
        _check_chain("Network", self.layers)
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
        leaves = jax.tree.leaves(self.layers)
        return np.dtype(jnp.result_type(*leaves) if leaves else jnp.result_type(float))

    def __call__(self, x: Any, *, axis: int = -1) -> Inexact[Array, "..."]:
        """Run the network along one axis of `x`.

        Args:
            x: shape `(*batch, in_size)`, or with the features on `axis`; on a CPU `axis=0` is the
                fast layout. Boolean and integer input is cast, real input to a complex network too.
            axis: the axis of the features.

        Returns:
            The same shape with `out_size` on that axis.

        Raises:
            ValueError: a wrong number of features.
            TypeError: complex input to a real network.
        """
        x, axis = self._prepared(x, axis)
        shape = x.shape
        before, after = math.prod(shape[:axis]), math.prod(shape[axis + 1 :])
        y = run_layers(self.layers, x.reshape(before, self.in_size, after))
        return y.reshape(*shape[:axis], self.out_size, *shape[axis + 1 :])

    def _prepared(self, x: Any, axis: int) -> tuple[Array, int]:
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


def run_layers(layers: tuple[Layer | Repeat, ...], x: Array) -> Array:
    """Run layers along the middle axis of `x`."""
    for step in plan(layers):
        x = step.apply(x)
    return x


class _ProductGate(eqx.Module):
    """Two layers of a large product gate, run without holding all units."""

    hidden: Layer
    readout: Layer

    def apply(self, x: Inexact[Array, "before size after"]) -> Inexact[Array, "before 1 after"]:
        def units(z: Array) -> Array:
            bias = self.hidden.bias
            return self.hidden.activation(z if bias is None else z + bias.values)  # pyright: ignore

        return self.readout.finish(run_product_gate(self.hidden.linear, self.readout.linear, units, x))  # pyright: ignore


def plan(layers: tuple[Layer | Repeat, ...]) -> list[Layer | Repeat | _ProductGate]:
    """The layers as they are run: some pairs of them as one step.

    Consecutive butterfly stages are merged to radix 4, and the units of a large product gate are
    summed as they are made.
    """
    steps: list[Layer | Repeat | _ProductGate] = []
    pending: Layer | None = None
    for layer in layers:
        merged = _merged_pair(pending, layer)
        if merged is not None:
            steps[-1], pending = merged, None
        else:
            steps.append(layer)
            pending = layer if isinstance(layer, Layer) else None
    return steps


def _merged_pair(first: Layer | None, second: Layer | Repeat) -> Layer | _ProductGate | None:
    if first is None or not isinstance(second, Layer):
        return None
    if _is_large_product_gate(first, second):
        return _ProductGate(first, second)
    return _merged_stages(first, second)


# Up to so many signs, all units of a product gate are held: their neighbors are then subtracted
# first, which rounds less.
UNITS_HELD = 12


def _is_large_product_gate(first: Layer, second: Layer) -> bool:
    if not isinstance(first.linear, SignPatterns) or not isinstance(second.linear, SignProduct):
        return False
    one_bias = first.bias is None or (isinstance(first.bias, TiledBias) and len(first.bias.values) == 1)
    return second.linear.n > UNITS_HELD and one_bias and is_elementwise(first.activation)


def _is_bare_stage(layer: Layer) -> bool:
    return isinstance(layer.linear, Butterfly) and layer.bias is None and layer.is_linear


def _merged_stages(first: Layer, second: Layer) -> Layer | None:
    if not _is_bare_stage(first) or not isinstance(second.linear, Butterfly):
        return None
    stage = merge_stages(first.linear, second.linear)  # pyright: ignore[reportArgumentType]
    return None if stage is None else Layer(stage, second.bias, second.activation, second.label)


def layer_outputs(network: Network, x: Any) -> list[Inexact[Array, "*batch width"]]:
    """The output of every layer, in order; repeated blocks are unrolled.

    Args:
        network: a network (or a construction's `.network`).
        x: shape `(*batch, in_size)`.

    Returns:
        One array `(*batch, width)` a layer; the last is the network's output.

    Example:
        >>> import deepconstruct as dc
        >>> [h.tolist() for h in dc.layer_outputs(dc.parity(2).network, [1, 1])]
        [[2.0, 1.0], [0.0]]
    """
    network = getattr(network, "network", network)
    if not isinstance(network, Network):
        raise TypeError(f"layer_outputs: expected a Network or Construction; got {type(network).__name__}")
    x, _ = network._prepared(x, -1)
    batch = x.shape[:-1]
    h, outputs = x.reshape(math.prod(batch), network.in_size, 1), []
    for layer in flat_layers(network):
        h = layer.apply(h)
        outputs.append(h.reshape(*batch, layer.out_size))
    return outputs


def flat_layers(network: Network) -> tuple[Layer, ...]:
    """The layers of a network with repeated blocks unrolled."""
    parts = [part.unrolled() if isinstance(part, Repeat) else (part,) for part in network.layers]
    return tuple(layer for part in parts for layer in part)


def block_layers(network: Network) -> tuple[Layer, ...]:
    """The layers of a network, those of a repeated block once, with their stacked leaves."""
    parts = [part.layers if isinstance(part, Repeat) else (part,) for part in network.layers]
    return tuple(layer for part in parts for layer in part)


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


def _check_chain(owner: str, layers: Any) -> None:
    if not isinstance(layers, tuple) or not layers:
        raise ValueError(f"{owner}: layers must be a non-empty tuple; got {layers!r}")
    for layer in layers:
        if not isinstance(layer, Layer | Repeat):
            raise TypeError(f"{owner}: layers must be Layer or Repeat; got {type(layer).__name__}")
        for leaf in jax.tree.leaves(layer):
            dtype = getattr(leaf, "dtype", None)
            if dtype is None or not jnp.issubdtype(dtype, jnp.inexact):
                raise TypeError(f"{owner}: every weight must be a floating array; got {leaf!r}")
            check_available(owner, dtype)
    for index, (first, second) in enumerate(itertools.pairwise(layers)):
        if first.out_size != second.in_size:
            raise ValueError(
                f"{owner}: layer {index} gives {first.out_size} features but layer {index + 1} takes {second.in_size}"
            )
