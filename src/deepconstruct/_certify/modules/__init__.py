"""Trees of gates that compute parities and products of bits, by what every kind of gate can hold."""

from .method import METHOD as METHOD
