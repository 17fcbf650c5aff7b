"""Networks as C99: a header, the network, and a program that tests it."""

import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from .._io.atomic import write_atomically
from ..activations import groups
from .c_activations import Functions, literal
from .c_harness import checked_cases, harness
from .plain import Plain, lowered

_DTYPES = ("float32", "float64")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,60}")
# Words of C, names that the headers of the program declare, and names in the files themselves.
_TAKEN = re.compile(
    "auto|break|case|char|const|continue|default|do|double|else|enum|extern|float|for|goto|if|inline|int|long|register|"
    "restrict|return|short|signed|sizeof|static|struct|switch|typedef|union|unsigned|void|volatile|while|main|"
    "(erfc|exp|fabs|log1p|sin|tanh)f?|printf|inputs|expected|allowed|(weight|bias|start|column)[0-9]+|apply_.*"
)
# Up to so many numbers lie on the stack.
_ON_STACK = 2**14


def to_c(
    network: Any,
    folder: str | os.PathLike | None = None,
    *,
    name: str = "network",
    inputs: Any = None,
    tolerance: float | None = None,
) -> dict[str, str]:
    """A network as plain C99, with a program that tests it.

    `network.h` declares `void network(const float *input, float *output)`, `network.c` defines it with all
    weights in hexadecimal, so exactly, zeros left out where most are; and `network_test.c` has inputs and
    expected outputs, and exits with 0 if all hold:

        gcc -std=c99 -Wall -Werror network.c network_test.c -lm -o test && ./test

    Args:
        network: a `Network` or `Construction` of real weights in float32 or float64.
        folder: where to write the files; it must exist.
        name: of the function and the files: an identifier of C.
        inputs: what is tested, of shape `(count, in_size)`. If `None`, 16 points: what the domain's `probe`
            gives for a construction, standard normal numbers for a network.
        tolerance: how far outputs may be off, absolutely. If `None`, a construction's outputs are compared
            with the target's values within the claim; a network's with its own outputs in JAX within
            `1e-4 (1 + |output|)` in float32, `1e-10 (1 + |output|)` in float64.

    Returns:
        The texts of the files by name.

    Raises:
        TypeError: no network, an ensemble, complex weights (use `dc.realify`), or another dtype.
        ValueError: a name that C can't have, an activation that isn't the library's own, inputs of another size
            or beside the domain, or at which the network overflows.

    Exactness: the weights are the same bit for bit; sums are added one term after another. What claims count
    on beyond any order is kept as in `to_onnx`. A compiler option such as `-ffast-math` breaks claims.

    Example:
        >>> import deepconstruct as dc
        >>> files = dc.interchange.to_c(dc.parity(4))
        >>> sorted(files)
        ['network.c', 'network.h', 'network_test.c']
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name) or _TAKEN.fullmatch(name):
        raise ValueError(f"to_c: name must be an identifier of C that isn't taken, such as 'network'; got {name!r}")
    plain = lowered("to_c", network, _DTYPES)
    cases = checked_cases(network, inputs, tolerance)
    functions = Functions(plain[0].matrix.dtype)
    files = {
        f"{name}.h": _header(name, plain, functions),
        f"{name}.c": _code(name, plain, functions),
        f"{name}_test.c": harness(name, cases, functions.real),
    }
    if folder is not None:
        for file, text in files.items():
            write_atomically(Path(folder) / file, lambda opened, text=text: opened.write(text.encode()))
    return files


def _header(name: str, plain: tuple[Plain, ...], functions: Functions) -> str:
    inputs, outputs, guard = plain[0].matrix.shape[1], plain[-1].matrix.shape[0], f"{name.upper()}_H"
    return f"""/* Written by deepconstruct. */
#ifndef {guard}
#define {guard}

#define {name.upper()}_INPUTS {inputs}
#define {name.upper()}_OUTPUTS {outputs}

/* output[0 .. {outputs - 1}] of input[0 .. {inputs - 1}] */
void {name}(const {functions.real} *input, {functions.real} *output);

#endif
"""


def _code(name: str, plain: tuple[Plain, ...], functions: Functions) -> str:
    width = max([len(layer.matrix) for layer in plain[:-1]], default=1)
    kind = "" if width <= _ON_STACK else "static "
    tables = [line for index, layer in enumerate(plain) for line in _tables(index, layer, functions)]
    steps = [line for index, layer in enumerate(plain) for line in _layer(index, layer, len(plain), functions)]
    parts = [f'/* Written by deepconstruct. */\n#include <math.h>\n#include "{name}.h"', *functions.found.values()]
    body = "\n".join(f"    {line}".rstrip() for line in steps)
    loops = ("i", "j") if "j++" in body else ("i",)
    declared = [f"    const {functions.real} *from = input;", f"    {functions.real} *to;"]
    if len(plain) > 1:
        declared.insert(0, f"    {kind}{functions.real} space[{2 * width}];")
    declared.append(f"    int {', '.join(loops)};")
    head = f"void {name}(const {functions.real} *input, {functions.real} *output)"
    return "\n\n".join([*parts, "\n".join(tables), "\n".join([head, "{", *declared, body, "}"])]) + "\n"


def _tables(index: int, layer: Plain, functions: Functions) -> list[str]:
    """The numbers of a layer: its matrix in rows, or only what isn't zero there."""
    real, dtype = functions.real, layer.matrix.dtype
    if _is_sparse(layer.matrix):
        rows, cols = np.nonzero(layer.matrix)
        starts = np.searchsorted(rows, np.arange(len(layer.matrix) + 1))
        # A matrix of zeros still needs an element: C has no empty arrays.
        values = layer.matrix[rows, cols] if len(rows) else np.zeros(1, dtype)
        tables = [
            _table("int", f"start{index}", [str(start) for start in starts]),
            _table("int", f"column{index}", [str(col) for col in cols] or ["0"]),
            _table(real, f"weight{index}", [literal(value, dtype) for value in values]),
        ]
    else:
        tables = [_table(real, f"weight{index}", [literal(value, dtype) for value in layer.matrix.ravel()])]
    if layer.bias is not None:
        tables.append(_table(real, f"bias{index}", [literal(value, dtype) for value in layer.bias]))
    return tables


def _is_sparse(matrix: np.ndarray) -> bool:
    return bool(2 * np.count_nonzero(matrix) < matrix.size)


def _table(kind: str, name: str, values: list[str]) -> str:
    lines = [", ".join(values[start : start + 8]) for start in range(0, len(values), 8)]
    return f"static const {kind} {name}[{len(values)}] = {{\n    " + ",\n    ".join(lines) + "\n};"


def _layer(index: int, layer: Plain, count: int, functions: Functions) -> list[str]:
    """The statements of a layer: `to` of `from`."""
    rows, columns = layer.matrix.shape
    half = "space" if index % 2 == 0 else "space + sizeof space / sizeof *space / 2"
    to = "output" if index == count - 1 else half
    if _is_sparse(layer.matrix):
        terms = [f"    for (j = start{index}[i]; j < start{index}[i + 1]; j++)"]
        terms += [f"        sum += weight{index}[j] * from[column{index}[j]];"]
    else:
        terms = [f"    for (j = 0; j < {columns}; j++)"]
        terms += [f"        sum += weight{index}[i * {columns} + j] * from[j];"]
    # The bias is added last, as claims suppose where they count on an order.
    end = "sum" if layer.bias is None else f"sum + bias{index}[i]"
    lines = [f"/* layer {index} */", f"to = {to};", f"for (i = 0; i < {rows}; i++) {{"]
    lines += [f"    {functions.real} sum = 0;", *terms, f"    to[i] = {end};", "}"]
    first = 0
    for activation, width in groups(layer.activation, rows):
        lines += functions.applied(activation, first, width, layer.layer)
        first += width
    return [*lines, "from = to;"] if index < count - 1 else lines
