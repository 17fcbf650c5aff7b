"""Builders: each gives a network with the claim of what it computes."""

from .boolean import (
    bit_product as bit_product,
    boolean_classifier as boolean_classifier,
    boolean_function as boolean_function,
)
from .encoding import bits_to_signs as bits_to_signs, signs_to_bits as signs_to_bits
from .fourier import fft as fft
from .fractals import fractal as fractal
from .parity import parity as parity, parity_bounded_depth as parity_bounded_depth, parity_shallow as parity_shallow
from .polynomials import (
    gaussian_classifier as gaussian_classifier,
    hamiltonian_classifier as hamiltonian_classifier,
    polynomial as polynomial,
    quadratic_form as quadratic_form,
)
from .products import (
    flat_product as flat_product,
    multiplication_gate as multiplication_gate,
    product_tree as product_tree,
)

__all__ = [
    "bit_product",
    "bits_to_signs",
    "boolean_classifier",
    "boolean_function",
    "fft",
    "flat_product",
    "fractal",
    "gaussian_classifier",
    "hamiltonian_classifier",
    "multiplication_gate",
    "parity",
    "parity_bounded_depth",
    "parity_shallow",
    "polynomial",
    "product_tree",
    "quadratic_form",
    "signs_to_bits",
]
