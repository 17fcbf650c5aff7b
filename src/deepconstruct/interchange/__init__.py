"""Networks in other formats."""

from .arrays import from_numpy as from_numpy, to_numpy as to_numpy
from .c_code import to_c as to_c
from .equinox_modules import from_equinox as from_equinox, to_equinox as to_equinox
from .flax_modules import to_flax as to_flax
from .jax_export import to_jax_export as to_jax_export
from .onnx_reading import from_onnx as from_onnx
from .onnx_writing import to_onnx as to_onnx
from .sklearn_models import from_sklearn as from_sklearn
from .tensor_files import from_safetensors as from_safetensors, to_safetensors as to_safetensors
from .torch_modules import from_torch as from_torch, to_torch as to_torch

__all__ = [
    "from_equinox",
    "from_numpy",
    "from_onnx",
    "from_safetensors",
    "from_sklearn",
    "from_torch",
    "to_c",
    "to_equinox",
    "to_flax",
    "to_jax_export",
    "to_numpy",
    "to_onnx",
    "to_safetensors",
    "to_torch",
]
