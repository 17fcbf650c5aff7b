"""Files from elsewhere: read up to a size, and whatever breaks on them is a `ValueError` that names them."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from .._checks import check_size
from .._io.atomic import write_atomically

# The largest file that is read unless more is asked for.
MOST_BYTES = 2**31


def is_path(value: Any) -> bool:
    """Whether it is the name of a file, rather than its content."""
    return isinstance(value, str | os.PathLike)


def content_of(owner: str, path: str | os.PathLike, max_bytes: int) -> bytes:
    """What a file holds.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a file of more than `max_bytes`.
    """
    with open(path, "rb") as file:
        return _read(f"{owner}: {os.fspath(path)}", file, check_size(owner, "max_bytes", max_bytes))


def _read(owner: str, file: IO[bytes], max_bytes: int) -> bytes:
    content = file.read(max_bytes + 1)
    return check_length(owner, content, max_bytes)


def check_length(owner: str, content: bytes, max_bytes: int) -> bytes:
    """The content, if it isn't too long."""
    if len(content) > max_bytes:
        raise ValueError(f"{owner} has more than max_bytes={max_bytes} bytes; pass a larger max_bytes if you trust it")
    return content


def write(path: str | os.PathLike | None, content: bytes) -> None:
    """Write a file, at once or not at all; nothing without a path."""
    if path is not None:
        write_atomically(Path(path), lambda file: file.write(content))  # pyright: ignore[reportArgumentType]


@contextlib.contextmanager
def refused(owner: str, what: str) -> Iterator[None]:
    """Turn whatever malformed content breaks into a `ValueError` that begins with the owner; our own messages stay."""
    try:
        yield
    except (MemoryError, ImportError):
        raise
    except Exception as error:
        if str(error).startswith(owner.split(":")[0]):
            raise
        raise ValueError(f"{owner}: {what}: {str(error)[:500] or type(error).__name__}") from error
