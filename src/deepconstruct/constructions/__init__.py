"""Builders: each gives a network with the claim of what it computes."""

from .fourier import fft as fft
from .parity import parity as parity, parity_bounded_depth as parity_bounded_depth, parity_shallow as parity_shallow

__all__ = ["fft", "parity", "parity_bounded_depth", "parity_shallow"]
