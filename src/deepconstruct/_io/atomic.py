"""Files that are complete or not there at all, and arrays in them."""

import contextlib
import io
import json
import os
import uuid
import zipfile
from collections.abc import Callable, Iterator, Mapping
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


def write_all(file: IO[bytes], content: bytes) -> None:
    """Write all of `content` to an open file, also to one that takes a part at a time."""
    rest = memoryview(content)
    while rest:
        written = file.write(rest)
        rest = rest[len(rest) if written is None else written :]


def write_atomically(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file so that a kill or a full disk leaves the old one or none, never half of one.

    Links are followed, and what is no file, such as a pipe, is written as it is.

    Raises:
        OSError: the file can't be written; it names `path` itself.
    """
    path = Path(os.path.realpath(path)) if path.is_symlink() else path
    if path.exists() and not path.is_file():
        with open(path, "wb") as file:
            write(file)
        return
    # Beside the file, whose name may be as long as names can be.
    temporary = path.with_name(f"{path.name[:32]}.{uuid.uuid4().hex}.part")
    try:
        with _naming(path), open(temporary, "xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        with _naming(path):
            os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Errors of the system name the file that was asked for, not the temporary one."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from None
