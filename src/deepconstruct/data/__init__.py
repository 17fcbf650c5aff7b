"""Distributions of labeled points: fractals, with an approximation curve of one's choice."""

from .curves import (
    Curve as Curve,
    coarse as coarse,
    curve as curve,
    fine as fine,
    finest as finest,
    linear as linear,
    power as power,
)
from .fractal import FractalDistribution as FractalDistribution
from .measured import MeasuredCurve as MeasuredCurve, measured_curve as measured_curve

__all__ = [
    "Curve",
    "FractalDistribution",
    "MeasuredCurve",
    "coarse",
    "curve",
    "fine",
    "finest",
    "linear",
    "measured_curve",
    "power",
]
