"""Dinh et al.: equal functions, sharp and flat."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from .. import plot
from ..experiments import RescaledSharpness, rescaled_sharpness
from .report import Experiment, Outcome, table

_CLAIM = """Keskar et al. (2017), *On large-batch training for deep learning*, find that networks which generalize worse
end in sharper minima, and measure sharpness by the rise of the loss in a small box around the weights. Dinh et al.
(2017), *Sharp minima can generalize for deep nets*, answer that multiplying one layer of a ReLU network by `a` and the
next by `1 / a` leaves the function as it is, and with it how it generalizes, while the Hessian's largest
eigenvalue can be made as large as one likes: no such measure says anything of a function by itself.

Departures: the bias of the first layer is multiplied as well, without which the function would change; factors
are powers of two, so that outputs stay bit for bit; small networks for parity, of which one is constructed and others
are trained, so that all inputs are seen and traces are exact; Keskar's box in the whole space, climbed by
projected steps along the signs of the gradient."""

_MEASURE = """Layers: the traces of the diagonal blocks of the Hessian for the first layer, which goes with `1 / a^2`,
and the second, whose weights go with `a^2` (its bias isn't scaled). *Change* is the largest difference of an output
from that at the first factor, over all inputs. Keskar's sharpness is a lower bound, in percent."""


def _run(settings: Mapping[str, Any], store: Path, progress: bool) -> Outcome:
    names = ("n", "factors", "width", "seeds", "steps", "learning_rate", "epsilon")
    options = {name: settings[name] for name in names}
    found = rescaled_sharpness(**options, store=store, progress=progress, key=jax.random.key(settings["seed"]))
    text = "\n\n".join([_MEASURE, *(_table(found, number) for number in range(len(found.names)))])
    return Outcome(text, {name: value for name, value in vars(found).items() if name != "settings"},
                   plot.sharpness(found))  # fmt: skip


def _table(found: RescaledSharpness, number: int) -> str:
    columns = (
        "a",
        "loss",
        "change",
        "largest eigenvalue",
        "residual",
        "trace",
        "first layer",
        "second layer",
        "Keskar",
    )
    rows = [
        (
            f"{factor:g}",
            f"{found.loss[number, k]:.3g}",
            f"{found.change[number, k]:.2g}",
            f"{found.largest[number, k]:.5g}",
            f"{found.residual[number, k]:.1g}",
            f"{found.trace[number, k]:.5g}",
            *(f"{trace:.4g}" for trace in found.layers[number, k]),
            f"{found.keskar[number, k]:.3g}",
        )
        for k, factor in enumerate(found.factors)
    ]
    least, most = (float(choose(found.largest[number])) for choose in (np.min, np.max))
    heading = f"### {found.names[number][0].upper()}{found.names[number][1:]}"
    return f"{heading}\n\n{table(columns, rows)}\n\nEigenvalues are apart by a factor of {most / least:.3g}."


_QUICK = {
    "n": 4,
    "factors": (1.0, 2.0, 4.0, 8.0, 16.0, 32.0),
    "width": 16,
    "seeds": 3,
    "steps": 3000,
    "learning_rate": 1e-2,
    "epsilon": 1e-3,
    "seed": 0,
}

EXPERIMENT = Experiment(
    name="sharpness",
    title="Equal functions, sharp and flat",
    claim=_CLAIM,
    quick=_QUICK,
    full=_QUICK | {"n": 8, "width": 64, "seeds": 8, "steps": 20_000},
    run=_run,
)
