"""Claims, and constructions: networks together with what they are claimed to compute."""

from .bound import Bound as Bound, Robustness as Robustness, largest as largest, spread as spread
from .claim import Claim as Claim
from .construction import Construction as Construction, as_network as as_network, claim as claim
from .origin import (
    Built as Built,
    FanOut as FanOut,
    Origin as Origin,
    Parallel as Parallel,
    Repeated as Repeated,
    Rewritten as Rewritten,
    Series as Series,
    Stated as Stated,
    builder as builder,
)
from .plans import Blocks as Blocks, Tree as Tree
