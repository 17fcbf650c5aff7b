"""The parity of bits: trees, one hidden layer, and AND/OR gates of bounded depth.

Parity needs `Theta(n)` neurons in depth `log n`, and `2^(n^(1/(d-1)))` AND/OR gates in depth `d`;
with units that count, one hidden layer of `n` units does.
"""

from .bounded_depth import parity_bounded_depth as parity_bounded_depth
from .shallow import parity_shallow as parity_shallow
from .tree import parity as parity

# In the order of the catalog.
__all__ = ["parity", "parity_shallow", "parity_bounded_depth"]  # noqa: RUF022
