"""Headers of older versions as those of today's."""

from collections.abc import Callable
from typing import Any

from .registry import FORMAT, VERSION


def migrated(owner: str, header: Any) -> dict[str, Any]:
    """A checked header, brought to today's version step by step.

    Raises:
        ValueError: another format, or a newer version.
    """
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise ValueError(f"{owner} is not a deepconstruct file (its format isn't {FORMAT!r})")
    version = header.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1 or "tree" not in header:
        raise ValueError(f"{owner} has no valid version or tree")
    if version > VERSION:
        raise ValueError(
            f"{owner} is of format version {version}, newer than this library's {VERSION}; upgrade deepconstruct"
        )
    for step in range(version, VERSION):
        header = _STEPS[step](header)
    return header


def _from_version_1(header: dict[str, Any]) -> dict[str, Any]:
    """Claims get a `Robustness` and a status; whatever else is new has its default."""
    return {**header, "tree": _mapped(header["tree"], _claim_of_version_1)}


def _claim_of_version_1(record: dict[str, Any]) -> dict[str, Any]:
    if record.get("class") != "Claim":
        return record
    fields = dict(record["fields"])
    robustness = {name: fields.pop(name) for name in ("radius", "gain", "rounding")}
    fields["robustness"] = {"class": "Robustness", "fields": robustness}
    fields["status"] = "estimate" if fields.pop("estimate") else "proved"
    return {**record, "fields": fields}


def _mapped(node: Any, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    """A tree of JSON with every record changed, the inner ones first."""
    if isinstance(node, list):
        return [_mapped(part, change) for part in node]
    if isinstance(node, dict):
        return change({name: _mapped(part, change) for name, part in node.items()})
    return node


_STEPS = {1: _from_version_1}
