"""Iterated function systems: affine maps whose repeated images of the cube are a fractal.

`K_0 = [-1, 1]^d`, and `K_n` is the union of the images `F_i(K_{n-1})`. The cells of level `n` are
the images of the cube under all words of `n` maps. Cell coordinates of a point `x` in the cell of
the word `i_1 ... i_n` are `u = F_{i_n}^-1 ... F_{i_1}^-1 x`, in which the cell is the cube again;
`max |u| - 1` is by how much a point lies outside it, in units of half its edge.
"""

from .ifs import IFS as IFS
from .named import (
    cantor as cantor,
    cantor_dust as cantor_dust,
    cantor_reversed as cantor_reversed,
    pentaflake as pentaflake,
    reflected_dust as reflected_dust,
    rotated_dust as rotated_dust,
    sierpinski_carpet as sierpinski_carpet,
    sierpinski_triangle as sierpinski_triangle,
    vicsek as vicsek,
)

__all__ = [
    "IFS",
    "cantor",
    "cantor_dust",
    "cantor_reversed",
    "pentaflake",
    "reflected_dust",
    "rotated_dust",
    "sierpinski_carpet",
    "sierpinski_triangle",
    "vicsek",
]
