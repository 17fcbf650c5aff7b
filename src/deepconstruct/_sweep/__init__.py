"""Sweeps: one pure function over a grid and over seeds, with nothing lost."""

from .driver import sweep as sweep
from .result import Sweep as Sweep
