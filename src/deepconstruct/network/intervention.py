"""Running a network with some of its units replaced: ablation, patching and steering."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Inexact

from .._checks import as_numbers, cast, check_size
from .layer import Layer
from .network import Network
from .queries import layer_sequence, network_of
from .repeat import Repeat
from .running import run_layers

Place = int | tuple[int, int]


def run_with(
    network: Any,
    x: Any,
    *,
    replace: Mapping[Place, Any] | None = None,
    read: list[Place] | None = None,
) -> Any:
    """Run a network with outputs of units or layers replaced, or read, or both.

    A place is `(layer, unit)`, or `layer` for a whole layer. Layers are counted as `layer_outputs` does,
    repeated blocks unrolled, and both numbers may be negative, counting from the end. What is replaced
    is the output, after the activation; everything behind it sees the new value. Differentiable in
    `x`, the weights and the values, inside `jax.jit` and `jax.vmap` as well; places are static.

    Args:
        network: a network or construction.
        x: shape `(*batch, in_size)`.
        replace: new values by place. For a unit: a number, or an array that broadcasts to `(*batch,)`.
            For a layer: a number, or an array that broadcasts to `(*batch, width)`. Or a function from
            the value that was there to the new one. Where a layer and units of it are replaced, the
            units come last.
        read: a list of places whose outputs to return, as the next layer sees them.

    Returns:
        The output `(*batch, out_size)`. With `read`, a pair: the output, and a list with an array for
        every place, `(*batch,)` for a unit and `(*batch, width)` for a layer.

    Raises:
        ValueError: a place that the network doesn't have, one that is given twice, or a value of another
            shape.
        TypeError: places of another kind, or complex values for a real network.

    Example:
        >>> import deepconstruct as dc
        >>> xor = dc.parity(4)  # two XOR gates of two units each, and one on top
        >>> dc.run_with(xor, [1, 0, 0, 0], replace={(0, 0): 0.0}).tolist()
        [0.0]
        >>> output, [unit, layer] = dc.run_with(xor, [1, 0, 0, 0], read=[(0, 0), 1])
        >>> output.tolist(), unit.tolist(), layer.tolist()
        ([1.0], 1.0, [1.0, 0.0])
    """
    network = network_of("run_with", network)
    widths = [layer.out_size for layer in layer_sequence(network)]
    edits = _edits(widths, {} if replace is None else replace)
    places = _places(widths, [] if read is None else read)
    touched = {*edits, *(layer for layer, _ in places)}
    x, _ = network._prepared(x)
    batch, found = x.shape[:-1], {}
    h, pending = x.reshape(math.prod(batch), network.in_size, 1), []
    for last, part in _parts(network, touched):
        pending.append(part)
        if last in touched:
            h = run_layers(pending, h).reshape(*batch, part.out_size)
            for unit, value in edits.get(last, {}).items():
                h = _replaced(h, last, unit, value)
            found[last], h, pending = h, h.reshape(math.prod(batch), part.out_size, 1), []
    output = run_layers(pending, h).reshape(*batch, network.out_size)
    if read is None:
        return output
    return output, [found[layer] if unit is None else found[layer][..., unit] for layer, unit in places]


def _parts(network: Network, touched: set[int]) -> Iterator[tuple[int, Layer | Repeat]]:
    """Layers and blocks with the index of their last layer; blocks are unrolled where one is touched."""
    start = 0
    for part in network.layers:
        span = len(part.layers) * part.times if isinstance(part, Repeat) else 1
        if isinstance(part, Repeat) and any(start <= index < start + span for index in touched):
            yield from enumerate(part.unrolled(), start)
        else:
            yield start + span - 1, part
        start += span


def _places(widths: list[int], read: Any) -> list[tuple[int, int | None]]:
    if not isinstance(read, list):  # a pair could be one unit or two layers
        raise TypeError(f"run_with: read must be a list of places, such as [(0, 1)] or [0]; got {read!r}")
    return [_place(widths, place) for place in read]


def _place(widths: list[int], place: Any) -> tuple[int, int | None]:
    """A place with both numbers counted from 0; the unit of a whole layer is `None`."""
    if isinstance(place, tuple):
        if len(place) != 2:
            raise TypeError(f"run_with: a place must be a layer or a pair (layer, unit); got {place!r}")
        layer = _index("layer", place[0], len(widths))
        return layer, _index(f"unit of layer {layer}", place[1], widths[layer])
    return _index("layer", place, len(widths)), None


def _index(what: str, value: Any, count: int) -> int:
    index = check_size("run_with", f"a {what}", value, minimum=-count)
    if index >= count:
        raise ValueError(f"run_with: a {what} must be below {count}; got {index}")
    return index % count


def _edits(widths: list[int], replace: Mapping[Place, Any]) -> dict[int, dict[int | None, Any]]:
    """New values by layer and unit, those of whole layers first."""
    if not isinstance(replace, Mapping):
        raise TypeError(f"run_with: replace must be a dict from places to values; got {type(replace).__name__}")
    edits: dict[int, dict[int | None, Any]] = {}
    for place, value in replace.items():
        layer, unit = _place(widths, place)
        values = edits.setdefault(layer, {})
        if unit in values:
            where = f"layer {layer}" if unit is None else f"unit {unit} of layer {layer}"
            raise ValueError(f"run_with: {where} is replaced twice")
        edits[layer] = {None: value, **values} if unit is None else values | {unit: value}
    return edits


def _replaced(
    h: Inexact[Array, "*batch width"], layer: int, unit: int | None, value: Any
) -> Inexact[Array, "*batch width"]:
    """The outputs of one layer with a unit, or all of them, replaced."""
    old = h if unit is None else h[..., unit]
    where = f"layer {layer}" if unit is None else f"unit {unit} of layer {layer}"
    new = as_numbers("run_with", f"the value of {where}", value(old) if callable(value) else value)
    if jnp.iscomplexobj(new) and not jnp.iscomplexobj(h):
        raise TypeError(f"run_with: a complex value for {where} of a real network")
    try:
        new = jnp.broadcast_to(cast(new, h.dtype), old.shape)
    except ValueError:
        raise ValueError(
            f"run_with: the value of {where} must be a number or broadcast to {old.shape}; got shape {jnp.shape(new)}"
        ) from None
    return new if unit is None else h.at[..., unit].set(new)
