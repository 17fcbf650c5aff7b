"""Pictures, with the extra `plot`: networks, basins, sparsification, spectra, fractals.

Every function returns a `matplotlib.figure.Figure` that no window owns: save it with
`figure.savefig("name.png")`, or show it as the last line of a notebook cell (after `%matplotlib
inline`, which teaches the notebook to draw figures).
"""

from .fractals import fractal as fractal, truncations as truncations
from .networks import network as network
from .results import basin as basin, spectrum as spectrum
from .sharpness import sharpness as sharpness
from .sparsity import sparsification as sparsification
from .training import (
    fft_basin as fft_basin,
    fft_scaling as fft_scaling,
    fractal_curves as fractal_curves,
    fractal_depths as fractal_depths,
)

__all__ = [
    "basin",
    "fft_basin",
    "fft_scaling",
    "fractal",
    "fractal_curves",
    "fractal_depths",
    "network",
    "sharpness",
    "sparsification",
    "spectrum",
    "truncations",
]
