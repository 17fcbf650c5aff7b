"""Networks made anew that compute the same."""

from ._activation import change_activation as change_activation
from ._affine import merge_affine as merge_affine
from ._dead import prune_dead as prune_dead
from ._deepen import deepen as deepen
from ._densify import astype as astype, densify as densify, sparsity_pattern as sparsity_pattern
from ._duplicates import merge_duplicates as merge_duplicates
from ._permute import permute_units as permute_units
from ._rescale import rescale_layers as rescale_layers, rescale_units as rescale_units
from ._rotate import rotate as rotate
from ._simplify import simplify as simplify
from ._sparse import to_sparse as to_sparse
from ._widen import widen as widen

__all__ = [
    "change_activation",
    "deepen",
    "merge_affine",
    "merge_duplicates",
    "permute_units",
    "prune_dead",
    "rescale_layers",
    "rescale_units",
    "rotate",
    "simplify",
    "to_sparse",
    "widen",
]
