"""Sharpness of equal functions."""

from typing import TYPE_CHECKING, Any

import numpy as np

from ..experiments import RescaledSharpness
from . import _matplotlib as mpl
from ._matplotlib import NEGATIVE, POSITIVE

if TYPE_CHECKING:
    from ._matplotlib import Figure


def sharpness(result: RescaledSharpness) -> "Figure":
    """Plot three measures of sharpness against the factor between two layers, the function being the same.

    Args:
        result: of `dc.experiments.rescaled_sharpness`.

    Returns:
        The figure: the largest eigenvalue, the traces of the two layers' blocks, Keskar's sharpness.
    """
    figure = mpl.Figure(figsize=(13, 4.8), layout="constrained")
    panels: Any = figure.subplots(1, 3)
    titles = ("largest eigenvalue of the Hessian", "traces of two blocks of the Hessian", "Keskar's sharpness, percent")
    for axes, title in zip(panels, titles, strict=True):
        axes.set(xscale="log", yscale="log", xlabel="factor a: first layer times a, second by 1/a", ylabel=title)
        axes.set_xticks(result.factors, [f"{factor:g}" for factor in result.factors])
        axes.set_xticks([], minor=True)
    for number in range(len(result.names)):
        color, name = (NEGATIVE, "trained") if number else (POSITIVE, "constructed")
        label = name if number < 2 else None
        for axes, values in zip(panels[::2], (result.largest, result.keskar), strict=True):
            axes.plot(result.factors, values[number], "o-", color=color, alpha=0.8, label=label)
        for layer, style in enumerate(("v:", "^-")):
            layer_label = label and f"{name}, {('first', 'second')[layer]} layer"
            traces = result.layers[number, :, layer]
            panels[1].plot(result.factors, traces, style, color=color, alpha=0.8, label=layer_label)
    _slopes(panels[1], result)
    for axes in panels:
        axes.legend(fontsize="small")
    mpl.caption(figure, _told(result))
    return figure


def _slopes(axes: Any, result: RescaledSharpness) -> None:
    """How the block of each layer's weights scales."""
    factors = np.asarray(result.factors)
    for layer, power in enumerate((-2, 2)):
        start = result.layers[0, np.argmin(factors), layer] / factors.min() ** power
        axes.plot(factors, start * factors**power, "--", color="gray", linewidth=0.8,
                  label=f"slope {power}")  # fmt: skip


def _told(result: RescaledSharpness) -> list[str]:
    trained = len(result.names) - 1
    return [
        f"Parity of {result.n} bits by ReLU networks: the dense parity tree, and {mpl.counted(trained, 'trained one')}"
        f" (a line each). All points of a line are one function: outputs on all inputs differ by at most "
        f"{np.max(result.change):.2g}, losses are at most {np.max(result.loss):.1e}.",
        f"Keskar's: the rise of the loss in the box |dw| <= {result.epsilon:g} (|w| + 1) over 1 + loss, a lower bound "
        "by projected ascent. Traces are exact; the second layer's bias, in its block, isn't scaled.",
        f"Training: {result.settings}.",
    ]
