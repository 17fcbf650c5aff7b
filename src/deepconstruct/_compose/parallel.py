"""Networks side by side, and on one input."""

from itertools import zip_longest
from typing import Any

import jax
import numpy as np

from .._bias import join_biases
from ..activations import join
from ..construction import Construction, FanOut, Parallel
from ..linear import DirectSum, Identity as IdentityMap, Stack
from ..network import Label, Layer, Network, Repeat, flat_layers, own
from .algebra import fan_out_claim, parallel_claim
from .parts import Layers, Part, check_parts

# Layers of more units get no label where their gates would have to be listed one by one.
_MOST_LISTED = 2**14


def parallel(*parts: Part) -> Part:
    """Run networks side by side on consecutive inputs: `(f(x_1), g(x_2), ...)`.

    Shallower networks are padded behind their readout by identity layers, which count as linear
    neurons. Repeated blocks stay one block if their times agree, else they are unrolled.

    Args:
        parts: networks, or constructions.

    Returns:
        A network, or a construction: every output keeps its error and gain, and the radius is the least.

    Raises:
        TypeError: networks mixed with constructions.
        ValueError: different dtypes.

    Example:
        >>> import deepconstruct as dc
        >>> dc.parallel(dc.parity(2), dc.parity(3))([1, 0, 1, 1, 0]).tolist()
        [1.0, 0.0]
    """
    return _joined("parallel", parts, join_parallel, parallel_claim, Parallel)


def fan_out(*parts: Part) -> Part:
    """Run several networks on the same input: `(f(x), g(x), ...)`.

    Args:
        parts: networks of one `in_size`, or constructions of one domain.

    Returns:
        A network, or a construction: every output keeps its error and gain, and the radius is the least.

    Raises:
        TypeError: networks mixed with constructions.
        ValueError: different input sizes, domains or dtypes.

    Example:
        >>> import deepconstruct as dc
        >>> both = dc.fan_out(dc.parity(3), dc.parity_shallow(3))
        >>> both([1, 1, 1]).tolist()
        [1.0, 1.0]
    """
    sizes = {part.in_size for part in parts if isinstance(part, Network)}
    if len(sizes) > 1:
        raise ValueError(f"fan_out: all networks must take one size; got {sorted(sizes)}")
    return _joined("fan_out", parts, join_fan_out, fan_out_claim, FanOut)


def _joined(owner: str, parts: Any, join_layers: Any, join_claims: Any, origin: type[Parallel | FanOut]) -> Any:
    """Join networks; for constructions, join the claims too."""
    check_parts(owner, parts)
    if isinstance(parts[0], Network):
        return own(Network(join_layers(list(parts))))
    claim = join_claims([part.claim for part in parts])
    return Construction(own(Network(join_layers([part.network for part in parts]))), claim, origin(parts))


def join_parallel(networks: list[Network]) -> Layers:
    """Networks side by side; shallower ones are padded behind their readout by identity layers."""
    # Repeated blocks stay only where all networks have them at one place, alike in times and length.
    shapes = {tuple(_repetition(part) for part in network.layers) for network in networks}
    chains = [network.layers if len(shapes) == 1 else flat_layers(network) for network in networks]
    rows = zip_longest(*chains)
    return tuple(_side_by_side(row, [network.out_size for network in networks]) for row in rows)


def _repetition(part: Layer | Repeat) -> tuple[int, int] | None:
    return (part.times, len(part.layers)) if isinstance(part, Repeat) else None


def _side_by_side(row: tuple[Layer | Repeat | None, ...], out_sizes: list[int]) -> Layer | Repeat:
    if isinstance(row[0], Repeat):
        columns = tuple(zip(*(part.layers for part in row), strict=True))  # pyright: ignore
        join = jax.vmap(lambda blocks: tuple(_join_layers(list(b)) for b in blocks), axis_size=row[0].times)
        return Repeat(join(columns), row[0].times)
    padded = [Layer(IdentityMap(size)) if part is None else part for part, size in zip(row, out_sizes, strict=True)]
    return _join_layers(padded)  # pyright: ignore[reportArgumentType]


def _join_layers(layers: list[Layer]) -> Layer:
    linear = DirectSum(tuple(layer.linear for layer in layers))
    return _with_joined_rest(linear, layers)


def _with_joined_rest(linear: DirectSum | Stack, layers: list[Layer]) -> Layer:
    sizes = [layer.out_size for layer in layers]
    bias = join_biases([layer.bias for layer in layers], sizes)
    activation = join([(layer.activation, layer.out_size) for layer in layers])
    return Layer(linear, bias, activation, _joined_label(layers))


def _joined_label(layers: list[Layer]) -> Label | None:
    """The label of layers of one name, whose gates are numbered on from layer to layer."""
    labels = [layer.label for layer in layers]
    (name, *others) = {None if label is None else label.name for label in labels}
    if others or name is None:
        return None
    gates, count = [], 0
    for label, layer in zip(labels, layers, strict=True):
        own = label.gates(layer.out_size)  # pyright: ignore[reportOptionalMemberAccess]
        gates.append(np.where(own < 0, -1, own + count))
        count += int(own.max(initial=-1)) + 1
    listed = np.concatenate(gates)
    if np.array_equal(labels[0].gates(len(listed)), listed):  # pyright: ignore[reportOptionalMemberAccess]
        return labels[0]
    return Label(name, listed=tuple(listed.tolist())) if len(listed) <= _MOST_LISTED else None


def join_fan_out(networks: list[Network]) -> Layers:
    """Networks on the same input: the first layers are stacked, the rest run in parallel."""
    chains = [flat_layers(network) for network in networks]
    firsts = [chain[0] for chain in chains]
    stacked = _with_joined_rest(Stack(tuple(layer.linear for layer in firsts)), firsts)
    sizes = [network.out_size for network in networks]
    # Behind its first layer a chain of length one is its own output, so padding fits everywhere.
    rest = zip_longest(*(chain[1:] for chain in chains))
    return (stacked, *(_side_by_side(row, sizes) for row in rest))
