"""Pictures: networks as graphs, basins of attraction, spectra. Needs the extra `plot`.

Every function returns a `matplotlib.figure.Figure` that no window owns: save it with
`figure.savefig("name.png")`, or show it as the last line of a notebook cell (after `%matplotlib
inline`, which teaches the notebook to draw figures).
"""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from .construction import Construction, as_network
from .experiments.parity_basin import SUCCESS, Basin
from .linear.queries import concrete_entries
from .network import Layer, Network, flat_layers

try:
    from matplotlib.collections import LineCollection
    from matplotlib.figure import Figure
except ImportError as error:
    raise ImportError("deepconstruct.plot needs matplotlib: pip install 'deepconstruct[plot]'") from error

__all__ = ["basin", "network", "spectrum"]

_POSITIVE, _NEGATIVE = "#2a6f97", "#c8553d"
_LARGEST = 4096


def network(shown: Network | Construction, *, title: str | None = None) -> Figure:
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
    net = as_network("plot.network", shown)
    if title is None:
        title = shown.name if isinstance(shown, Construction) else ""
    layers = flat_layers(net)
    places = _places(net)
    widest = max(len(row) for row in places)
    figure = Figure(figsize=(min(2 + 0.35 * widest, 14), min(1.2 + 0.9 * len(layers), 12)), layout="constrained")
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


def _synapses(layer: Layer, below: np.ndarray, above: np.ndarray, height: int) -> LineCollection:
    rows, cols, values = concrete_entries(layer.linear)
    if len(rows) > _LARGEST:
        raise ValueError(f"plot.network: a layer has {len(rows)} synapses; at most {_LARGEST} can be told apart")
    moduli = np.abs(values)
    starts = np.stack([below[cols], np.full(len(cols), height)], axis=-1)
    ends = np.stack([above[rows], np.full(len(rows), height + 1)], axis=-1)
    colors = np.where(np.real(values) >= 0, _POSITIVE, _NEGATIVE)
    widths = 0.4 + 1.2 * moduli / moduli.max(initial=1e-300)
    return LineCollection(
        list(np.stack([starts, ends], axis=1)), colors=list(colors), linewidths=widths.tolist(), alpha=0.8, zorder=1
    )


def basin(basins: Basin | Sequence[Basin], *, title: str | None = None) -> Figure:
    """Plot test error and success against the noise scale, one color a kind of network.

    Args:
        basins: results of `dc.experiments.parity_basin`, such as a dense and a structured one.
        title: a heading.

    Returns:
        The figure.
    """
    basins = [basins] if isinstance(basins, Basin) else basins
    figure = Figure(figsize=(10, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for result, color in zip(basins, itertools.cycle((_NEGATIVE, _POSITIVE, "#5b8e3e", "#7a5195")), strict=False):
        scales = np.asarray(result.scales)
        left.plot(scales, np.nanmean(result.trained, axis=1), "-", color=color, label=f"{result.kind}, trained")
        left.plot(scales, np.nanmean(result.untrained, axis=1), ":", color=color, label=f"{result.kind}, untrained")
        for seed in range(result.trained.shape[1]):
            left.plot(scales, result.trained[:, seed], ".", color=color, alpha=0.6)
        right.plot(scales, result.success(), "o-", color=color, label=result.kind)
    left.axhline(0.25, color="gray", linewidth=0.8)
    left.annotate("chance", (0, 0.25), xycoords=("axes fraction", "data"), xytext=(4, 3), textcoords="offset points")
    left.axhline(SUCCESS, color="gray", linewidth=0.8, linestyle="--", label="home, if below")
    left.plot([], [], ".", color="gray", label="single runs, trained")
    left.set(xscale="log", yscale="log", xlabel="noise scale", ylabel="mean squared test error")
    right.set(xscale="log", xlabel="noise scale", ylabel="share of runs that came home", ylim=(-0.05, 1.05))
    # Below the axes, where it covers no run.
    left.legend(fontsize="small", ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.16))
    right.legend(fontsize="small")
    figure.suptitle(title or f"Basin of attraction of parity, n = {basins[0].n}")
    return figure


def spectrum(years: Any, values: Any, power: Any, *, peak: float) -> Figure:
    """Plot a yearly record beside its power spectrum, with the period of the peak marked.

    Args:
        years: shape `(n,)`.
        values: the record, shape `(n,)`.
        power: power at the frequencies `k / len(values)`, for `k = 0, ..., len(values) / 2`.
        peak: the period to mark, in years.

    Returns:
        The figure.
    """
    figure = Figure(figsize=(10, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(years, values, color=_POSITIVE, linewidth=1)
    left.set(xlabel="year", ylabel="sunspot number", title="Annual mean sunspot numbers")
    frequencies = np.arange(1, len(power)) / len(values)
    right.plot(1 / frequencies, power[1:], color=_POSITIVE)
    right.axvline(peak, color=_NEGATIVE, linewidth=0.8)
    right.annotate(f" {peak:.1f} years", (peak, 0.95), xycoords=("data", "axes fraction"), color=_NEGATIVE)
    right.set(xscale="log", xlabel="period in years", ylabel="power", title="Spectrum, by the FFT network")
    return figure
