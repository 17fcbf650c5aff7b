"""The zip archive: members of JSON, and one `.npy` member an array."""

import contextlib
import io
import json
import math
import zipfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from ..construction.encoding import is_plain

TREE = "tree.json"


def packed(headers: Mapping[str, Mapping[str, Any]], members: Mapping[str, np.ndarray]) -> bytes:
    """The content of a file of members of JSON and of arrays; equal values have equal files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, header in headers.items():
            archive.writestr(_entry(name), json.dumps(header, allow_nan=False))
        for name, array in members.items():
            npy = io.BytesIO()
            np.lib.format.write_array(npy, np.asarray(array, order="C"), version=(1, 0), allow_pickle=False)
            archive.writestr(_entry(name), npy.getvalue())
    return buffer.getvalue()


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)  # dated 1980, not today
    entry.external_attr = 0o644 << 16
    return entry


@contextlib.contextmanager
def opened(owner: str, file: Any, max_bytes: int) -> Iterator[tuple[Callable[[str], Any], Callable[[str], np.ndarray]]]:
    """Functions that read members of an archive by name: one of JSON (`None` where there is none), and an array."""
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        if TREE not in names:
            raise ValueError(f"{owner} is not a deepconstruct file (it has no {TREE})")
        if len(set(names)) != len(names):
            raise ValueError(f"{owner} is malformed: it has two members of one name")
        total = sum(info.file_size for info in archive.infolist())
        if total > max_bytes:
            raise ValueError(f"{owner} unpacks to {total} bytes, more than max_bytes={max_bytes}")
        yield (
            lambda name: json.loads(archive.read(name)) if name in names else None,
            lambda name: _read(owner, archive, name),
        )


def _read(owner: str, archive: zipfile.ZipFile, name: Any) -> np.ndarray:
    if name not in archive.namelist():
        raise ValueError(f"{owner} lacks its member {name!r}")
    content = archive.read(name)
    try:
        return _array(content)
    except Exception as error:  # NumPy's reader of headers raises many kinds
        raise ValueError(f"{owner}: member {name!r} is no plain array ({error})") from error


def _array(content: bytes) -> np.ndarray:
    member = io.BytesIO(content)
    if np.lib.format.read_magic(member) != (1, 0):
        raise ValueError("unknown version of the npy format")
    # What the header promises is compared with what is there, before room is made for it.
    shape, _, dtype = np.lib.format.read_array_header_1_0(member)
    if not is_plain(dtype):
        raise ValueError(f"it has the dtype {dtype}, which isn't one of numbers")
    if math.prod(shape) * dtype.itemsize != len(content) - member.tell():
        raise ValueError(f"its header promises shape {shape}, but the member has {len(content)} bytes")
    member.seek(0)
    return np.lib.format.read_array(member, allow_pickle=False)
