"""Polynomials, and classifiers whose logarithmic odds are polynomials."""

from .classifiers import gaussian_classifier as gaussian_classifier, hamiltonian_classifier as hamiltonian_classifier
from .polynomial import polynomial as polynomial
from .quadratic import quadratic_form as quadratic_form

# In the order of the catalog.
__all__ = ["polynomial", "quadratic_form", "hamiltonian_classifier", "gaussian_classifier"]  # noqa: RUF022
