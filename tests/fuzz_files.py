"""Damage to files at random: bytes flipped, cut or doubled, and values of the tree put in place of others."""

import copy
import io
import json
import warnings
import zipfile

import numpy as np

import deepconstruct as dc
from deepconstruct.construction.encoding import CLASSES, digest

WORDS = [
    None,
    True,
    False,
    -1,
    0,
    1,
    2,
    3,
    2**31,
    2**63,
    10**30,
    -0.5,
    1.5,
    1e308,
    "",
    "text",
    "float64",
    "0.npy",
    [],
    {},
]
NODES = [
    {"tuple": []},
    {"tuple": [1]},
    {"float": "nan"},
    {"float": "inf"},
    {"complex": [1.0, 2.0]},
    {"bytes": "00"},
    {"part": 0},
    {"target": "own"},
    {"array": "0.npy"},
    {"static": "0.npy"},
    {"array": "1.npy"},
    {"static": "1.npy"},
    {"array": "0.npy", "dtype": "bfloat16"},
    *({"class": name, "fields": {}} for name in CLASSES),
]


def members(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(contents):
    """An archive just as `save` writes it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in contents.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data)
    return buffer.getvalue()


def places(node):
    """Every place in a tree of JSON: pairs of what holds it, and its key there."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, part in items:
        yield node, key
        yield from places(part)


def altered(content, rng, member="tree.json"):
    """One to three values of the tree (or of another member of JSON) replaced, dropped, or exchanged with others."""
    parts = members(content)
    header = json.loads(parts[member])
    for _ in range(rng.integers(1, 4)):
        found = list(places(header))
        holder, key = found[rng.integers(len(found))]
        kind = rng.integers(5)
        if kind == 0:
            del holder[key]
        elif kind == 1:
            other, name = found[rng.integers(len(found))]
            if key in holder if isinstance(holder, dict) else True:
                holder[key] = copy.deepcopy(other[name])
        elif kind == 2 and isinstance(holder[key], int | float):
            holder[key] = holder[key] + int(rng.choice([-1, 1, 1000]))
        else:
            pool = WORDS if kind == 3 else NODES
            holder[key] = copy.deepcopy(pool[rng.integers(len(pool))])
    return zipped(parts | {member: json.dumps(header).encode()})


def damaged(content, rng):
    """Some bytes flipped, the end cut off, or a part doubled."""
    data, kind = bytearray(content), rng.integers(4)
    if kind == 0:
        return bytes(data[: rng.integers(len(data))])
    if kind == 1:
        start, stop = sorted(rng.integers(len(data), size=2))
        return bytes(data[:stop] + data[start:])
    for place in rng.integers(len(data), size=rng.integers(1, 4)):
        data[place] ^= 1 << rng.integers(8)
    return bytes(data)


def rearrayed(content, rng):
    """A member that is another array."""
    parts = members(content)
    names = [name for name in parts if name.endswith(".npy")]
    name = names[rng.integers(len(names))]
    array = np.load(io.BytesIO(parts[name]))
    changes = [
        lambda: array[..., None],
        lambda: array.ravel(),
        lambda: array[:-1] if array.ndim else array,
        lambda: array.astype(rng.choice(["i4", "u1", "f2", "f4", "f8", "c8", ">f4", "bool"])),
        lambda: np.where(rng.random(array.shape) < 0.5, array, array.astype(float) + 1).astype(array.dtype),
        lambda: np.roll(array, 1),
        lambda: np.zeros(0),
    ]
    buffer = io.BytesIO()
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", np.exceptions.ComplexWarning)
        np.lib.format.write_array(buffer, np.asarray(changes[rng.integers(len(changes))]()), version=(1, 0))
    return zipped(parts | {name: buffer.getvalue()})


def saved(value):
    buffer = io.BytesIO()
    dc.save(buffer, value)
    return buffer.getvalue()


def survive(content, functions):
    """Load: what isn't refused by a `ValueError` can be shown, and saved and loaded again."""
    try:
        loaded = dc.load(io.BytesIO(content), functions=functions)
    except ValueError as error:
        if not str(error).startswith("load: <BytesIO>"):
            raise AssertionError(f"a message of others: {error}") from error
        return False
    repr(loaded)
    again = dc.load(io.BytesIO(saved(loaded)), functions=functions)
    network = getattr(again, "network", again)
    assert digest(network) == digest(getattr(loaded, "network", loaded))
    return True
