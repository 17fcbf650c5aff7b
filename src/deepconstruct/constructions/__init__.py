"""Builders: each gives a network with the claim of what it computes.

One line a family, in the order of the README: what its `__all__` lists is a builder, whose file ends with
`ENTRIES`, its entries in the catalog. The names in `deepconstruct`, the tables, the laws and the tour follow.
"""

import types

# ruff: noqa: F403
# isort: off
from .parity import *
from .fourier import *
from .products import *
from .polynomials import *
from .boolean import *
from .encoding import *
from .fractals import *

# isort: on

# All functions here are builders that the families have brought.
BUILDERS = types.MappingProxyType(
    {name: value for name, value in globals().items() if isinstance(value, types.FunctionType)}
)
