"""The code of every page runs as it stands: one namespace a page, in JAX's default 32 bits."""

import ast
import re
from pathlib import Path

import jax
import pytest

from deepconstruct._cli import main

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```(\{code-cell\} )?python\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)

PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    if not {"_build", "jupyter_execute"} & set(path.parts)
}
# Pages whose plain blocks are run; those of the others show what needs several hosts, files of yours or an error.
PLAIN = ("README.md", "docs/index.md")
# These take at most two seconds, and the home page is the first that anybody tries.
QUICK = ("README.md", "docs/index.md", "docs/command_line.md", "docs/cost.md", "docs/files.md")


def python(code: str) -> str:
    """A cell as plain Python: without its options, and commands as calls."""
    code = re.sub(r"^(:.*\n)+", "", code)
    code = re.sub(r"^%matplotlib inline$", "", code, flags=re.MULTILINE)
    return re.sub(r"^%run -m deepconstruct (.*)$", r"assert main('\1'.split()) == 0", code, flags=re.MULTILINE)


def blocks(name: str) -> list[str]:
    """The blocks of a page that are run."""
    return [block for is_cell, block in BLOCK.findall(PAGES[name]) if is_cell or name in PLAIN]


def run_block(block: str, namespace: dict) -> None:
    """Run a block; where it says that it raises, it must."""
    if re.search("^:tags:.*raises-exception", block):
        with pytest.raises(Exception):  # noqa: B017
            run_cell(python(block), namespace)
    else:
        run_cell(python(block), namespace)


def run_cell(code: str, namespace: dict) -> None:
    """Run code, and show its last expression as a notebook does."""
    tree = ast.parse(code)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "page", "exec"), namespace)
    if isinstance(last, ast.Expr):
        shown = eval(compile(ast.Expression(last.value), "page", "eval"), namespace)
        assert isinstance(repr(shown), str)


RUN = [name for name in PAGES if blocks(name)]


@pytest.fixture
def defaults():
    """JAX as it comes; pages may change it."""
    jax.config.update("jax_enable_x64", False)
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield
    jax.config.update("jax_enable_x64", True)


@pytest.mark.slow
@pytest.mark.usefixtures("defaults")
@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name not in QUICK)) for name in RUN])
def test_a_page_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "__main__", "main": main}
    for block in blocks(name):
        run_block(block, namespace)


def test_the_home_page_is_run():
    assert {"docs/index.md", "README.md"} <= set(RUN)


@pytest.mark.parametrize("name", PAGES)
def test_what_is_not_run_is_python_at_least(name):
    for _, block in BLOCK.findall(PAGES[name]):
        ast.parse(python(block))
