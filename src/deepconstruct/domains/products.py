"""Products of domains."""

import dataclasses
import itertools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._checks import check_all
from .._static import namespace
from .base import AbstractDomain, per_part
from .continuous import Box, Space
from .finite import Bits, Signs


@dataclasses.dataclass(frozen=True)
class Product(AbstractDomain):
    """Vectors whose consecutive groups of coordinates lie in given domains.

    Use `product` to build one: it joins neighbours of one kind, so that `Bits(2)` times `Bits(3)`
    is `Bits(5)`.
    """

    domains: tuple[AbstractDomain, ...]

    def __post_init__(self):
        check_all("Product", "domains", self.domains, AbstractDomain)

    @property
    def size(self):
        return sum(part.size for part in self.domains)

    @property
    def cardinality(self):
        total = 1
        for part in self.domains:
            if part.cardinality is None:
                return None
            total *= part.cardinality
        return total

    def spans(self):
        stops = list(itertools.accumulate(part.size for part in self.domains))
        return [((stop - part.size, stop), part) for part, stop in zip(self.domains, stops, strict=True)]

    def _contains(self, x, room):
        parts = [part.contains(x[..., start:stop], room=room) for (start, stop), part in self.spans()]
        xp = namespace(x)
        return xp.all(xp.stack(parts), axis=0)

    def _sample(self, key, shape, dtype):
        keys = jax.random.split(key, len(self.domains))
        parts = zip(self.domains, keys, strict=True)
        return jnp.concatenate([part.sample(k, shape, dtype=dtype) for part, k in parts], axis=-1)

    @property
    def words(self):
        return sum(part.words for part in self.domains)

    def _from_words(self, words, dtype):
        stops = list(itertools.accumulate(part.words for part in self.domains))
        return np.concatenate(
            [
                part.from_words(words[:, stop - part.words : stop], dtype=dtype)
                for part, stop in zip(self.domains, stops, strict=True)
            ],
            axis=-1,
        )

    def slice(self, start, stop):
        parts = []
        for (first, last), part in self.spans():
            low, high = max(start, first), min(stop, last)
            if low < high:
                parts.append(part.slice(low - first, high - first))
        return product(parts)

    def box(self):
        lows, highs = zip(*(part.box() for part in self.domains), strict=True)
        return np.concatenate(lows), np.concatenate(highs)

    def enumerate(self, indices):
        parts = []
        for part in self.domains:
            if part.cardinality is None:
                raise TypeError(f"{self} is not finite: it can't be enumerated")
            count = min(part.cardinality, 2**32 - 1)
            parts.append(part.enumerate(indices % count))
            indices = indices // count
        return namespace(parts[0]).concatenate(parts, axis=-1)

    def _grid_size(self, points):
        return math.prod(part._grid_size(points) for part in self.domains)

    def _grid(self, points):
        return per_part([part.grid(points) for part in self.domains])

    @property
    def is_complex(self):
        return any(part.is_complex for part in self.domains)

    def steps(self):
        return np.concatenate([part.steps() for part in self.domains]) if type(self) is Product else np.zeros(self.size)

    def fits(self, dtype):
        return type(self) is Product and all(part.fits(dtype) for part in self.domains)

    def _includes(self, inner):
        return all(inner.slice(*span).issubset(part) for span, part in self.spans())

    def __repr__(self):
        return " x ".join(map(repr, self.domains))


def product(domains: Any) -> AbstractDomain:
    """The product of domains, with neighbours of one kind joined.

    Example:
        >>> import deepconstruct as dc
        >>> dc.domains.product([dc.domains.Bits(2), dc.domains.Bits(3)])
        Bits(n=5)
    """
    parts: list[AbstractDomain] = []
    for domain in domains:
        for part in domain.domains if type(domain) is Product else (domain,):
            if parts and _joins(parts[-1], part):
                parts[-1] = dataclasses.replace(part, n=parts[-1].size + part.size)  # pyright: ignore
            else:
                parts.append(part)
    return parts[0] if len(parts) == 1 else Product(tuple(parts))


def _joins(first: AbstractDomain, second: AbstractDomain) -> bool:
    """Whether the product of two domains is a domain of the same kind."""
    if type(first) not in (Bits, Signs, Box, Space) or type(first) is not type(second):
        return False
    return dataclasses.replace(first, n=1) == dataclasses.replace(second, n=1)  # pyright: ignore
