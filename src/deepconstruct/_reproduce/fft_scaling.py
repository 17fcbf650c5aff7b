"""Nye & Saxe, Fig. 2 right: do trained networks need `n log n` weights?"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .. import plot
from ..experiments import FFTBasin
from . import fft_basin
from .report import Experiment, Outcome, table

_CLAIM = """Nye & Saxe (2018), *Are efficient deep representations learnable?*, Fig. 2 right. The number of weights of
deep linear networks after optimal sparsification, divided by `n log n`, is flat in `n` for the hand-coded FFT and for
networks started near it, and grows for networks started far from it: they don't find the fast algorithm. No numbers
are published, and *optimal* isn't defined.

Departures: as in `fft-basin`; a few times more steps bring noise 1 close to the FFT, but not noise 4. *Optimal* is
taken as the number of weights with the least error, which is what the paper's text describes; with a tolerance
(`--set tolerance=0.001`), the smallest number whose error is at most that."""

_MEASURE = """Weights needed over `n log2 n`: medians over seeds. The FFT itself needs `2 n log2 n`; all weights are
`n^2 log2 n`, so that a network that can't be sparsified has the ratio `n`. A dash: in half of the
runs or more no number of weights is good enough, or halves the error of a network without weights."""


def _run(settings: Mapping[str, Any], store: Path, progress: bool) -> Outcome:
    basins, tolerance = fft_basin.measured(settings, store, progress), settings["tolerance"] or None
    data = {"basins": [fft_basin.data_of(basin) | {"needed": basin.needed(tolerance)} for basin in basins]}
    text = f"{_MEASURE}\n\n{_table(basins, tolerance)}"
    return Outcome(text, data, plot.fft_scaling(basins, tolerance=tolerance))


def _table(basins: list[FFTBasin], tolerance: float | None) -> str:
    rows = []
    for basin in basins:
        unit = basin.synapses / 2
        medians = np.median(np.nan_to_num(basin.needed(tolerance), nan=np.inf), axis=1) / unit
        ratios = [float(basin.exact.optimal(tolerance)) / unit, *medians]
        rows.append([basin.n, *(f"{ratio:.2f}" if np.isfinite(ratio) else "-" for ratio in ratios)])
    return table(["n", "construction", *(f"noise {scale:.4g}" for scale in basins[0].scales)], rows)


_QUICK = {
    **fft_basin.EXPERIMENT.quick,
    "sizes": (4, 8, 16, 32, 64),
    "scales": (0.1, 1.0),
    "seeds": 2,
    "tolerance": 0.0,
}

EXPERIMENT = Experiment(
    name="fft-scaling",
    title="How many weights a trained Fourier transform needs",
    claim=_CLAIM,
    quick=_QUICK,
    full=_QUICK | {"sizes": (4, 8, 16, 32, 64, 128), "scales": (0.05, 0.1, 0.5, 1.0, 4.0), "seeds": 8, "steps": 50_000},
    run=_run,
)
