"""Networks as safetensors."""

import json
import os
import re
from pathlib import Path
from typing import Any

from .._io.atomic import write_atomically
from ..network import Network
from .arrays import network_of_arrays, to_numpy
from .packages import package
from .untrusted import MOST_BYTES, content_of, refused


def to_safetensors(network: Any, path: str | os.PathLike | None = None) -> bytes:
    """A network as the content of a safetensors file, and as a file.

    Tensors have the names of `to_numpy`; the texts of activations are in the metadata.

    Args:
        network: a `Network` or `Construction` of real weights in float16, float32 or float64.
        path: where to write the file, if anywhere.

    Returns:
        The content.

    Raises:
        TypeError: no network, an ensemble, complex weights (use `dc.realify`), or another dtype.
        ValueError: an activation that isn't the library's own, such as `Custom`.
        ImportError: without safetensors.

    Exactness: the weights are the same bit for bit, in dense matrices; repeated blocks are unrolled.
    """
    save = package("to_safetensors", "safetensors.numpy").save
    arrays = to_numpy(network)
    texts = {name: str(array) for name, array in arrays.items() if name.endswith(".activation")}
    content = save({name: array for name, array in arrays.items() if name not in texts}, texts)
    if path is not None:
        write_atomically(Path(path), lambda file: file.write(content))
    return content


def from_safetensors(file: Any, *, activation: Any = None, max_bytes: int = MOST_BYTES) -> Network:
    """A network from a safetensors file: that of `to_safetensors`, or `name.weight` and `name.bias` of others.

    The layers are in the order of their names, with numbers in them by size.

    Args:
        file: the path of a file, or its content.
        activation: as in `dc.Network.from_matrices`; `None` if the metadata hold their texts.
        max_bytes: the largest file that is read.

    Returns:
        The network, with dense matrices.

    Raises:
        FileNotFoundError: there is no such file.
        TypeError: neither a path nor bytes.
        ValueError: a damaged or too large file, other names, sizes that don't fit, an activation that isn't known,
            NaN or infinite weights.
        ImportError: without safetensors.
    """
    load = package("from_safetensors", "safetensors.numpy").load
    content, name = content_of("from_safetensors", file, max_bytes)
    with refused(name):
        tensors = load(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        named = tensors | (header.get("__metadata__") or {} if activation is None else {})
        ordered = {key: named[key] for key in sorted(named, key=_order)}
        return network_of_arrays("from_safetensors", ordered, activation)


def _order(name: str) -> list[Any]:
    return [int(part) if index % 2 else part for index, part in enumerate(re.split("([0-9]+)", name))]
