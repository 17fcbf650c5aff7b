"""Networks as graphs."""

from typing import TYPE_CHECKING

import numpy as np

from ..construction import Construction, as_network
from ..linear.queries import concrete_entries
from ..network import Layer, Network, flat_layers
from . import _matplotlib as mpl
from ._matplotlib import NEGATIVE, POSITIVE

if TYPE_CHECKING:
    from ._matplotlib import Figure, LineCollection

_LARGEST = 4096


def network(shown: Network | Construction, *, title: str | None = None) -> "Figure":
    """Draw a network as a graph: inputs at the bottom, one row a layer, one line a synapse.

    Blue lines have positive weights, red ones negative (by real part); line width follows the
    modulus within a layer.

    Args:
        shown: a network or construction with at most 4,096 synapses in any layer.
        title: a heading; a construction's name by default.

    Returns:
        The figure.

    Raises:
        ValueError: more synapses in a layer than can be told apart.

    Example:
        >>> import deepconstruct as dc
        >>> figure = dc.plot.network(dc.parity(8))
        >>> figure.axes[0].get_title()
        'parity(8)'
    """
    net = as_network("plot.network", shown, read=True)
    if title is None:
        title = shown.name if isinstance(shown, Construction) else ""
    layers = flat_layers(net)
    places = _places(net)
    widest = max(len(row) for row in places)
    figure = mpl.Figure(figsize=(min(2 + 0.35 * widest, 14), min(1.2 + 0.9 * len(layers), 12)), layout="constrained")
    axes = figure.add_subplot()
    for height, layer in enumerate(layers):
        axes.add_collection(_synapses(layer, places[height], places[height + 1], height))
    for height, row in enumerate(places):
        axes.scatter(row, np.full(len(row), height), s=60, color="white", edgecolor="black", zorder=3)
    axes.set_yticks(range(len(places)), ["input", *(layer.activation.name() for layer in layers)])
    axes.set_xticks([])
    axes.margins(0.05, 0.08)
    axes.set_title(title)
    axes.set_xlabel("blue: positive weights, red: negative\nwidth: modulus", fontsize="small", color="gray")
    for side in axes.spines.values():
        side.set_visible(False)
    return figure


def _places(net: Network) -> list[np.ndarray]:
    """Horizontal places in [0, 1] of the inputs and of the units of every layer.

    Trees with strided gates are laid out from the top, every unit below the mean of those that it
    feeds, so that the tree shows; other networks keep the order of their units.
    """
    layers = flat_layers(net)
    widths = [net.in_size, *(layer.out_size for layer in layers)]
    places = [(np.arange(width) + 0.5) / width for width in widths]
    if any(layer.label is not None and (layer.label.strided or layer.label.uneven) for layer in layers):
        for depth in range(len(layers) - 1, -1, -1):
            gates = _gates(layers[depth - 1]) if depth else np.arange(net.in_size)
            places[depth] = _below(layers[depth], places[depth + 1], gates)
    return places


def _gates(layer: Layer) -> np.ndarray:
    if layer.label is None or layer.out_size % layer.label.group:
        return np.arange(layer.out_size)
    return np.array([layer.label.gate(unit, layer.out_size) for unit in range(layer.out_size)])


def _below(layer: Layer, above: np.ndarray, gates: np.ndarray) -> np.ndarray:
    """Places by the mean of what a unit feeds; ties keep the units of one gate together."""
    rows, cols, _ = concrete_entries(layer.linear)
    fed = np.bincount(cols, minlength=layer.in_size)
    means = np.bincount(cols, above[rows], layer.in_size) / np.maximum(fed, 1)
    ranks = np.argsort(np.lexsort((gates, np.round(means, 9))))
    return (ranks + 0.5) / layer.in_size


def _synapses(layer: Layer, below: np.ndarray, above: np.ndarray, height: int) -> "LineCollection":
    rows, cols, values = concrete_entries(layer.linear)
    if len(rows) > _LARGEST:
        raise ValueError(f"plot.network: a layer has {len(rows)} synapses; at most {_LARGEST} can be told apart")
    moduli = np.abs(values)
    starts = np.stack([below[cols], np.full(len(cols), height)], axis=-1)
    ends = np.stack([above[rows], np.full(len(rows), height + 1)], axis=-1)
    colors = np.where(np.real(values) >= 0, POSITIVE, NEGATIVE)
    widths = 0.4 + 1.2 * moduli / moduli.max(initial=1e-300)
    return mpl.LineCollection(
        list(np.stack([starts, ends], axis=1)), colors=list(colors), linewidths=widths.tolist(), alpha=0.8, zorder=1
    )
