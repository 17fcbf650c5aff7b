"""Constructive neural networks: weights written down, and claims that can be checked."""

import importlib as _importlib
from typing import TYPE_CHECKING, Any as _Any

from . import (
    activations as activations,
    domains as domains,
    linear as linear,
    systems as systems,
    targets as targets,
)
from ._checks import hint as _hint
from .construction import (
    Bound as Bound,
    Claim as Claim,
    Construction as Construction,
    Robustness as Robustness,
    claim as claim,
    origin as _origin,
)
from .network import (
    Label as Label,
    Layer as Layer,
    Network as Network,
    Repeat as Repeat,
    layer_outputs as layer_outputs,
)
from .systems import IFS as IFS
from .targets import Target as Target

if TYPE_CHECKING:
    from . import (
        benchmarks as benchmarks,
        bounds as bounds,
        catalog as catalog,
        data as data,
        experiments as experiments,
        interchange as interchange,
        losses as losses,
        plot as plot,
        rewrite as rewrite,
        testing as testing,
    )
    from ._analysis.basin import BasinEstimate as BasinEstimate, basin as basin
    from ._analysis.cost import Cost as Cost, Costs as Costs, cost as cost
    from ._analysis.critical import CriticalNoise as CriticalNoise, critical_noise as critical_noise
    from ._analysis.distance import (
        WeightDistance as WeightDistance,
        function_distance as function_distance,
        weight_distance as weight_distance,
    )
    from ._analysis.regions import LinearRegions as LinearRegions, linear_regions as linear_regions
    from ._analysis.sharpness import Sharpness as Sharpness, sharpness as sharpness
    from ._certify import Certificate as Certificate, certify as certify
    from ._certify.equivalence import Equivalence as Equivalence, equivalent as equivalent
    from ._change.perturb import perturb as perturb, reinitialize as reinitialize
    from ._change.sparsification import (
        SparsificationCurve as SparsificationCurve,
        sparsification_curve as sparsification_curve,
    )
    from ._change.sparsify import sparsify as sparsify
    from ._compose import (
        fan_out as fan_out,
        parallel as parallel,
        realify as realify,
        repeat as repeat,
        series as series,
    )
    from ._disguise import (
        Answer as Answer,
        AnswerKey as AnswerKey,
        Score as Score,
        disguise as disguise,
        score as score,
    )
    from ._files import load as load, load_certificate as load_certificate, save as save
    from ._fit import Fit as Fit, fit as fit
    from ._sweep import Sweep as Sweep, sweep as sweep
    from .constructions import *  # noqa: F403
    from .network.ensemble import stack as stack, unstack as unstack
    from .network.intervention import run_with as run_with
    from .network.unit_table import Unit as Unit, Units as Units, units as units
    from .rewrite import astype as astype, densify as densify, sparsity_pattern as sparsity_pattern

__version__ = "0.1.0"

origins = _origin

# Modules that are public; those that aren't imported above, like the names below and the builders, are loaded on
# first use, so that a plain import stays quick; two need extras (matplotlib, hypothesis).
_MODULES = (
    "activations",
    "benchmarks",
    "bounds",
    "catalog",
    "data",
    "domains",
    "experiments",
    "interchange",
    "linear",
    "losses",
    "origins",
    "plot",
    "rewrite",
    "systems",
    "targets",
    "testing",
)
_HOMES = {
    "_disguise": ("Answer", "AnswerKey", "Score", "disguise", "score"),
    "_analysis.basin": ("BasinEstimate", "basin"),
    "_analysis.cost": ("Cost", "Costs", "cost"),
    "_analysis.critical": ("CriticalNoise", "critical_noise"),
    "_analysis.distance": ("WeightDistance", "function_distance", "weight_distance"),
    "_analysis.regions": ("LinearRegions", "linear_regions"),
    "_analysis.sharpness": ("Sharpness", "sharpness"),
    "_certify": ("Certificate", "certify"),
    "_certify.equivalence": ("Equivalence", "equivalent"),
    "_change.perturb": ("perturb", "reinitialize"),
    "_change.sparsification": ("SparsificationCurve", "sparsification_curve"),
    "_change.sparsify": ("sparsify",),
    "_compose": ("fan_out", "parallel", "realify", "repeat", "series"),
    "_files": ("load", "load_certificate", "save"),
    "_fit": ("Fit", "fit"),
    "_sweep": ("Sweep", "sweep"),
    "network.ensemble": ("stack", "unstack"),
    "network.intervention": ("run_with",),
    "network.unit_table": ("Unit", "Units", "units"),
    "rewrite": ("astype", "densify", "sparsity_pattern"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def _load(module: str) -> _Any:
    return _importlib.import_module(f"{__name__}.{module}")


def _listed() -> list[str]:
    """All public names: what is imported above, and what is loaded on first use."""
    own = [name for name, value in globals().items() if getattr(value, "__module__", "").startswith(f"{__name__}.")]
    names = {*own, *_MODULES, *_HOME, *_load("constructions").BUILDERS}
    return sorted(name for name in names if not name.startswith("_"))


def __getattr__(name: str) -> _Any:
    if name in _MODULES:
        return _load(name)
    if name == "__all__":
        value = _listed()
    elif name in _HOME:
        value = getattr(_load(_HOME[name]), name)
    elif not name.startswith("_") and name in _load("constructions").BUILDERS:
        value = _load("constructions").BUILDERS[name]
    else:
        near = "" if name.startswith("_") else _hint(name, _listed())
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}{near}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*_listed(), "__version__"]
