"""Files that are complete or not there at all, and arrays in them."""

import io
import json
import os
import uuid
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

import numpy as np


def pack(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Named arrays as the content of an `.npz`."""
    # NumPy's format knows no bfloat16 and the like: bytes are stored, and the dtype's name beside.
    names = json.dumps([(name, array.dtype.name) for name, array in arrays.items()])
    members = {f"array{index}": array for index, array in enumerate(arrays.values())}
    buffer = io.BytesIO()
    np.savez(buffer, names=np.array(names), **members)  # pyright: ignore[reportArgumentType]
    return buffer.getvalue()


def unpack(content: bytes) -> dict[str, np.ndarray]:
    """What `pack` made; `ValueError` if it is something else."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            names = json.loads(str(archive["names"]))
            return {name: _typed(archive[f"array{index}"], dtype) for index, (name, dtype) in enumerate(names)}
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"not an archive of arrays: {error}") from error


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write named arrays to one file, atomically."""
    content = pack(arrays)
    write_atomically(path, lambda file: file.write(content))


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """What `write_arrays` wrote; `ValueError` if it is something else."""
    return unpack(path.read_bytes())


def _typed(array: np.ndarray, dtype: str) -> np.ndarray:
    return array if array.dtype.kind in "US" else array.view(np.dtype(dtype))


def write_atomically(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file so that a kill or a full disk leaves the old one or none, never half of one."""
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")
    try:
        with open(temporary, "xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
