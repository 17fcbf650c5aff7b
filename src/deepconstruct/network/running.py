"""How layers are run: some pairs of them as one step."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import equinox as eqx
from jaxtyping import Array, Inexact

from .._bias import TiledBias
from ..activations import is_elementwise
from ..linear import Butterfly, SignPatterns, SignProduct
from ..linear.butterfly import merge_stages
from ..linear.signs import run_product_gate
from .layer import Layer


@runtime_checkable
class Step(Protocol):
    """What is run at one go: a layer, a repeated block, or several layers merged."""

    def apply(self, x: Array) -> Array: ...


def run_layers(layers: Sequence[Step], x: Array) -> Array:
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
            return self.hidden.activation(z if bias is None else z + bias.values.reshape((1,) * z.ndim))  # pyright: ignore

        return self.readout.finish(run_product_gate(self.hidden.linear, self.readout.linear, units, x))  # pyright: ignore


def plan(layers: Sequence[Step]) -> list[Step]:
    """The layers as they are run: some pairs of them as one step.

    Consecutive butterfly stages are merged to radix 4, and the units of a large product gate are
    summed as they are made.
    """
    steps: list[Step] = []
    pending: Layer | None = None
    for layer in layers:
        merged = _merged_pair(pending, layer)
        if merged is not None:
            steps[-1], pending = merged, None
        else:
            steps.append(layer)
            pending = layer if isinstance(layer, Layer) else None
    return steps


def _merged_pair(first: Layer | None, second: Step) -> Layer | _ProductGate | None:
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
