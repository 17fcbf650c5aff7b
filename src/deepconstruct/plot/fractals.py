"""Fractals: their cells, what networks make of them, and what truncations miss."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from .._checks import check_size
from ..construction import Construction, as_network
from ..data import FractalDistribution, measured_curve
from ..network import Network
from ..systems import IFS
from . import _matplotlib as mpl
from ._matplotlib import NEGATIVE, POSITIVE, UNDECIDED

if TYPE_CHECKING:
    from ._matplotlib import Figure

_MOST_CELLS = 2**16


def fractal(
    shown: IFS | Construction | Network, level: int | None = None, *, resolution: int = 600, title: str | None = None
) -> "Figure":
    """Draw the cells of a system, or the decision regions of a network, in one or two dimensions.

    A system's cells are drawn blue; in one dimension with one row a level. A network's output is blue
    above 1/2 and white below; where its claim says nothing, between the fractal and its margin, a
    construction is shown in yellow.

    Args:
        shown: a system, with its `level`, or a network with one or two inputs and one output.
        level: of a system, at least 0.
        resolution: pixels a side for decision regions, at least 2.
        title: a heading.

    Returns:
        The figure.

    Raises:
        ValueError: more than two dimensions, more than 2^16 cells, a system without a level, a network with one.

    Example:
        >>> import deepconstruct as dc
        >>> dust = dc.systems.cantor_dust()
        >>> figures = dc.plot.fractal(dust, 3), dc.plot.fractal(dc.fractal(dust, 3), resolution=50)
        >>> [figure.axes[0].get_title() for figure in figures]
        ['cantor_dust, level 3: 64 cells', 'cantor_dust(3)']
    """
    figure = mpl.Figure(figsize=(5.2, 5.2), layout="constrained")
    axes = figure.add_subplot()
    if isinstance(shown, IFS):
        if level is None:
            raise ValueError("plot.fractal: a system needs a level to be drawn at")
        level = check_size("plot.fractal", "level", level, minimum=0)
        _check_dimension(shown.size)
        heading = _draw_cells(axes, shown, level)
    else:
        if level is not None:
            raise ValueError("plot.fractal: a network is drawn at its own level; leave level out")
        resolution = check_size("plot.fractal", "resolution", resolution, minimum=2)
        heading = _draw_decisions(figure, axes, shown, resolution)
    axes.set_title(heading if title is None else title)
    return figure


def _check_dimension(size: int) -> None:
    if size > 2:
        raise ValueError(f"plot.fractal: one or two dimensions can be drawn; got {size}")


def _draw_cells(axes: Any, system: IFS, level: int) -> str:
    count = system.num_maps**level
    if count > _MOST_CELLS:
        raise ValueError(f"plot.fractal: level {level} has {count} cells; at most {_MOST_CELLS} are drawn")
    if system.size == 1:
        for row in range(level + 1):
            matrices, centers = system.cells(row)
            halves = np.abs(matrices[:, 0, 0])
            axes.broken_barh(
                list(zip(centers[:, 0] - halves, 2 * halves, strict=True)), (-row - 0.35, 0.7), color=POSITIVE
            )
        axes.set_yticks(-np.arange(level + 1), [str(row) for row in range(level + 1)])
        axes.set(xlim=(-1.02, 1.02), xlabel="x", ylabel="level")
    else:
        matrices, centers = system.cells(level)
        corners = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
        polygons = np.einsum("nij,kj->nki", matrices, corners) + centers[:, None]
        axes.add_collection(mpl.PolyCollection(list(polygons), facecolor=POSITIVE, linewidth=0))
        _square(axes)
    return f"{system.name}, level {level}: {count:,} cell{'s' if count != 1 else ''}"


def _square(axes: Any) -> None:
    axes.set(xlim=(-1, 1), ylim=(-1, 1), aspect="equal", xlabel="$x_1$", ylabel="$x_2$")


def _draw_decisions(figure: "Figure", axes: Any, shown: Construction | Network, resolution: int) -> str:
    net = as_network("plot.fractal", shown)
    _check_dimension(net.in_size)
    if net.out_size != 1:
        raise ValueError(f"plot.fractal: expected a network with one output; got {net.out_size}")
    places = np.linspace(-1, 1, resolution)
    if net.in_size == 1:
        figure.set_size_inches(7, 2.6)
        axes.plot(places, _run(net, places[:, None]), color=POSITIVE, linewidth=0.8)
        unknown = _undecided(shown, places[:, None])
        axes.fill_between(places, 0, 1, where=unknown, color=UNDECIDED, step="mid", linewidth=0)
        axes.set(xlim=(-1, 1), xlabel="x", ylabel="output")
    else:
        # Centers of pixels: their borders are where cells often meet.
        places = (np.arange(resolution) + 0.5) * 2 / resolution - 1
        grid = np.stack(np.meshgrid(places, places), axis=-1).reshape(-1, 2)
        kinds = np.where(_undecided(shown, grid), 2, (_run(net, grid) > 0.5).astype(int))
        colors = mpl.ListedColormap(["white", POSITIVE, UNDECIDED])
        image = kinds.reshape(resolution, resolution)
        axes.imshow(image, origin="lower", extent=(-1, 1, -1, 1), cmap=colors, vmin=0, vmax=2, interpolation="nearest")
        _square(axes)
    drawn = "line: output" if net.in_size == 1 else "blue: output above 1/2, white: below"
    claimed = "; yellow: the margin, where nothing is claimed" if isinstance(shown, Construction) else ""
    mpl.caption(figure, [f"{drawn}{claimed}; {resolution:,} points an axis"])
    return shown.name if isinstance(shown, Construction) else ""


def _run(net: Network, x: np.ndarray) -> np.ndarray:
    return np.asarray(jax.jit(net)(x))[:, 0]


def _undecided(shown: Construction | Network, x: np.ndarray) -> np.ndarray:
    if not isinstance(shown, Construction):
        return np.zeros(len(x), bool)
    return ~np.asarray(shown.claim.domain.contains(jnp.asarray(x)))


def truncations(
    distribution: FractalDistribution,
    networks: Sequence[Construction | Network],
    key: PRNGKeyArray,
    num: int = 20_000,
    *,
    title: str | None = None,
) -> "Figure":
    """Draw the errors of networks on a distribution beside `1 - P(j)`, the theory's for truncations.

    Args:
        distribution: points and labels.
        networks: the truncations `dc.fractal(system, j)` for `j = 1, 2, ...`, in this order; or others.
        key: a PRNG key.
        num: points, at least 1.
        title: a heading.

    Returns:
        The figure.

    Example:
        >>> import deepconstruct as dc, jax
        >>> cantor = dc.systems.cantor()
        >>> distribution = dc.data.FractalDistribution(cantor, 3, dc.data.linear)
        >>> networks = [dc.fractal(cantor, j) for j in (1, 2, 3)]
        >>> dc.plot.truncations(distribution, networks, jax.random.key(0)).axes[0].get_xlabel()
        'level j of the truncation'
    """
    found = measured_curve(distribution, networks, key, num)
    figure = mpl.Figure(figsize=(5.6, 3.6), layout="constrained")
    axes = figure.add_subplot()
    levels = np.arange(distribution.level + 1)
    axes.plot(levels, 1 - distribution.values, "o--", color=NEGATIVE, mfc="none", ms=9, label="theory: 1 - P(j)")
    places = np.arange(1, len(networks) + 1)
    axes.errorbar(
        places, 1 - found.accuracy, 3 * found.standard_error, fmt=".", color=POSITIVE, capsize=3,
        label=f"measured on {num:,} points, 3 standard errors",
    )  # fmt: skip
    axes.set(xlabel="level j of the truncation", ylabel="error, share of points", ylim=(-0.02, 0.55), xticks=levels)
    axes.legend(fontsize="small")
    axes.set_title(repr(distribution) if title is None else title)
    return figure
