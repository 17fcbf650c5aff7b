"""Constructive neural networks: weights that are written down, and claims that can be checked."""

import importlib as _importlib
from typing import TYPE_CHECKING

from . import activations, domains, linear, losses, systems, targets
from ._analysis.cost import Cost, Costs, cost
from ._certify import Certificate, certify
from ._change.perturb import perturb, reinitialize
from ._compose import fan_out, parallel, repeat, series
from ._files import load, save
from ._fit import Fit, fit
from .construction import Bound, Claim, Construction, Robustness, claim, origin as origins
from .network import (
    Label,
    Layer,
    Network,
    Repeat,
    Unit,
    Units,
    layer_outputs,
    run_with,
    stack,
    units,
    unstack,
)
from .rewrite import astype, densify, realify, sparsity_pattern
from .systems import IFS
from .targets import Target

if TYPE_CHECKING:
    from . import bounds, catalog, data, experiments, plot, testing
    from ._analysis.basin import BasinEstimate, basin
    from ._analysis.critical import CriticalNoise, critical_noise
    from ._analysis.distance import WeightDistance, function_distance, weight_distance
    from ._analysis.regions import LinearRegions, linear_regions
    from ._change.sparsification import SparsificationCurve, sparsification_curve
    from ._change.sparsify import sparsify
    from ._sweep import Sweep, sweep
    from .constructions import (
        bit_product,
        boolean_classifier,
        boolean_function,
        fft,
        flat_product,
        fractal,
        gaussian_classifier,
        hamiltonian_classifier,
        multiplication_gate,
        parity,
        parity_bounded_depth,
        parity_shallow,
        polynomial,
        product_tree,
        quadratic_form,
    )

__version__ = "0.1.0"

__all__ = [
    "IFS",
    "BasinEstimate",
    "Bound",
    "Certificate",
    "Claim",
    "Construction",
    "Cost",
    "Costs",
    "CriticalNoise",
    "Fit",
    "Label",
    "Layer",
    "LinearRegions",
    "Network",
    "Repeat",
    "Robustness",
    "SparsificationCurve",
    "Sweep",
    "Target",
    "Unit",
    "Units",
    "WeightDistance",
    "activations",
    "astype",
    "basin",
    "bit_product",
    "boolean_classifier",
    "boolean_function",
    "bounds",
    "catalog",
    "certify",
    "claim",
    "cost",
    "critical_noise",
    "data",
    "densify",
    "domains",
    "experiments",
    "fan_out",
    "fft",
    "fit",
    "flat_product",
    "fractal",
    "function_distance",
    "gaussian_classifier",
    "hamiltonian_classifier",
    "layer_outputs",
    "linear",
    "linear_regions",
    "load",
    "losses",
    "multiplication_gate",
    "origins",
    "parallel",
    "parity",
    "parity_bounded_depth",
    "parity_shallow",
    "perturb",
    "plot",
    "polynomial",
    "product_tree",
    "quadratic_form",
    "realify",
    "reinitialize",
    "repeat",
    "run_with",
    "save",
    "series",
    "sparsification_curve",
    "sparsify",
    "sparsity_pattern",
    "stack",
    "sweep",
    "systems",
    "targets",
    "testing",
    "units",
    "unstack",
    "weight_distance",
]


# Loaded on first use, so that a plain import stays quick; two need extras (matplotlib, hypothesis).
_MODULES = ("bounds", "catalog", "data", "experiments", "plot", "testing")
_HOMES = {
    "_analysis.basin": ("BasinEstimate", "basin"),
    "_analysis.critical": ("CriticalNoise", "critical_noise"),
    "_analysis.distance": ("WeightDistance", "function_distance", "weight_distance"),
    "_analysis.regions": ("LinearRegions", "linear_regions"),
    "_change.sparsification": ("SparsificationCurve", "sparsification_curve"),
    "_change.sparsify": ("sparsify",),
    "_sweep": ("Sweep", "sweep"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str):
    if name in _MODULES:
        return _importlib.import_module(f"{__name__}.{name}")
    if name in __all__:  # what has no other home is a builder
        value = getattr(_importlib.import_module(f"{__name__}.{_HOME.get(name, 'constructions')}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
