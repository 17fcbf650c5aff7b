"""Losses: modules that map `(network, key)` to a number; they add up with `+`."""

from .base import AbstractLoss as AbstractLoss, Sum as Sum
from .penalty import L1 as L1, l1 as l1
from .population import Population as Population, population as population
from .sampled import Sampled as Sampled, sampled as sampled

__all__ = ["L1", "AbstractLoss", "Population", "Sampled", "Sum", "l1", "population", "sampled"]
