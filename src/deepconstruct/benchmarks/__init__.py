"""Benchmarks for verifiers: networks and properties whose answers are proved."""

from ._attack import Attack as Attack, attack as attack
from ._instance import FAMILIES as FAMILIES, Instance as Instance, verification as verification
from ._sets import verification_set as verification_set

__all__ = ["FAMILIES", "Attack", "Instance", "attack", "verification", "verification_set"]
