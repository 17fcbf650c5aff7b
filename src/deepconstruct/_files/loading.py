"""Reading: whatever is malformed is a `ValueError` that names the file."""

import contextlib
import io
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any

from .._certify import Certificate
from ..construction import Construction
from ..network import Network
from .archive import TREE, opened
from .certificates import MEMBER, check_belongs, decoded
from .checking import is_finite
from .decoding import Decoder, refused
from .migrations import migrated


def load(
    path: str | bytes | os.PathLike | IO[bytes],
    *,
    functions: Mapping[str, Callable[[Any], Any]] | None = None,
    max_bytes: int = 2**33,
) -> Any:
    """Read what `save` wrote, in this version or an older one; no skeleton is needed, and no code in the file is run.

    The checks that constructors run are run again. A network that had diverged when it was saved
    comes back with a warning.

    Args:
        path: the file; or one that is open for reading in binary mode, such as an `io.BytesIO`.
        functions: functions of user targets, by name.
        max_bytes: the largest uncompressed size that is read.

    Returns:
        The `Network` or `Construction`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a truncated or foreign file, a newer version, an unknown class or field, members
            of the wrong kind, sizes that don't fit, a file over `max_bytes`, NaN or infinite weights
            that the file doesn't tell of, a user target without its function, or 64-bit weights
            without x64.
    """
    owner = f"load: {_name(path)}"
    value, _ = _read("load", path, functions, max_bytes)
    if isinstance(value, Network) and not is_finite(value):
        warnings.warn(f"{owner} holds NaN or infinite weights, as it was saved", RuntimeWarning, stacklevel=2)
    return value


def load_certificate(
    path: str | bytes | os.PathLike | IO[bytes],
    *,
    functions: Mapping[str, Callable[[Any], Any]] | None = None,
    max_bytes: int = 2**33,
) -> Certificate:
    """Read the certificate that `save` wrote beside a construction.

    It is compared with the construction in the file, whose network and claim must be those that the certificate
    is about. That it says the truth isn't checked here: `certify` the construction again, or let the checker
    do it, `deepconstruct check FILE`.

    Args:
        path: the file, as in `load`; `load` itself gives the construction.
        functions: functions of user targets, by name.
        max_bytes: the largest uncompressed size that is read.

    Returns:
        The `Certificate`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: what `load` refuses; a file without a certificate, or with one that is malformed, about
            another network, or about another claim. Digests of your own functions hold for one version of
            Python.

    Example:
        >>> import deepconstruct as dc, io
        >>> file, xor = io.BytesIO(), dc.parity(8)
        >>> dc.save(file, xor, dc.certify(xor))
        >>> dc.load_certificate(file).verdict
        'proved'
    """
    owner = f"load_certificate: {_name(path)}"
    value, record = _read("load_certificate", path, functions, max_bytes)
    with refused(owner, "holds a malformed certificate"):
        if record is None:
            raise ValueError(f"{owner} holds no certificate")
        certificate = decoded(owner, record)
        check_belongs(owner, value, certificate)
    return certificate


def _read(command: str, path: Any, functions: Any, max_bytes: int) -> tuple[Any, Any]:
    """The value of a file, and the JSON of its certificate."""
    owner = f"{command}: {_name(path)}"
    with _readable(command, path) as file, refused(owner, "is malformed"):
        with opened(owner, file, max_bytes) as (text, array):
            value = Decoder(owner, array, dict(functions or {}), max_bytes).file(migrated(owner, text(TREE)))
            record = text(MEMBER) if command != "load" else None
        if not isinstance(value, Network | Construction):
            raise ValueError(f"{owner} holds no network or construction")
    return value, record


def _name(path: Any) -> str:
    if isinstance(path, str | bytes | os.PathLike):
        return os.fsdecode(path)
    return str(getattr(path, "name", f"<{type(path).__name__}>"))


@contextlib.contextmanager
def _readable(command: str, path: Any) -> Iterator[IO[bytes]]:
    """A file in which one can jump."""
    if isinstance(path, str | bytes | os.PathLike):
        with open(path, "rb") as file:
            yield file
    elif isinstance(path, io.TextIOBase) or not hasattr(path, "read"):
        raise TypeError(f"{command}: expected a path, or a file open in binary mode; got {type(path).__name__}")
    else:
        can_jump = hasattr(path, "seekable") and path.seekable()
        yield path if can_jump else io.BytesIO(path.read())
