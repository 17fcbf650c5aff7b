"""Domains: the sets on which claims hold. Frozen values, equal by content."""

from .fractal import Fractal as Fractal
from .sets import (
    AbstractDomain as AbstractDomain,
    Bits as Bits,
    Box as Box,
    Points as Points,
    Product as Product,
    Signs as Signs,
    Space as Space,
    product as product,
)

__all__ = ["AbstractDomain", "Bits", "Box", "Fractal", "Points", "Product", "Signs", "Space", "product"]
