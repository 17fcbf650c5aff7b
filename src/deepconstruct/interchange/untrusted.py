"""Files from elsewhere: read up to a size, and whatever breaks on them is a `ValueError` that names them."""

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from .._checks import check_size

# The largest file that is read unless more is asked for.
MOST_BYTES = 2**31


def content_of(owner: str, file: Any, max_bytes: Any) -> tuple[bytes, str]:
    """What a file holds, of which the name or the content is given; and how messages about it begin.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is of more than `max_bytes`.
        TypeError: neither a path nor bytes.
    """
    limit = check_size(owner, "max_bytes", max_bytes)
    if isinstance(file, bytes):
        content, name = file, f"{owner}: the content"
    elif isinstance(file, str | os.PathLike):
        name = f"{owner}: {os.fspath(file)}"
        with open(file, "rb") as opened:
            content = opened.read(limit + 1)
    else:
        raise TypeError(f"{owner}: expected a path or bytes; got {type(file).__name__}")
    if len(content) > limit:
        raise ValueError(f"{name} has more than max_bytes={limit} bytes; pass a larger max_bytes if you trust it")
    return content, name


@contextlib.contextmanager
def refused(name: str) -> Iterator[None]:
    """Turn whatever content breaks into a `ValueError` whose message begins with the name."""
    try:
        with np.errstate(all="ignore"):
            yield
    except ValueError as error:
        message = str(error).removeprefix(f"{name.split(':')[0]}: ")  # the name says whose message it is
        raise ValueError(f"{name}: {message[:1000]}") from error
    except Exception as error:
        raise ValueError(f"{name} is malformed ({type(error).__name__}: {str(error)[:500]})") from error
