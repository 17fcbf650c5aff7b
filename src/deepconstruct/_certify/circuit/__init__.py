"""Circuits of smooth gates, gate by gate."""

from .method import METHOD as METHOD
