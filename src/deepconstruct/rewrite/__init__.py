"""Networks made anew that compute the same."""

from ._affine import merge_affine as merge_affine
from ._dead import prune_dead as prune_dead
from ._densify import astype as astype, densify as densify, sparsity_pattern as sparsity_pattern
from ._duplicates import merge_duplicates as merge_duplicates
from ._simplify import simplify as simplify

__all__ = ["merge_affine", "merge_duplicates", "prune_dead", "simplify"]
