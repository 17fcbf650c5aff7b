"""Networks that multiply: two numbers in four units, `n` in one layer, and trees."""

from .flat import flat_product as flat_product
from .multiplication import multiplication_gate as multiplication_gate
from .tree import product_tree as product_tree

# In the order of the catalog.
__all__ = ["multiplication_gate", "flat_product", "product_tree"]  # noqa: RUF022
