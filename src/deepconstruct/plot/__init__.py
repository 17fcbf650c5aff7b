"""Pictures: networks as graphs, basins of attraction, sparsification, spectra, fractals. Needs the extra `plot`.

Every function returns a `matplotlib.figure.Figure` that no window owns: save it with
`figure.savefig("name.png")`, or show it as the last line of a notebook cell (after `%matplotlib
inline`, which teaches the notebook to draw figures).
"""

from .fractals import fractal as fractal, truncations as truncations
from .networks import network as network
from .results import basin as basin, spectrum as spectrum
from .sparsity import sparsification as sparsification

__all__ = ["basin", "fractal", "network", "sparsification", "spectrum", "truncations"]
