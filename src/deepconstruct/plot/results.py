"""Results of experiments: basins of attraction, spectra."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .._analysis.basin import BasinEstimate
from ..experiments.parity_basin import SUCCESS, ParityBasin
from . import _matplotlib as mpl
from ._matplotlib import NEGATIVE, POSITIVE, colors

if TYPE_CHECKING:
    from ._matplotlib import Figure


def basin(basins: BasinEstimate | ParityBasin | Sequence[ParityBasin], *, title: str | None = None) -> "Figure":
    """Plot success against the noise scale; for experiments test errors too, one color a kind of network and size.

    Shares of runs have their intervals (Wilson) around them. An estimate shows its critical noise with its
    interval, or where the runs jump, the two scales between which they do.

    Args:
        basins: a result of `dc.basin`; or results of `dc.experiments.parity_basin`, such as a dense and a
            structured one.
        title: a heading.

    Returns:
        The figure.

    Example:
        >>> import deepconstruct as dc, numpy as np
        >>> noise = np.array([0.1, 0.2, 0.3, 0.4])
        >>> found = dc.basin(noise, noise[:, None] < np.linspace(0.15, 0.35, 32))
        >>> dc.plot.basin(found).axes[0].get_ylabel()
        'share of 32 runs that succeeded'
    """
    if isinstance(basins, BasinEstimate):
        return _estimate(basins, title)
    basins = [basins] if isinstance(basins, ParityBasin) else basins
    figure = mpl.Figure(figsize=(12, 4.8), layout="constrained")
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
    every = [scale for result in basins for scale in result.scales]
    for axes in (left, right):
        mpl.noise_axis(axes, every)
        axes.set_xlabel("noise scale, in units of sqrt(2 / (fan in + fan out))")
    left.set(yscale="log", ylabel="mean squared test error (outputs 0 and 1)")
    right.set(ylabel="share of runs that came home", ylim=(-0.05, 1.05))
    # Beside the axes, where it covers no run; colors mean the same on both.
    figure.legend(*left.get_legend_handles_labels(), fontsize="small", loc="outside right center")
    figure.suptitle(title or f"Basin of attraction of parity, n = {', '.join(map(str, sizes))}")
    mpl.caption(figure, _told(basins))
    return figure


def _told(basins: Sequence[ParityBasin]) -> list[str]:
    """What all numbers of a picture of basins are; each thing once."""
    runs = " and ".join(dict.fromkeys(f"{result.trained.shape[1]:,}" for result in basins))
    fans = " and ".join(dict.fromkeys(result.fans for result in basins))
    settings = dict.fromkeys(str(result.settings) for result in basins if result.settings is not None)
    percent = f"{100 * basins[0].estimate().confidence:g} %"
    return [
        f"Seeds a noise scale: {runs}; noise on weights, with the fans of the {fans}.",
        *(f"Training: {text}." for text in settings),
        f"Lines on the left are means over seeds; bands on the right are {percent} intervals (Wilson) of the shares.",
        f"Home: test error below {SUCCESS:g} and every rounded output right.",
    ]


def _estimate(found: BasinEstimate, title: str | None) -> "Figure":
    figure = mpl.Figure(figsize=(6, 4.8), layout="constrained")
    axes = figure.subplots()
    percent = f"{100 * found.confidence:g} %"
    axes.fill_between(
        found.noise, *found.rate_interval.T, color=POSITIVE, alpha=0.15, linewidth=0, label=f"{percent} interval"
    )
    axes.plot(found.noise, found.rate, "o-", color=POSITIVE, label="runs that succeeded")
    axes.axhline(0.5, color="gray", linewidth=0.8)
    if found.method == "logistic":
        axes.axvline(found.critical, color=NEGATIVE, label=f"critical noise {found.critical:.3g}")
        low, high = found.interval
        axes.axvspan(low, high, color=NEGATIVE, alpha=0.15, linewidth=0, label=f"{percent}: {low:.3g} to {high:.3g}")
    elif found.method == "separated":
        low, high = found.bracket
        axes.axvspan(
            max(low, found.noise[0]), min(high, found.noise[-1]), color=NEGATIVE, alpha=0.15, linewidth=0,
            label=f"jump, between {low:.3g} and {high:.3g}",
        )  # fmt: skip
    axes.set(
        xlabel="noise scale (in units of the runs)", ylabel=f"share of {found.runs} runs that succeeded",
        ylim=(-0.05, 1.05),
    )  # fmt: skip
    axes.legend(fontsize="small")
    axes.set_title(title or "Success against noise")
    mpl.caption(figure, _told_of(found, percent))
    return figure


def _told_of(found: BasinEstimate, percent: str) -> list[str]:
    between = "between {:.3g} and {:.3g}".format(*found.interval)
    critical = {
        "logistic": f"Critical noise: a logistic fit, {percent} by a bootstrap over seeds.",
        "separated": f"Critical noise: in the jump, {percent} {between}.",
    }.get(found.method, f"Critical noise: unknown, {percent} {between}.")
    return [f"{mpl.counted(found.runs, 'seed')} a noise scale; the band is Wilson's {percent} interval.", critical]


def _name(basin: ParityBasin, basins: Sequence[ParityBasin]) -> str:
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
    right.set(
        xscale="log",
        xlabel="period in years",
        ylabel="power (sunspot numbers squared)",
        title="Spectrum, by the FFT network",
    )
    return figure
