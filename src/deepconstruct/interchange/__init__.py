"""Networks in other formats."""

from .c_code import to_c as to_c
from .onnx_reading import from_onnx as from_onnx
from .onnx_writing import to_onnx as to_onnx

__all__ = ["from_onnx", "to_c", "to_onnx"]
