"""Networks made anew that compute the same."""

from ._densify import astype as astype, densify as densify, sparsity_pattern as sparsity_pattern
from ._permute import permute_units as permute_units
from ._rescale import rescale_layers as rescale_layers, rescale_units as rescale_units
