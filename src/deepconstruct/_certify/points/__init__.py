"""Finite domains, point by point."""
