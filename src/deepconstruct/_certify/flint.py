"""Balls of python-flint, for methods of certification."""

from .._flint import NEEDS_FLINT as NEEDS_FLINT, flint as flint, flint_text as flint_text, has_flint as has_flint
