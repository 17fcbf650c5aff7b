"""Benchmarks for verifiers: networks and properties whose answers are proved."""

from ._attack import Attack as Attack, attack as attack
from ._instance import FAMILIES as FAMILIES, Instance as Instance, verification as verification
from ._recheck import recheck as recheck
from ._sets import verification_set as verification_set
