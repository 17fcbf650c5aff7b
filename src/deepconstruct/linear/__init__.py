"""Structured linear maps: what a layer multiplies by.

Every map answers `entries()`, the positions and values of its non-zeros; its leaves are its free
parameters, so that training a network trains the structure that it was built with.
"""

from .blocks import BlockDiagonal as BlockDiagonal, Kronecker as Kronecker
from .butterfly import Butterfly as Butterfly
from .composed import Composed as Composed
from .dense import Dense as Dense, as_linear as as_linear
from .operator import AbstractLinear as AbstractLinear
from .permutation import Identity as Identity, Permutation as Permutation
from .queries import as_matrix as as_matrix, product as product
from .signs import SignPatterns as SignPatterns, SignProduct as SignProduct
from .sparse import Sparse as Sparse
from .sums import DirectSum as DirectSum, Stack as Stack

__all__ = [
    "AbstractLinear",
    "BlockDiagonal",
    "Butterfly",
    "Composed",
    "Dense",
    "DirectSum",
    "Identity",
    "Kronecker",
    "Permutation",
    "SignPatterns",
    "SignProduct",
    "Sparse",
    "Stack",
    "as_matrix",
    "product",
]
