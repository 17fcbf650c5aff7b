"""The docs say what is true: examples run, tables and trees are current, every name has its entry."""

import doctest
import importlib
import importlib.util
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import jax
import pytest

import deepconstruct as dc
from marks import slow_among

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PACKAGE = ROOT / "src" / "deepconstruct"
MODULES = [
    "bounds",
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

# The examples of these modules take more than two seconds.
SLOW_EXAMPLES = ("critical", "driver", "fft_basin", "_fit", "fractal", "fractal_training", "fractals", "parity_basin")


def source(name: str) -> str:
    """The source of a module."""
    path = ROOT / "src" / Path(*name.split("."))
    return (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text(encoding="utf-8")


def run_python(code: str) -> subprocess.CompletedProcess:
    """Run code in a fresh interpreter, where JAX has its defaults."""
    environment = os.environ | {"JAX_ENABLE_X64": "0"}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT, env=environment
    )


def fenced(language: str) -> list[str]:
    """The README's code blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_readme_example_prints_what_is_shown():
    result = run_python(fenced("python")[0])
    assert result.returncode == 0, result.stderr
    assert result.stdout == fenced("text")[0]


def test_readme_table_is_current():
    path = ROOT / "docs" / "make_tables.py"
    spec = importlib.util.spec_from_file_location("make_tables", path)
    assert spec is not None
    assert spec.loader is not None
    tables = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tables)
    assert tables.with_catalog(README) == README, "run python docs/make_tables.py"


def test_readme_tree_names_every_file():
    first, *lines = fenced("text")[1].splitlines()
    assert first == "src/deepconstruct/"
    shown, parents = [], []
    for line in lines:
        name = line.split()[0]
        parents[(len(line) - len(line.lstrip())) // 2 - 1 :] = [name]
        assert len(line.split()) > 1, f"{name} needs a phrase"
        shown.append("".join(parents))
    files = [path for path in PACKAGE.rglob("*") if "__pycache__" not in path.parts]
    expected = [
        path.relative_to(PACKAGE).as_posix() + ("/" if path.is_dir() else "")
        for path in files
        if path.name != "__init__.py" or path.parent == PACKAGE
    ]
    assert sorted(shown) == sorted(expected)


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_links_to_files_exist(document):
    text = (ROOT / document).read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.ipynb")), ids=lambda path: path.stem)
def test_notebook_runs(path, monkeypatch):
    import nbclient
    import nbformat

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
        namespace = importlib.import_module(f"deepconstruct.{module}")
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


EXAMPLES = [
    module.name
    for module in pkgutil.walk_packages(dc.__path__, "deepconstruct.")
    if not module.name.endswith("__main__") and ">>>" in source(module.name)
]


@pytest.mark.parametrize(
    "name", slow_among(EXAMPLES, [name for name in EXAMPLES if name.split(".")[-1] in SLOW_EXAMPLES])
)
def test_docstring_examples_run(name):
    module = importlib.import_module(name)
    with jax.enable_x64(False):  # JAX's default
        result = doctest.testmod(module)
    assert result.failed == 0
    assert result.attempted > 0


def test_examples_are_found():
    assert len(EXAMPLES) > 50
    assert set(SLOW_EXAMPLES) <= {name.split(".")[-1] for name in EXAMPLES}
