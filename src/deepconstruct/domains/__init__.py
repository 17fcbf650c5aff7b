"""Domains: the sets on which claims hold. Frozen values, equal by content."""

from .base import AbstractDomain as AbstractDomain
from .continuous import Box as Box, Space as Space
from .finite import Bits as Bits, Points as Points, Signs as Signs
from .fractal import Fractal as Fractal
from .products import Product as Product, product as product

__all__ = ["AbstractDomain", "Bits", "Box", "Fractal", "Points", "Product", "Signs", "Space", "product"]
