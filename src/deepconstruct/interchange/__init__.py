"""Networks written in other formats."""

from .c_code import to_c as to_c
from .onnx_writing import to_onnx as to_onnx

__all__ = ["to_c", "to_onnx"]
