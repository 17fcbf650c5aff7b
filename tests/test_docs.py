"""The docs say what is true: examples run, tables and trees are current, every name has its entry."""

import doctest
import importlib
import importlib.util
import json
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import jax
import pytest

import deepconstruct as dc
from marks import slow_among

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
    "interchange",
    "rewrite",
    "benchmarks",
]

# The examples of these modules take more than two seconds.
SLOW_EXAMPLES = (
    *("critical", "driver", "fft_basin", "_fit", "fractal", "fractal_training", "fractals", "parity_basin"),
    "sharpness",
)


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


def script(name: str) -> ModuleType:
    """A script of the documentation, as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TABLES = script("make_tables")


MADE = [(file, part) for file, parts in TABLES.PARTS.items() for part in parts]


# The table of constructions says by what each is proved.
@pytest.mark.parametrize("file,part", slow_among(MADE, [("README.md", "catalog")]))
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
        assert len(phrase) <= 112, f"{shown[-1]}: the first line of its docstring is to fit a line of the README"
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


def titles() -> dict[str, str]:
    """The titles of all pages and notebooks."""
    pages = [path for path in (ROOT / "docs").rglob("*.md") if not {"_build", "jupyter_execute"} & set(path.parts)]
    texts = {path: path.read_text(encoding="utf-8") for path in pages}
    for path in (ROOT / "examples").glob("*.ipynb"):
        texts[path] = "".join(json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"])
    texts[ROOT / "docs" / "changelog.md"] = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    found = {path: re.search(r"^# (.+)$", text, flags=re.MULTILINE) for path, text in texts.items()}
    return {path.relative_to(ROOT).as_posix(): match[1] if match else "" for path, match in found.items()}


def test_every_page_and_notebook_has_a_title_of_its_own():
    found = titles()
    assert [name for name, title in found.items() if not title] == []
    assert [name for name, title in found.items() if list(found.values()).count(title) > 1] == []


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
    assert any(re.search(r"(proved|enumerated|tested) \(", text) for text in printed), "no certificate that holds"


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


EXAMPLES = [
    module.name
    for module in pkgutil.walk_packages([str(PACKAGE)], "deepconstruct.")
    if not module.name.endswith("__main__") and ">>>" in source(module.name)
]


@pytest.mark.promotes
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
