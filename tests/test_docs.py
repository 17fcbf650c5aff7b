"""The docs say what is true: examples run, tables and trees are current, every name has its entry."""

import importlib
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import nbclient
import nbformat
import pytest

import deepconstruct as dc

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PACKAGE = ROOT / "src" / "deepconstruct"
MODULES = [
    "bounds",
    "origins",
    "linear",
    "activations",
    "domains",
    "targets",
    "systems",
    "data",
    "losses",
    "catalog",
    "testing",
    "plot",
    "experiments",
]

# Imports all modules and runs their examples, in JAX's default 32 bits.
DOCTESTS = """
import doctest, importlib, pkgutil, sys
import deepconstruct
failed = tried = 0
for module in pkgutil.walk_packages(deepconstruct.__path__, "deepconstruct."):
    if not module.name.endswith("__main__"):
        result = doctest.testmod(importlib.import_module(module.name))
        failed, tried = failed + result.failed, tried + result.attempted
print(failed, "of", tried, "examples failed")
sys.exit(failed > 0 or tried < 50)
"""


def run_python(code: str) -> subprocess.CompletedProcess:
    """Run code in a fresh interpreter, where JAX has its defaults."""
    environment = os.environ | {"JAX_ENABLE_X64": "0"}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT, env=environment
    )


def fenced(language: str) -> list[str]:
    """The README's code blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


def test_readme_example_prints_what_is_shown():
    result = run_python(fenced("python")[0])
    assert result.returncode == 0, result.stderr
    assert result.stdout == fenced("text")[0]


def script(name: str) -> ModuleType:
    """A script of the documentation, as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TABLES = script("make_tables")


@pytest.mark.parametrize("file,part", [(file, part) for file, parts in TABLES.PARTS.items() for part in parts])
def test_what_is_made_from_the_code_is_current(file, part):
    text = (ROOT / file).read_text(encoding="utf-8")
    assert TABLES.replaced(text, part, TABLES.PARTS[file][part]()) == text, "run python docs/make_tables.py"


def test_the_tree_names_every_file_with_a_phrase_that_fits():
    opened, first, *lines, closed = TABLES.tree().splitlines()
    assert (opened, first, closed) == ("```text", "src/deepconstruct/", "```")
    shown, parents = [], []
    for line in lines:
        name, phrase = line.split(maxsplit=1)
        parents[(len(line) - len(line.lstrip())) // 2 - 1 :] = [name]
        shown.append("".join(parents))
        assert len(phrase) <= 90, f"{shown[-1]}: the first line of its docstring is to fit a line of the README"
    files = [path for path in PACKAGE.rglob("*") if "__pycache__" not in path.parts]
    expected = [
        path.relative_to(PACKAGE).as_posix() + ("/" if path.is_dir() else "")
        for path in files
        if path.name != "__init__.py" or path.parent == PACKAGE
    ]
    assert sorted(shown) == sorted(expected)


def test_a_tree_of_other_files_has_their_first_lines(tmp_path):
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "__init__.py").write_text('"""A part.\n\nAnd more.\n"""\n')
    (tmp_path / "part" / "_one.py").write_text('"""One thing."""\n')
    (tmp_path / "b.py").write_text('"""Which is it?"""\n')
    assert TABLES.tree(tmp_path).splitlines()[2:-1] == [
        "  b.py       Which is it?",
        "  part/      A part",
        "    _one.py  One thing",
    ]


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_links_to_files_exist(document):
    text = (ROOT / document).read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.ipynb")), ids=lambda path: path.stem)
def test_notebook_runs(path, monkeypatch):
    # The notebook's kernel has JAX's defaults, whatever these tests have set.
    monkeypatch.setenv("JAX_ENABLE_X64", "0")
    monkeypatch.delenv("MPLBACKEND", raising=False)
    notebook = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    printed = [output.text for cell in notebook.cells for output in cell.get("outputs", []) if "text" in output]
    assert any("proved" in text for text in printed)


def public_names() -> list[str]:
    """The full names of everything that users may import."""
    names = [f"deepconstruct.{name}" for name in dc.__all__ if name not in MODULES]
    for module in MODULES:
        namespace = getattr(dc, module)
        listed = getattr(namespace, "__all__", None) or [
            name
            for name, value in vars(namespace).items()
            if not name.startswith("_") and getattr(value, "__module__", None) == namespace.__name__
        ]
        names += [f"deepconstruct.{module}.{name}" for name in listed]
    return names


def test_every_public_name_has_an_api_entry():
    pages = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "api").glob("*.md"))
    entries = re.findall(r"^\.\. (?:autofunction|autoclass|autodata|py:data):: (\S+)$", pages, flags=re.MULTILINE)
    assert sorted(entries) == sorted(public_names())


def test_every_catalog_entry_is_mentioned_in_the_docs():
    pages = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs").rglob("*.md"))
    missing = [name for name in dc.catalog.ENTRIES if f"`{name}`" not in pages]
    assert missing == []


def test_docstring_examples_run():
    result = run_python(DOCTESTS)
    assert result.returncode == 0, result.stdout + result.stderr
