"""Results of experiments: basins of attraction, spectra."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..experiments.parity_basin import SUCCESS, Basin
from ._matplotlib import NEGATIVE, POSITIVE, Figure


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
    for result, color in zip(basins, itertools.cycle((NEGATIVE, POSITIVE, "#5b8e3e", "#7a5195")), strict=False):
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
    left.plot(years, values, color=POSITIVE, linewidth=1)
    left.set(xlabel="year", ylabel="sunspot number", title="Annual mean sunspot numbers")
    frequencies = np.arange(1, len(power)) / len(values)
    right.plot(1 / frequencies, power[1:], color=POSITIVE)
    right.axvline(peak, color=NEGATIVE, linewidth=0.8)
    right.annotate(f" {peak:.1f} years", (peak, 0.95), xycoords=("data", "axes fraction"), color=NEGATIVE)
    right.set(xscale="log", xlabel="period in years", ylabel="power", title="Spectrum, by the FFT network")
    return figure
