"""Errors against the number of weights kept."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .._change.sparsification import SparsificationCurve
from . import _matplotlib as mpl
from ._matplotlib import colors

if TYPE_CHECKING:
    from ._matplotlib import Figure


def sparsification(
    curves: SparsificationCurve | Sequence[SparsificationCurve],
    *,
    labels: Sequence[str] | None = None,
    tolerance: float | None = None,
    mark: int | None = None,
    title: str | None = None,
) -> "Figure":
    """Plot error against the number of weights kept, one color a curve.

    A curve of several networks is drawn as thin lines, with the median of those that are finite.
    Errors that are 0 lie on the lower edge, which is then marked so.

    Args:
        curves: results of `dc.sparsification_curve`.
        labels: a name for each curve.
        tolerance: an error to draw a line at; a dot shows each network's optimal count for it.
        mark: a number of weights to draw a line at, such as `2 n log2 n` for the FFT.
        title: a heading.

    Returns:
        The figure.

    Raises:
        ValueError: no curve, or another number of labels than of curves.

    *Source*: Nye & Saxe (2018), Fig. 2 center.

    Example:
        >>> import deepconstruct as dc, numpy as np
        >>> loss = dc.losses.population(np.fft.fft(np.eye(4)))
        >>> curve = dc.sparsification_curve(dc.densify(dc.fft(4)), loss)
        >>> dc.plot.sparsification(curve, mark=16).axes[0].get_xlabel()
        'weights kept'
    """
    curves = [curves] if isinstance(curves, SparsificationCurve) else list(curves)
    names = [None] * len(curves) if labels is None else list(labels)
    if not curves or len(names) != len(curves):
        raise ValueError(
            f"plot.sparsification: expected curves and a label for each; got {len(curves)} and {len(names)}"
        )
    figure = mpl.Figure(figsize=(7, 4.4), layout="constrained")
    draw_curves(figure.subplots(), curves, names, tolerance, mark)
    figure.axes[0].set_title(title or "")
    mpl.caption(figure, _told(curves, tolerance))
    return figure


def _told(curves: Sequence[SparsificationCurve], tolerance: float | None) -> list[str]:
    runs = {np.asarray(curve.errors).size // len(curve.counts) for curve in curves}
    several = f"Thin lines: {' or '.join(map(str, sorted(runs)))} networks a curve; thick: their median."
    dots = f"Dots: the fewest weights whose error is at most {tolerance:g}." if tolerance is not None else ""
    return [text for text in (several if max(runs) > 1 else "", dots) if text]


def draw_curves(
    axes: Any,
    curves: Sequence[SparsificationCurve],
    names: Sequence[str | None],
    tolerance: float | None,
    mark: int | None,
) -> None:
    """Draw curves into one panel."""
    axes.set_xscale("symlog", linthresh=max(max(curve.counts[-1] for curve in curves) / 100, 1), linscale=0.5)
    axes.set_yscale("log")
    lowest = _lowest(curves)
    for curve, name, color in zip(curves, names, colors(len(curves)), strict=True):
        _draw(axes, curve, lowest, tolerance, name, color)
    if tolerance is not None:
        axes.axhline(tolerance, color="gray", linewidth=0.8, linestyle="--")
    if mark is not None:
        axes.axvline(mark, color="gray", linewidth=0.8, linestyle=":")
        axes.annotate(f" {mark:,}", (mark, 0.97), xycoords=("data", "axes fraction"), color="gray", va="top")
    axes.set(xlabel="weights kept", ylabel="error", xlim=(0, None))
    if any(np.any(np.asarray(curve.errors) == 0) for curve in curves):
        axes.set_ylim(bottom=lowest)
        axes.annotate("0 ", (0, 0), xycoords="axes fraction", ha="right", va="center")
    if any(name is not None for name in names):
        axes.legend(fontsize="small")


def _draw(axes: Any, curve: SparsificationCurve, lowest: float, tolerance: Any, name: str | None, color: str) -> None:
    errors = np.asarray(curve.errors).reshape(-1, len(curve.counts))
    runs = np.maximum(errors, lowest)  # a logarithmic axis has no 0
    for run in runs if len(runs) > 1 else ():
        axes.plot(curve.counts, run, "-", color=color, linewidth=0.7, alpha=0.5)
    whole = runs[np.isfinite(runs).all(axis=1)]
    median = np.median(whole, axis=0) if len(whole) else np.full(len(curve.counts), np.nan)
    axes.plot(curve.counts, median, "-", color=color, linewidth=2, label=name)
    if tolerance is not None:
        optimal = np.asarray(curve.optimal(tolerance)).reshape(-1)
        reached = np.flatnonzero(np.isfinite(optimal))
        axes.plot(optimal[reached], runs[reached, np.searchsorted(curve.counts, optimal[reached])], "o", color=color)


def _lowest(curves: Sequence[SparsificationCurve]) -> float:
    """A place for zeros: a tenth of the least error that isn't 0."""
    errors = np.concatenate([np.ravel(curve.errors) for curve in curves])
    positive = errors[(errors > 0) & np.isfinite(errors)]
    return float(positive.min()) / 10 if len(positive) else 0.1
