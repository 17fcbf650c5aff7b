"""Answers checked anew from the files."""

import hashlib
import json
import os
from fractions import Fraction
from pathlib import Path
from typing import Any

from .._checks import check_choice
from ..interchange import to_onnx
from ._instance import FAMILIES, proved_margin, rebuilt, witness_margin
from ._matrices import network_of
from ._vnnlib import property_text


def recheck(folder: str | os.PathLike, *, witness: str | os.PathLike | None = None) -> str:
    """Check the answer of an instance anew, from its files.

    The network and the property are built from the parameters, and must be those of the files, byte for byte.
    Where the property holds, the family's argument is computed in rational numbers; where it fails, the witness is
    run over the rational numbers and in floats of 32 bits.

    Args:
        folder: what `Instance.save` wrote.
        witness: the folder of `witness.json`, if it fails.

    Returns:
        What was found, as text.

    Raises:
        ValueError: files that don't fit together, or an answer that isn't proved.
        OSError: files that can't be read.
    """
    folder = Path(folder)
    answer = _parsed(folder / "answer.json")
    family = check_choice("recheck", "the family", answer.get("family"), FAMILIES)
    holds = answer.get("answer") == "holds"
    if not holds and witness is None:
        raise ValueError("recheck: this instance fails, so its witness is needed: give the folder of witness.json")
    secret = answer["certificate"] if holds else _parsed(Path(witness or "") / "witness.json")
    try:
        problem = rebuilt(family, secret["parameters"])
        given = None if holds else tuple(map(Fraction, secret["witness"]))
        margin = proved_margin(family, secret["parameters"]) if given is None else witness_margin(problem, given)
    except (KeyError, TypeError, IndexError, AttributeError, ZeroDivisionError) as error:
        raise ValueError(f"recheck: {folder} has a malformed answer: {error!r}") from None
    if not _is_model(folder / "model.onnx", problem):
        raise ValueError(f"recheck: {folder / 'model.onnx'} isn't the network of the answer")
    text = property_text(problem, f"deepconstruct: {family}, difficulty {answer.get('difficulty')}")
    if (folder / "property.vnnlib").read_text() != text:
        raise ValueError(f"recheck: {folder / 'property.vnnlib'} isn't the property of the answer")
    if margin <= problem.rounding:
        raise ValueError(f"recheck: {folder}: that it {'holds' if holds else 'fails'} is not proved")
    return f"{'holds' if holds else 'fails'}, by {float(margin):g}; rounding at most {float(problem.rounding):.2g}"


def _parsed(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"recheck: {path} isn't JSON: {error}") from None
    if not isinstance(found, dict):
        raise ValueError(f"recheck: {path} should hold an object; got {type(found).__name__}")
    return found


def _is_model(path: Path, problem: Any) -> bool:
    """Whether a file is just the model that would be written."""
    again = to_onnx(network_of(problem.layers), opset=13, batch=1, structure=False)
    return (
        hashlib.sha256(again.SerializeToString(deterministic=True)).digest()
        == hashlib.sha256(path.read_bytes()).digest()
    )
