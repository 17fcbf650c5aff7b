"""Writing: what is refused is refused before the old file is touched."""

import dataclasses
import io
import os
from pathlib import Path
from typing import IO, Any

from .._certify import Certificate
from .._io.atomic import write_all, write_atomically
from ..construction import Construction
from ..construction.encoding import Encoder, canonical, content_digest
from ..network import Network
from ..targets import Target
from .archive import TREE, packed
from .certificates import MEMBER, encoded
from .checking import is_finite, stack_of
from .decoding import Decoder, refused
from .registry import CLASSES, FORMAT, VERSION


def save(
    path: str | bytes | os.PathLike | IO[bytes],
    value: Network | Construction,
    certificate: Certificate | None = None,
) -> None:
    """Write a network or construction to one file, atomically; beside a construction also its certificate.

    Whatever `load` would refuse is refused before the old file is touched. A network, not a
    construction, may be an ensemble, whose leaves all have the same leading axes, or have diverged
    to NaN or infinite weights: the file says so. A user's own `Target` is stored by its name; give
    `load` the function again.

    Args:
        path: where; an existing file is replaced once the new one is complete. Or a file that is
            open for writing in binary mode, such as an `io.BytesIO`.
        value: a `Network` or `Construction`.
        certificate: what `certify` said of this construction; `load_certificate` reads it again, and
            `deepconstruct check FILE` rechecks it without this library.

    Raises:
        TypeError: something else, a class that isn't the library's own, or weights that are being traced.
        ValueError: weights that don't fit together, or aren't floating arrays; 64-bit weights
            without x64; two targets of your own with one name; a certificate of another network or claim.
        FileNotFoundError: there is no such folder.

    Example:
        >>> import deepconstruct as dc, tempfile, pathlib
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "xor.dc"
        >>> dc.save(path, dc.parity(8))
        >>> dc.load(path).claim == dc.parity(8).claim
        True
    """
    if not isinstance(value, Network | Construction):
        raise TypeError(f"save: expected a Network or Construction; got {type(value).__name__}")
    is_path = isinstance(path, str | bytes | os.PathLike)
    if isinstance(path, io.TextIOBase) or not (is_path or hasattr(path, "write")):
        raise TypeError(f"save: expected a path, or a file open in binary mode; got {type(path).__name__}")
    content = _content(value, certificate)
    if is_path:
        write_atomically(Path(os.fsdecode(path)), lambda file: file.write(content))  # pyright: ignore[reportArgumentType]
    else:
        write_all(path, content)  # pyright: ignore[reportArgumentType]


def _content(value: Network | Construction, certificate: Certificate | None) -> bytes:
    encoder, owner = _FileEncoder(), f"save: the {type(value).__name__.lower()}"
    with refused(owner, "can't be stored"):
        header = encoder.header(value)
        # Whatever couldn't be read again is noticed now.
        Decoder(owner, encoder.members.__getitem__, encoder.functions).file(header)
    headers = {TREE: header}
    if certificate is not None:
        headers[MEMBER] = encoded("save", value, certificate)
    return packed(headers, encoder.members)


class _FileEncoder(Encoder):
    """Encodes constructions once each, those that origins tell of before the whole."""

    def __init__(self):
        super().__init__("save", CLASSES)
        self.parts: list[Any] = []
        self.functions: dict[str, Any] = {}
        self._numbers: dict[int, int] = {}
        self._known: dict[bytes, int] = {}

    def header(self, value: Network | Construction) -> dict[str, Any]:
        """What `tree.json` holds."""
        header: dict[str, Any] = {"format": FORMAT, "version": VERSION}
        if isinstance(value, Construction):
            *parts, _ = _parts_first(value)
            for part in parts:
                self._numbers[id(part)] = self._number(self.encode(part))
            return header | {"parts": self.parts, "tree": self.encode(value)}
        tree = self.encode(value)
        return header | {"stack": list(stack_of(value)), "finite": is_finite(value), "tree": tree}

    def encode(self, value):
        if id(value) in self._numbers:
            return {"part": self._numbers[id(value)]}
        return super().encode(value)

    def other(self, value):
        if not isinstance(value, Target):
            return super().other(value)
        known = self.functions.setdefault(value.name, value.function)
        if known is not value.function and content_digest("save", known) != content_digest("save", value.function):
            raise ValueError(f"save: two targets of your own are named {value.name!r}; give each a name of its own")
        return {"target": value.name}

    def _number(self, tree: Any) -> int:
        number = self._known.setdefault(canonical(tree), len(self.parts))
        if number == len(self.parts):
            self.parts.append(tree)
        return number


def _parts_first(whole: Construction) -> list[Construction]:
    """A construction and all that origins tell of, each once, after its own parts; however deep they are nested."""
    found, seen, waiting = [], set(), [(whole, False)]
    while waiting:
        value, is_ready = waiting.pop()
        if is_ready:
            found.append(value)
        elif id(value) not in seen:
            seen.add(id(value))
            waiting.append((value, True))
            waiting += [(part, False) for part in _parts(value)]
    return found


def _parts(value: Construction) -> list[Construction]:
    fields = [getattr(value.origin, field.name) for field in dataclasses.fields(value.origin)]
    parts = [part for field in fields for part in (field if isinstance(field, tuple) else (field,))]
    return [part for part in parts if isinstance(part, Construction)]
