"""Networks that are polynomials: multiplied out in rationals."""
