"""What the pictures need of matplotlib, and their colors."""

try:
    from matplotlib.collections import LineCollection as LineCollection, PolyCollection as PolyCollection
    from matplotlib.colors import ListedColormap as ListedColormap
    from matplotlib.figure import Figure as Figure
except ImportError as error:
    raise ImportError("deepconstruct.plot needs matplotlib: pip install 'deepconstruct[plot]'") from error

POSITIVE, NEGATIVE, UNDECIDED = "#2a6f97", "#c8553d", "#e9c46a"
