"""ReLU networks that recognize a level of a fractal: depth for levels, width for maps."""

from .indicator import fractal as fractal

__all__ = ["fractal"]
