"""A machine that rounds as the model of claims allows, in rational arithmetic; and small networks to run on it."""

from fractions import Fraction
from typing import Any

import jax.numpy as jnp
import numpy as np

import deepconstruct as dc
from deepconstruct.activations import Identity, Power, ReLU, Square, Step
from deepconstruct.linear import Composed, Dense, SignProduct
from deepconstruct.network import Layer, Network, flat_layers


class Machine:
    """A machine that rounds as the model allows: any order, fused or not, small numbers flushed or not."""

    def __init__(self, dtype, seed):
        info = jnp.finfo(dtype)
        self.digits, self.least = info.nmant + 1, int(np.log2(float(info.tiny)))
        self.most = Fraction(float(info.max))
        self.draw = np.random.default_rng(seed)
        self.flushes = bool(seed % 2)

    def rounded(self, value):
        if value == 0:
            return value
        above, below = abs(value).as_integer_ratio()
        exponent = above.bit_length() - below.bit_length()
        exponent -= abs(value) < Fraction(2) ** exponent
        unit = Fraction(2) ** (max(exponent, self.least) - self.digits + 1)
        found = self.flushed(round(value / unit) * unit)
        if abs(found) > self.most:
            raise OverflowError  # which bounds must have ruled out
        return found

    def flushed(self, value):
        return Fraction(0) if self.flushes and abs(value) < Fraction(2) ** self.least else value

    def sum(self, pairs, bias):
        """Sums of products, of which some wait to be fused into an addition; positive terms first, or drawn ones."""
        terms: list[Any] = [(self.flushed(w), self.flushed(h)) for w, h in pairs] + [self.flushed(b) for b in bias]
        if self.draw.random() < 0.5:
            terms.sort(key=lambda t: -(t[0] * t[1] if isinstance(t, tuple) else t))
        else:
            self.draw.shuffle(terms)
        while len(terms) > 1:
            second = terms.pop(int(self.draw.integers(len(terms))) if self.draw.random() < 0.5 else 1)
            first = terms.pop(0)
            first = self.product(first) if isinstance(first, tuple) else first
            fused = isinstance(second, tuple) and self.draw.random() < 0.5
            second = second[0] * second[1] if fused else self.product(second)
            terms.insert(0, self.rounded(first + second))
        return self.product(terms[0]) if terms else Fraction(0)

    def product(self, term):
        return self.rounded(term[0] * term[1]) if isinstance(term, tuple) else term

    def run(self, network, x):
        values = [Fraction(v) for v in x]
        for layer in flat_layers(network):
            values = self.mapped(layer.linear, values, np.zeros(layer.out_size) if layer.bias is None else layer.bias)
            values = [self.active(layer.activation, v) for v in values]
        return values

    def mapped(self, linear, values, bias):
        if isinstance(linear, Composed):
            return self.mapped(linear.outer, self.mapped(linear.inner, values, np.zeros(linear.inner.out_size)), bias)
        if isinstance(linear, SignProduct):
            w, signs = Fraction(float(linear.weight)), np.asarray(linear.entries()[2]) / float(linear.weight)
            total = self.sum([(Fraction(s), v) for s, v in zip(signs.tolist(), values, strict=True)], [])
            return [self.rounded(self.flushed(w) * total)]
        matrix = np.asarray(dc.linear.as_matrix(linear), np.float64)
        return [
            self.sum([(Fraction(w), v) for w, v in zip(row, values, strict=True)], [Fraction(float(b))])
            for row, b in zip(matrix.tolist(), np.asarray(bias, np.float64), strict=True)
        ]

    def active(self, activation, value):
        if isinstance(activation, Step):
            return Fraction(int(value > 0))
        if isinstance(activation, ReLU):
            return max(value, Fraction(0))
        if isinstance(activation, Square):
            return self.rounded(value * value)
        if isinstance(activation, Power):
            found = value
            for _ in range(activation.n - 1):
                found = self.rounded(found * value)
            return found
        assert isinstance(activation, Identity)
        return value


def fraction(value):
    return Fraction(*value.as_integer_ratio())


def net(*layers, dtype="float32"):
    made = []
    for weights, *rest in layers:
        bias, activation = rest or (None, Identity())
        made.append(
            Layer(Dense(jnp.asarray(weights, dtype)), None if bias is None else jnp.asarray(bias, dtype), activation)
        )
    return Network(tuple(made))
