"""ReLU and step networks on boxes and regions."""

from .method import METHOD as METHOD
