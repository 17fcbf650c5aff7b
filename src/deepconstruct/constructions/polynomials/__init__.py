"""Networks for polynomials, and for classifiers whose logarithmic odds are polynomials."""


from .polynomial import polynomial as polynomial


__all__ = ["polynomial"]
