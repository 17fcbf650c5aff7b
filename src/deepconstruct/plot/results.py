"""Results of experiments: basins of attraction, spectra."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..experiments.parity_basin import SUCCESS, Basin
from . import _matplotlib as mpl
from ._matplotlib import NEGATIVE, POSITIVE, colors

if TYPE_CHECKING:
    from ._matplotlib import Figure


def basin(basins: Basin | Sequence[Basin], *, title: str | None = None) -> "Figure":
    """Plot test error and success against the noise scale, one color a kind of network and size.

    Shares of runs have their 95 % intervals (Wilson) around them.

    Args:
        basins: results of `dc.experiments.parity_basin`, such as a dense and a structured one.
        title: a heading.

    Returns:
        The figure.
    """
    basins = [basins] if isinstance(basins, Basin) else basins
    figure = mpl.Figure(figsize=(10, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    sizes = sorted({result.n for result in basins})
    for result, color in zip(basins, colors(len(basins)), strict=True):
        scales, name = np.asarray(result.scales), _name(result, basins)
        left.plot(scales, np.nanmean(result.trained, axis=1), "-", color=color, label=f"{name}, trained")
        left.plot(scales, np.nanmean(result.untrained, axis=1), ":", color=color, label=f"{name}, untrained")
        for seed in range(result.trained.shape[1]):
            left.plot(scales, result.trained[:, seed], ".", color=color, alpha=0.6)
        low, high = result.estimate().rate_interval.T
        right.fill_between(scales, low, high, color=color, alpha=0.15, linewidth=0)
        right.plot(scales, result.success(), "o-", color=color, label=f"{name}, trained")
        right.plot(scales, np.mean(result.untrained_home(), axis=1), ":", color=color, label=f"{name}, untrained")
    left.axhline(0.25, color="gray", linewidth=0.8)
    left.annotate("chance", (0, 0.25), xycoords=("axes fraction", "data"), xytext=(4, 3), textcoords="offset points")
    left.axhline(SUCCESS, color="gray", linewidth=0.8, linestyle="--", label="home, if below")
    left.plot([], [], ".", color="gray", label="single runs, trained")
    left.set(xscale="log", yscale="log", xlabel="noise scale", ylabel="mean squared test error")
    right.set(xscale="log", xlabel="noise scale", ylabel="share of runs that came home", ylim=(-0.05, 1.05))
    # Below the axes, where it covers no run.
    for axes, columns in ((left, 3), (right, 2)):
        axes.legend(fontsize="small", ncols=columns, loc="upper center", bbox_to_anchor=(0.5, -0.16))
    figure.suptitle(title or f"Basin of attraction of parity, n = {', '.join(map(str, sizes))}")
    return figure


def _name(basin: Basin, basins: Sequence[Basin]) -> str:
    """What tells a basin from the others."""
    alike = [other for other in basins if other.kind == basin.kind]
    fans = f", {basin.fans} fans" if len({other.fans for other in alike}) > 1 else ""
    return basin.kind + fans + (f", n = {basin.n}" if len({other.n for other in alike}) > 1 else "")


def spectrum(years: Any, values: Any, power: Any, *, peak: float) -> "Figure":
    """Plot a yearly record beside its power spectrum, with the period of the peak marked.

    Args:
        years: shape `(n,)`.
        values: the record, shape `(n,)`.
        power: power at the frequencies `k / len(values)`, for `k = 0, ..., len(values) / 2`.
        peak: the period to mark, in years.

    Returns:
        The figure.
    """
    figure = mpl.Figure(figsize=(10, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(years, values, color=POSITIVE, linewidth=1)
    left.set(xlabel="year", ylabel="sunspot number", title="Annual mean sunspot numbers")
    frequencies = np.arange(1, len(power)) / len(values)
    right.plot(1 / frequencies, power[1:], color=POSITIVE)
    right.axvline(peak, color=NEGATIVE, linewidth=0.8)
    right.annotate(f" {peak:.1f} years", (peak, 0.95), xycoords=("data", "axes fraction"), color=NEGATIVE)
    right.set(xscale="log", xlabel="period in years", ylabel="power", title="Spectrum, by the FFT network")
    return figure
