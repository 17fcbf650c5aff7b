"""Results of the experiments with the FFT and with fractals."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .._change.sparsification import SparsificationCurve
from ..experiments import FFTBasin, FractalTraining
from . import _matplotlib as mpl
from ._matplotlib import colors

if TYPE_CHECKING:
    from ._matplotlib import Figure
from .sparsity import draw_curves


def fft_basin(basins: FFTBasin | Sequence[FFTBasin]) -> "Figure":
    """Plot errors of trained networks against the number of weights kept, one panel a size.

    Thin lines are single runs, thick ones their median; the dotted line marks the construction's
    `2 n log2 n` weights.

    Args:
        basins: results of `dc.experiments.fft_basin`.

    Returns:
        The figure.
    """
    basins = [basins] if isinstance(basins, FFTBasin) else list(basins)
    if not basins:
        raise ValueError("plot.fft_basin: expected at least one result of dc.experiments.fft_basin; got none")
    figure = mpl.Figure(figsize=(max(5.5 * len(basins), 7), 5.2), layout="constrained")
    for axes, basin in zip(np.ravel(figure.subplots(1, len(basins))), basins, strict=True):
        curves = [SparsificationCurve(basin.trained.counts, errors) for errors in basin.trained.errors]
        draw_curves(axes, curves, [f"noise {scale:g}" for scale in basin.scales], None, basin.synapses)
        axes.set(
            title=f"FFT of size {basin.n}, trained", xlabel=f"weights kept, of {basin.trained.counts[-1]:,}",
            ylabel="mean squared error an output",
        )  # fmt: skip
    told = [
        f"Thin lines are single seeds, {_seeds(basins)} a noise scale, thick ones their median.",
        "Dotted: the FFT's 2 n log2 n weights. Without weights the error is 1.",
    ]
    mpl.caption(figure, [*told, _NOISE, *_settings(basins)])
    return figure


def fft_scaling(basins: Sequence[FFTBasin], *, tolerance: float | None = None) -> "Figure":
    """Plot how many weights trained networks need, over `n log2 n`, against `n`.

    Args:
        basins: results of `dc.experiments.fft_basin` of several sizes and the same noise scales.
        tolerance: of `SparsificationCurve.optimal`; the least error by default.

    Returns:
        The figure; flat lines scale as the FFT does. Runs that learned nothing, or that no count
        makes good enough, are left out.
    """
    figure = mpl.Figure(figsize=(7, 5), layout="constrained")
    axes = figure.subplots()
    sizes = np.array([basin.n for basin in basins])
    needed = np.array([basin.needed(tolerance) for basin in basins])  # sizes, scales, seeds
    exact = np.array([float(basin.exact.optimal(tolerance)) for basin in basins])
    unit = np.array([basin.synapses / 2 for basin in basins])
    axes.plot(sizes, exact / unit, "s--", color="gray", label="construction", zorder=3, mfc="none")
    for k, (scale, color) in enumerate(zip(basins[0].scales, colors(len(basins[0].scales)), strict=True)):
        ratios = needed[:, k] / unit[:, None]
        axes.plot(sizes, np.median(ratios, axis=1), "-", color=color, label=f"noise {scale:g}")
        axes.plot(sizes, ratios, ".", color=color)
    axes.set(xscale="log", yscale="log", xlabel="n, the size of the transform", ylabel="weights needed / (n log2 n)")
    _ticks(axes.xaxis, list(sizes))
    _ticks(axes.yaxis, [2, *sizes])  # all weights have the ratio n
    axes.legend(fontsize="small")
    best = "the least error" if tolerance is None else f"an error of at most {tolerance:g}"
    told = f"Dots are single seeds, {_seeds(basins)} a noise scale, lines their median; needed: the fewest with {best}."
    mpl.caption(figure, [told, _NOISE, *_settings(basins)])
    return figure


_NOISE = "Noise s: real and imaginary part of every weight off by normal numbers of standard deviation s / sqrt(n)."


def _seeds(basins: Sequence[FFTBasin]) -> str:
    return " and ".join(dict.fromkeys(str(basin.trained.errors.shape[1]) for basin in basins))


def _settings(results: Sequence[FFTBasin | FractalTraining]) -> list[str]:
    """How results were trained, each way once."""
    texts = dict.fromkeys(str(result.settings) for result in results if result.settings is not None)
    return [f"Training: {text}." for text in texts]


def _means(training: FractalTraining) -> list[str]:
    seeds = training.accuracy.shape[-1]
    bars = "bars: two standard errors of the mean" if seeds > 1 else "one seed has no bars"
    return [
        f"Means of {mpl.counted(seeds, 'seed')}; {bars}; half of the test points are positive.",
        *_settings([training]),
    ]


def fractal_depths(training: FractalTraining) -> "Figure":
    """Plot test accuracy against width, one line a depth and one panel a curve.

    Args:
        training: a result of `dc.experiments.fractal_training`.

    Returns:
        The figure, with bars of two standard errors of the mean over seeds.
    """
    figure = mpl.Figure(figsize=(max(4.6 * len(training.curves), 6) + 1.8, 4.6), layout="constrained")
    panels = np.ravel(figure.subplots(1, len(training.curves), sharey=True))
    for axes, curve, accuracy, exact in zip(panels, training.curves, training.accuracy, training.exact, strict=True):
        for depth, runs, color in zip(training.depths, accuracy, colors(len(training.depths)), strict=True):
            _with_errors(axes, training.widths, runs, mpl.counted(depth, "hidden layer"), color)
        _references(axes, exact)
        axes.set(xscale="log", xlabel="width, units a hidden layer", title=f"curve {curve!r}")
        _ticks(axes.xaxis, training.widths)
    panels[0].set_ylabel("test accuracy, share of points")
    panels[-1].legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    mpl.caption(figure, _means(training))
    return figure


def fractal_curves(training: FractalTraining) -> "Figure":
    """Plot test accuracy for several approximation curves, of the best width at the largest depth.

    Args:
        training: a result of `dc.experiments.fractal_training`.

    Returns:
        The figure: the curves on the left, accuracies with bars of two standard errors on the right.
    """
    figure = mpl.Figure(figsize=(10, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    names = [repr(curve) for curve in training.curves]
    for curve, values, color in zip(training.curves, training.values, colors(len(names)), strict=True):
        left.plot(np.arange(len(values)), values, "o-", color=color, label=repr(curve))
    left.set(
        xlabel="level j", ylabel="P(j), accuracy of the truncation at level j", title="approximation curves",
        xticks=np.arange(training.values.shape[1]),
    )  # fmt: skip
    left.legend(fontsize="small")
    _with_errors(
        right,
        np.arange(len(names)),
        training.best(),
        f"trained, {mpl.counted(max(training.depths), 'hidden layer')}",
        colors(1)[0],
    )
    right.plot(np.arange(len(names)), training.exact, "s", color="gray", label="construction", mfc="none")
    _references(right, None)
    right.set(xlabel="approximation curve, coarse to fine", ylabel="test accuracy, share of points", ylim=(0.45, 1.03))
    right.set_xticks(np.arange(len(names)), names, rotation=20)
    right.legend(fontsize="small", loc="center right")
    mpl.caption(figure, _means(training))
    return figure


def _ticks(axis: Any, values: Sequence[int]) -> None:
    """Label these places of a logarithmic axis and no others."""
    axis.set_ticks(values, [str(value) for value in values])
    axis.set_ticks([], minor=True)


def _with_errors(axes: Any, places: Any, runs: np.ndarray, label: str, color: str) -> None:
    """The mean over the last axis."""
    spread = runs.std(axis=-1, ddof=1) if runs.shape[-1] > 1 else np.zeros(runs.shape[:-1])
    bars = 2 * spread / np.sqrt(runs.shape[-1])
    axes.errorbar(places, runs.mean(axis=-1), bars, fmt="o-", color=color, capsize=3, label=label)


def _references(axes: Any, exact: float | None) -> None:
    axes.axhline(0.5, color="gray", linewidth=0.8)
    axes.annotate("chance", (0, 0.5), xycoords=("axes fraction", "data"), xytext=(4, 3), textcoords="offset points")
    if exact is not None:
        axes.axhline(exact, color="gray", linewidth=0.8, linestyle="--", label="construction")
