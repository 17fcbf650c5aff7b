"""Nye & Saxe, Fig. 1 middle and right: from how far training finds back to parity."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from .. import plot
from ..experiments.parity_basin import SUCCESS, TEST_INPUTS, ParityBasin, parity_basin
from .report import Experiment, Outcome, table

_CLAIM = """Nye & Saxe (2018), *Are efficient deep representations learnable?*, Fig. 1 middle and right. A deep
sigmoid network is set to the hand-coded XOR tree, every weight gets Gaussian noise, and Adam trains it on random
inputs. Small noise is repaired, from a sharp edge on it isn't, and nearly random starts fail. Where only the weights
of the solution's sparsity pattern exist and are trained, the basin is wider, but typical initializations still fail.
No thresholds are published.

Departures: noise on weights only; its scale is in units of `sqrt(2 / (fan_in + fan_out))` with the fans named below
(the paper says neither); all runs share their minibatches; the number of steps below instead of 100,000."""

_HOME = f"""A run is *home* if its mean squared error on {TEST_INPUTS:,} fresh inputs is below {SUCCESS} and every
rounded output is right; 0.25 is chance. Intervals are of 95 % (Wilson for shares; the critical noise, at which half
the runs come home, by a logistic fit with a bootstrap over seeds, or by the jump itself where the runs show one)."""


def _run(settings: Mapping[str, Any], store: Path, progress: bool) -> Outcome:
    """All sizes, kinds and fans."""
    options = {name: settings[name] for name in ("scales", "seeds", "steps", "batch_size", "learning_rate")}
    key = jax.random.key(settings["seed"])
    first = settings["fans"][0]
    # A dense network's pattern is the whole layer, so that its fans are the same by either reading.
    cases = [("dense", first), *(("structured", fans) for fans in settings["fans"])]
    basins = [
        parity_basin(n, kind=kind, fans=fans, **options, store=store, progress=progress, key=key)
        for n in settings["sizes"]
        for kind, fans in cases
    ]
    text = "\n\n".join([_HOME, *(_table(basin) for basin in basins)])
    data = [dataclasses.asdict(basin) | {"estimate": dataclasses.asdict(basin.estimate())} for basin in basins]
    return Outcome(text, {"basins": data}, plot.basin(basins))


def _table(basin: ParityBasin) -> str:
    found = basin.estimate()
    rows = zip(found.noise, basin.untrained_home(), found.successes, found.rate_interval, basin.trained, strict=True)
    cells = [
        (
            f"{noise:.4g}",
            f"{before.sum()}/{found.runs}",
            f"{count}/{found.runs}",
            f"{low:.2f} to {high:.2f}",
            f"{np.median(error):.1e}",
        )
        for noise, before, count, (low, high), error in rows
    ]
    low, high = found.interval
    jump = "a jump from {:.3g} to {:.3g}".format(*found.bracket)
    critical = {"logistic": f"{found.critical:.3g}", "separated": jump}.get(found.method, "not within these scales")
    fans = "" if basin.kind == "dense" else f", {basin.fans} fans"
    return f"""### n = {basin.n}, {basin.kind}{fans}

{table(("noise", "home untrained", "home trained", "interval", "median error"), cells)}

Critical noise: {critical}, between {low:.3g} and {high:.3g}. {_harmless(basin)}"""


def _harmless(basin: ParityBasin) -> str:
    """Where there was nothing to learn."""
    scales = [f"{scale:g}" for scale, home in zip(basin.scales, basin.untrained_home(), strict=True) if home.all()]
    return f"All runs with noise {', '.join(scales)} were home before training." if scales else ""


_QUICK = {
    "sizes": (16,),
    "fans": ("layer",),
    "scales": (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0),
    "seeds": 12,
    "steps": 2000,
    "batch_size": 1000,
    "learning_rate": 1e-4,
    "seed": 0,
}

EXPERIMENT = Experiment(
    name="parity-basin",
    title="The basin of attraction of parity",
    claim=_CLAIM,
    quick=_QUICK,
    full=_QUICK | {"sizes": (16, 32, 64, 128), "fans": ("layer", "pattern"), "seeds": 32, "steps": 100_000},
    run=_run,
)
