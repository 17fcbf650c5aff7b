"""Networks for polynomials, and for classifiers whose logarithmic odds are polynomials."""

from .classifiers import gaussian_classifier as gaussian_classifier, hamiltonian_classifier as hamiltonian_classifier
from .polynomial import polynomial as polynomial
from .quadratic import quadratic_form as quadratic_form

__all__ = ["gaussian_classifier", "hamiltonian_classifier", "polynomial", "quadratic_form"]
