"""Write what follows from the code: `python docs/make_tables.py`.

README's table of constructions and tree of files, and the builders on the API page `core`.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import deepconstruct as dc
from deepconstruct.constructions import BUILDERS

ROOT = Path(__file__).parent.parent
PACKAGE = Path(dc.__file__).parent
DTYPES = {"real": "float32", "complex": "complex64"}

# What has no docstring.
PHRASES = {
    "py.typed": "marks the package as typed",
    "_records/": "data shipped for the tour",
    "_records/gettysburg.txt": "a text, public domain",
    "_records/sunspots.csv": "annual sunspot numbers, NOAA, public domain",
}


def catalog() -> str:
    """The catalog as a Markdown table, in 32 bits, whatever JAX's default is."""
    heads = [
        "| name | computes | size | depth | neurons | synapses | theorem: synapses | error claimed | proved by |",
        "|---|---|---|--:|--:|--:|---|---|---|",
    ]
    return "\n".join([*heads, *map(line, dc.catalog.ENTRIES)])


def line(name: str) -> str:
    """One entry's line of the table."""
    dtype = DTYPES[dc.catalog.get(name).kind]
    (row,) = dc.catalog.table([name], dtype=dtype).rows
    certified = dc.catalog.verdict(dc.catalog.get(name), dtype)
    proved = f"`{certified.method}`" if certified.verdict == "proved" else certified.verdict
    theorem = f"`{row.theorem}`" if row.theorem else ""
    cells = (
        f"`{name}`",
        row.computes,
        row.size,
        row.depth,
        row.neurons,
        f"{row.synapses:,}",
        theorem,
        row.error,
        proved,
    )
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def tree(folder: Path = PACKAGE) -> str:
    """All files but the `__init__.py` of subpackages, with the first lines of their docstrings."""
    lines = list(_tree(folder, folder))
    width = max(len(name) for name, _ in lines) + 2
    shown = [f"src/{folder.name}/", *(f"{name:{width}}{phrase}" for name, phrase in lines)]
    return "```text\n" + "\n".join(shown) + "\n```"


def _tree(folder: Path, root: Path) -> Iterator[tuple[str, str]]:
    depth = len(folder.relative_to(root).parts) + 1
    for path in sorted(folder.iterdir(), key=lambda path: (path.is_dir(), path.name[:2] != "__", path.name.strip("_"))):
        if path.name == "__pycache__" or (path.name == "__init__.py" and folder != root):
            continue
        yield "  " * depth + path.name + "/" * path.is_dir(), phrase(path, root)
        if path.is_dir():
            yield from _tree(path, root)


def phrase(path: Path, root: Path = PACKAGE) -> str:
    """The first line of a module's docstring, without its full stop."""
    name = path.relative_to(root).as_posix() + "/" * path.is_dir()
    if name in PHRASES:
        return PHRASES[name]
    module = path / "__init__.py" if path.is_dir() else path
    return (ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) or "").split("\n")[0].removesuffix(".")


def builders() -> str:
    """The API entries of all builders, in the order of the catalog."""
    entries = "\n\n".join(f".. autofunction:: deepconstruct.{name}" for name in BUILDERS)
    return "```{eval-rst}\n" + entries + "\n```"


def replaced(text: str, name: str, content: str) -> str:
    """`text` with what stands between the markers of a name replaced."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, rest = text.split(begin)
    _, after = rest.split(end)
    return f"{before}{begin}\n\n{content}\n\n{end}{after}"


# The files, and what each has between markers.
PARTS = {
    "README.md": {"catalog": catalog, "tree": tree},
    "docs/api/core.md": {"builders": builders},
}


def current(file: str) -> str:
    """The text of a file with all its parts made anew."""
    text = (ROOT / file).read_text(encoding="utf-8")
    for name, make in PARTS[file].items():
        text = replaced(text, name, make())
    return text


if __name__ == "__main__":
    for file in PARTS:
        (ROOT / file).write_text(current(file), encoding="utf-8")
