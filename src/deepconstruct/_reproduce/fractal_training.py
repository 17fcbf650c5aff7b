"""Malach & Shalev-Shwartz's experiments: depth helps, fine distributions aren't learned."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from .. import plot
from ..experiments import SOURCE_CURVES, FractalTraining, fractal_training
from .report import Experiment, Outcome, table

_SOURCE = """Malach & Shalev-Shwartz, *Is deeper better only when shallow is good?* (slides), the Cantor dust of the
plane at depth 5, half of the points positive."""

_DEPARTURES = """Departures: negatives keep a margin of 1/16 (in coordinates of a cell) from the cells that they leave;
a learning rate that falls from 0.001 to 0 along a cosine instead of 0.005; the number of steps below instead of a
million. Networks as theirs: ReLU, hinge loss, Adam, batches of 100 from 50,000 points, weights from a truncated normal
distribution with 1 / sqrt(fan_in), biases 0.1."""

_DEPTH_CLAIM = f"""{_SOURCE} Where most negatives leave at coarse levels, deeper networks are better than shallower
ones of the same width; where all leave at the finest level (`--set curves=6`), none is better than guessing.

{_DEPARTURES}"""

_CURVES_CLAIM = f"""{_SOURCE} How well a network of five hidden layers is trained depends on the approximation
curve: the finer the curve, the lower the accuracy, down to chance, although the construction of depth `2 n` computes
all six.

{_DEPARTURES}"""

_MEASURE = """Mean accuracies on fresh test points, with the standard error over seeds; 0.5 is chance. The construction
is tested on the same points."""


def _training(settings: Mapping[str, Any], store: Path, progress: bool) -> FractalTraining:
    names = ("depths", "widths", "seeds", "steps", "batch_size", "learning_rate", "train_points", "test_points")
    unknown = [number for number in settings["curves"] if number not in SOURCE_CURVES]
    if unknown:
        raise ValueError(f"reproduce: curves have the source's numbers 1 to {len(SOURCE_CURVES)}; got {unknown[0]!r}")
    return fractal_training(
        curves=[SOURCE_CURVES[number] for number in settings["curves"]],
        **{name: settings[name] for name in names},
        store=store,
        progress=progress,
        key=jax.random.key(settings["seed"]),
    )


def _run_depth(settings: Mapping[str, Any], store: Path, progress: bool) -> Outcome:
    training = _training(settings, store, progress)
    tables = [
        f"### Curve {number}: {curve!r}\n\n{_depth_table(training, accuracy)}\n\nConstruction: {exact:g}."
        for number, curve, accuracy, exact in zip(
            settings["curves"], training.curves, training.accuracy, training.exact, strict=True
        )
    ]
    return Outcome("\n\n".join([_MEASURE, *tables]), _data(training, settings), plot.fractal_depths(training))


def _depth_table(training: FractalTraining, accuracy: np.ndarray) -> str:
    rows = [
        (depth, *(_mean(runs) for runs in at_depth)) for depth, at_depth in zip(training.depths, accuracy, strict=True)
    ]
    return table(["hidden layers", *(f"width {width}" for width in training.widths)], rows)


def _run_curves(settings: Mapping[str, Any], store: Path, progress: bool) -> Outcome:
    training = _training(settings, store, progress)
    rows = [
        (number, repr(curve), ", ".join(f"{value:.3f}" for value in values), _mean(runs), f"{exact:g}")
        for number, curve, values, runs, exact in zip(
            settings["curves"], training.curves, training.values, training.best(), training.exact, strict=True
        )
    ]
    text = f"{_MEASURE}\n\n{table(('curve', '', 'P(0), ..., P(n)', 'trained', 'construction'), rows)}"
    return Outcome(text, _data(training, settings), plot.fractal_curves(training))


def _mean(runs: np.ndarray) -> str:
    error = runs.std(ddof=1) / np.sqrt(len(runs)) if len(runs) > 1 else np.nan
    return f"{runs.mean():.3f} ± {error:.3f}"


def _data(training: FractalTraining, settings: Mapping[str, Any]) -> dict[str, Any]:
    """As numbers; curves by theirs, and settings stand beside the results."""
    shown = {name: value for name, value in vars(training).items() if name != "settings"}
    return shown | {"curves": settings["curves"]}


_QUICK = {
    "curves": (1,),
    "depths": (1, 2, 3, 4, 5),
    "widths": (50, 100),
    "seeds": 8,
    "steps": 10_000,
    "batch_size": 100,
    "learning_rate": 1e-3,
    "train_points": 50_000,
    "test_points": 5_000,
    "seed": 0,
}
_FULL = {"widths": (10, 20, 50, 100, 200, 400), "steps": 1_000_000}

DEPTH = Experiment(
    name="fractal-depth",
    title="What depth brings on a fractal",
    claim=_DEPTH_CLAIM,
    quick=_QUICK,
    full=_QUICK | _FULL,
    run=_run_depth,
)

CURVES = Experiment(
    name="fractal-curves",
    title="Fine distributions aren't learned",
    claim=_CURVES_CLAIM,
    quick=_QUICK | {"curves": tuple(SOURCE_CURVES), "depths": (5,), "widths": (100,), "seeds": 4},
    full=_QUICK | {"curves": tuple(SOURCE_CURVES), "depths": (5,)} | _FULL,
    run=_run_curves,
)
