"""What the pictures need of matplotlib, and their colors."""

try:
    from matplotlib import colormaps
    from matplotlib.collections import LineCollection as LineCollection, PolyCollection as PolyCollection
    from matplotlib.colors import ListedColormap as ListedColormap, to_hex
    from matplotlib.figure import Figure as Figure
except ImportError as error:
    raise ImportError("deepconstruct.plot needs matplotlib: pip install 'deepconstruct[plot]'") from error

POSITIVE, NEGATIVE, UNDECIDED = "#2a6f97", "#c8553d", "#e9c46a"


def colors(count: int) -> list[str]:
    """That many colors: distinct ones if few, else from dark to light, for values in order."""
    few = [POSITIVE, NEGATIVE, "#5b8e3e", "#7a5195"]
    return few[:count] if count <= len(few) else [to_hex(colormaps["viridis"](k / count)) for k in range(count)]
