"""The experiments by name."""

from types import MappingProxyType

from . import parity_basin

EXPERIMENTS = MappingProxyType({experiment.name: experiment for experiment in (parity_basin.EXPERIMENT,)})
