"""Runs one experiment and writes its figure, its data and a short report."""

import dataclasses
import json
import math
import platform
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ..plot._matplotlib import check_installed

_LIBRARIES = ("deepconstruct", "jax", "numpy", "equinox", "optax")


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What an experiment found.

    Attributes:
        text: the measurements as markdown.
        data: the same as numbers, for JSON.
        figure: a Matplotlib figure.
    """

    text: str
    data: dict[str, Any]
    figure: Any


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A figure of a paper.

    Attributes:
        name: on the command line.
        title: a heading.
        claim: what the source says, and how our setting differs, as markdown.
        quick: settings that take at most two minutes on two CPU cores.
        full: the source's own, for accelerators.
        run: called as `run(settings, store, progress)`; the store is a folder from which a killed run goes on.
    """

    name: str
    title: str
    claim: str
    quick: Mapping[str, Any]
    full: Mapping[str, Any]
    run: Callable[[Mapping[str, Any], Path, bool], Outcome]


def settings_of(
    experiment: Experiment, *, full: bool = False, changes: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The settings with changes, of which each must be known and of the same type."""
    settings = dict(experiment.full if full else experiment.quick)
    for name, value in (changes or {}).items():
        if name not in settings:
            raise ValueError(f"reproduce: {experiment.name} has no setting {name!r}; it has {', '.join(settings)}")
        settings[name] = _like(settings[name], name, value)
    return settings


def _like(usual: Any, name: str, value: Any) -> Any:
    """A value of the same type as the usual one; one value for several is taken as a list of it."""
    if isinstance(usual, tuple):
        values = value if isinstance(value, tuple | list) else (value,)
        if not values:
            raise ValueError(f"reproduce: {name} must hold at least one value; got {value!r}")
        return tuple(_like(usual[0], name, part) for part in values)
    if type(value) is not type(usual) and not (isinstance(usual, float) and type(value) is int):
        raise ValueError(f"reproduce: {name} must be of type {type(usual).__name__}; got {value!r}")
    return type(usual)(value)


def reproduce(experiment: Experiment, settings: Mapping[str, Any], folder: Path, *, progress: bool = True) -> str:
    """Run an experiment and write `figure.png`, `data.json` and `report.md`; returns the report.

    Everything that is done is kept in `folder/store`: the same call goes on from there.
    """
    check_installed()
    began = time.perf_counter()
    outcome = experiment.run(settings, folder / "store", progress)
    about = _about(time.perf_counter() - began)
    report = _report(experiment, settings, outcome, about)
    outcome.figure.savefig(folder / "figure.png", dpi=110)
    data = {"experiment": experiment.name, "settings": dict(settings), "about": about, "results": outcome.data}
    (folder / "data.json").write_text(json.dumps(_plain(data), indent=1, allow_nan=False))
    (folder / "report.md").write_text(report)
    return report


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table in markdown."""
    lines = ["| " + " | ".join(str(cell) for cell in row) + " |" for row in (columns, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(columns), *lines[1:]])


def _report(experiment: Experiment, settings: Mapping[str, Any], outcome: Outcome, about: Mapping[str, Any]) -> str:
    parts = [
        f"# {experiment.title}",
        "## What the source claims",
        experiment.claim,
        "## What was measured",
        outcome.text,
        "![The figure](figure.png)",
        "## Settings",
        _rows(settings),
        "## Where and when",
        _rows(about),
    ]
    return "\n\n".join(parts) + "\n"


def _rows(values: Mapping[str, Any]) -> str:
    def shown(value: Any) -> str:
        return ", ".join(str(part) for part in value) if isinstance(value, tuple | list) else str(value)

    return "\n".join(f"- {name}: {shown(value)}" for name, value in values.items())


def _about(seconds: float) -> dict[str, Any]:
    device = jax.devices()[0]
    return {
        "seconds (of this call)": round(seconds, 1),
        "devices": f"{len(jax.devices())} x {device.device_kind} ({device.platform})",
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in _LIBRARIES},
    }


def _plain(value: Any) -> Any:
    """What JSON can hold; numbers that aren't finite become null."""
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, tuple | list):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
