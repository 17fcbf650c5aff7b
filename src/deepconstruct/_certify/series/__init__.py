"""Smooth hidden layers: power series with balls as coefficients."""
