"""Lower bounds with their conditions, and certificates that a machine can check."""

from .fractals import (
    ErrorWindow as ErrorWindow,
    FractalWidth as FractalWidth,
    GradientBound as GradientBound,
    approximation as approximation,
    fractal_width as fractal_width,
    gradient as gradient,
)
from .products import (
    Determinant as Determinant,
    FlatProductBound as FlatProductBound,
    determinant as determinant,
    flat_product as flat_product,
)
from .regions import RegionBound as RegionBound, linear_regions as linear_regions

__all__ = [
    "Determinant",
    "ErrorWindow",
    "FlatProductBound",
    "FractalWidth",
    "GradientBound",
    "RegionBound",
    "approximation",
    "determinant",
    "flat_product",
    "fractal_width",
    "gradient",
    "linear_regions",
]
