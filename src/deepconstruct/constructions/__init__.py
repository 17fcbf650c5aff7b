"""Builders: each gives a network with the claim of what it computes."""

from .fourier import fft as fft
from .parity import parity as parity, parity_bounded_depth as parity_bounded_depth, parity_shallow as parity_shallow
from .products import flat_product as flat_product, multiplication_gate as multiplication_gate

__all__ = ["fft", "flat_product", "multiplication_gate", "parity", "parity_bounded_depth", "parity_shallow"]
