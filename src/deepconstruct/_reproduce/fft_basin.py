"""Nye & Saxe, Fig. 2 center: which networks training finds near the FFT and far off."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from .. import plot
from ..experiments import FFTBasin, fft_basin
from .report import Experiment, Outcome, table

_CLAIM = """Nye & Saxe (2018), *Are efficient deep representations learnable?*, Fig. 2 center. A deep linear network is
set to the butterfly factors of the FFT, every entry gets Gaussian noise, and Adam trains it on the exact expectation
over white inputs with an L1 penalty. Started near the factors, setting small weights to zero lowers the error: it has
found the sparse solution. Started far away, any sparsification raises the error: it has learned *a* factorization of
the transform, a dense one. No thresholds are published, and they move with the number of steps: the error falls long
before the penalty has made the weights sparse.

Departures: the factors are scaled to be unitary; the penalty is the plain sum of moduli (the paper prints squared
norms; strengths don't transfer between the two); noise scale, rate, steps and strength are ours, as the paper gives
none. Learning is what is studied here, not the best method: where the support is known, a hierarchy of singular value
decompositions factors the matrix exactly."""

_MEASURE = """Errors are mean squared errors an output; outputs have variance 1, so a network without weights errs by 1.
*Sparsified* are the trained networks with their `2 n log2 n` largest weights, as many as the FFT has; *weights needed*
is the number with the least error (the smallest, if there are several). Medians over seeds, with the range in
parentheses. A dash: a run diverged, or its best error isn't below half of that without weights."""


def measured(settings: Mapping[str, Any], store: Path, progress: bool) -> list[FFTBasin]:
    """One basin a size."""
    options = {name: settings[name] for name in ("scales", "seeds", "steps", "learning_rate", "beta", "squared")}
    key = jax.random.key(settings["seed"])
    return [fft_basin(n, **options, store=store, progress=progress, key=key) for n in settings["sizes"]]


def data_of(basin: FFTBasin) -> dict[str, Any]:
    """A basin as numbers; every curve at every count would be megabytes, which the store holds."""
    return {
        "n": basin.n,
        "scales": basin.scales,
        "untrained": np.asarray(basin.untrained.errors[..., -1]),
        "trained": basin.whole(),
        "sparsified": basin.sparsified(),
        "needed": basin.needed(),
        "needed_exact": float(basin.exact.optimal()),
    }


def _run(settings: Mapping[str, Any], store: Path, progress: bool) -> Outcome:
    basins = measured(settings, store, progress)
    text = "\n\n".join([_MEASURE, *(_table(basin) for basin in basins)])
    return Outcome(text, {"basins": [data_of(basin) for basin in basins]}, plot.fft_basin(basins))


def _table(basin: FFTBasin) -> str:
    numbers = data_of(basin)
    rows = zip(basin.scales, numbers["trained"], numbers["sparsified"], numbers["needed"], strict=True)
    cells = [
        (f"{scale:.4g}", _spread(trained, ".1e"), _spread(sparsified, ".1e"), _spread(needed, ",.0f"))
        for scale, trained, sparsified, needed in rows
    ]
    heading = f"### n = {basin.n}: {basin.trained.counts[-1]:,} weights, of which the FFT needs {basin.synapses:,}"
    return f"{heading}\n\n{table(('noise', 'error, all weights', 'error, sparsified', 'weights needed'), cells)}"


def _spread(values: np.ndarray, form: str) -> str:
    if np.isnan(values).any():
        return "-"
    median, low, high = (f"{value:{form}}" for value in (np.median(values), np.min(values), np.max(values)))
    return median if low == high else f"{median} ({low} to {high})"


_QUICK = {
    "sizes": (16, 32),
    "scales": (0.05, 0.1, 0.2, 0.3, 0.5, 1.0),
    "seeds": 4,
    "steps": 5000,
    "learning_rate": 1e-3,
    "beta": 1e-4,
    "squared": False,
    "seed": 0,
}

EXPERIMENT = Experiment(
    name="fft-basin",
    title="The basin of attraction of the FFT",
    claim=_CLAIM,
    quick=_QUICK,
    full=_QUICK | {"sizes": (16, 32, 64, 128), "seeds": 16, "steps": 50_000},
    run=_run,
)
