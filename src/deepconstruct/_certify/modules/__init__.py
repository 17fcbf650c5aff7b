"""Proof for trees of gates: what every kind of gate can hold."""

from .method import METHOD as METHOD
