"""ReLU networks that recognize a level of a fractal, with depth in the level and width in the number of maps."""

from .indicator import fractal as fractal

__all__ = ["fractal"]
