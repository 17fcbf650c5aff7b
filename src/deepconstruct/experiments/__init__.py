"""The papers' experiments, built from public pieces: copy one and change it."""

from .parity_basin import Basin as Basin, parity_basin as parity_basin

__all__ = ["Basin", "parity_basin"]
