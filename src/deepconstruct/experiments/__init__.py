"""The papers' experiments, built from public pieces: copy one and change it."""

from ._settings import Settings as Settings
from .fft_basin import FFTBasin as FFTBasin, fft_basin as fft_basin
from .fractal_training import (
    SOURCE_CURVES as SOURCE_CURVES,
    FractalTraining as FractalTraining,
    fractal_training as fractal_training,
)
from .parity_basin import ParityBasin as ParityBasin, parity_basin as parity_basin
from .sharpness import RescaledSharpness as RescaledSharpness, rescaled_sharpness as rescaled_sharpness

__all__ = [
    "SOURCE_CURVES",
    "FFTBasin",
    "FractalTraining",
    "ParityBasin",
    "RescaledSharpness",
    "Settings",
    "fft_basin",
    "fractal_training",
    "parity_basin",
    "rescaled_sharpness",
]
