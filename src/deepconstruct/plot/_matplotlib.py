"""What the pictures need of matplotlib, imported on use, and their colors."""

import importlib
import textwrap
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.collections import LineCollection as LineCollection, PolyCollection as PolyCollection
    from matplotlib.colors import ListedColormap as ListedColormap
    from matplotlib.figure import Figure as Figure

POSITIVE, NEGATIVE, UNDECIDED = "#2a6f97", "#c8553d", "#e9c46a"

_HOMES = {
    "Figure": "figure",
    "LineCollection": "collections",
    "PolyCollection": "collections",
    "ListedColormap": "colors",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(_module(f"matplotlib.{_HOMES[name]}"), name)


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError("deepconstruct.plot needs matplotlib: pip install 'deepconstruct[plot]'") from error


def check_installed() -> None:
    """Refuse work whose pictures can't be drawn."""
    _module("matplotlib.figure")


def is_installed() -> bool:
    """Whether pictures can be drawn."""
    try:
        check_installed()
    except ImportError:
        return False
    return True


def caption(figure: "Figure", lines: Iterable[str]) -> None:
    """Write below the axes what their numbers are: runs, settings, intervals."""
    width = int(15 * figure.get_size_inches()[0])  # about that many letters fit
    figure.supxlabel("\n".join(textwrap.fill(line, width) for line in lines), fontsize="small", color="dimgray")


def noise_axis(axes: Any, scales: Any) -> None:
    """A logarithmic axis of noise scales, which has a place for 0."""
    least = min((scale for scale in scales if scale > 0), default=1.0)
    if min(scales) > 0:
        axes.set_xscale("log")
    else:
        axes.set_xscale("symlog", linthresh=least, linscale=0.5)


def counted(number: int, what: str) -> str:
    """`3 seeds`, `1 seed`."""
    return f"{number:,} {what}{'s' * (number != 1)}"


def colors(count: int) -> list[str]:
    """That many colors: distinct ones if few, else from dark to light, for values in order."""
    few = [POSITIVE, NEGATIVE, "#5b8e3e", "#7a5195"]
    if count <= len(few):
        return few[:count]
    scale, to_hex = _module("matplotlib").colormaps["viridis"], _module("matplotlib.colors").to_hex
    return [to_hex(scale(k / count)) for k in range(count)]
