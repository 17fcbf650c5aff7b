"""The experiments by name."""

from types import MappingProxyType

from . import fft_basin, fft_scaling, fractal_training, parity_basin, sharpness

_ALL = (
    parity_basin.EXPERIMENT,
    fft_basin.EXPERIMENT,
    fft_scaling.EXPERIMENT,
    fractal_training.DEPTH,
    fractal_training.CURVES,
    sharpness.EXPERIMENT,
)

EXPERIMENTS = MappingProxyType({experiment.name: experiment for experiment in _ALL})
