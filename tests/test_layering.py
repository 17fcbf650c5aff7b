"""Who may import whom, how long files may be, and that an import starts no backend."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import deepconstruct

SOURCE = Path(deepconstruct.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))

# Lowest first: a module imports only from rows above its own, or from its own package.
ROWS = [
    {"_checks", "_static", "_roots", "_flint", "_io"},
    {"activations", "linear"},
    {"_bias"},
    {"network"},
    {"systems"},
    {"domains", "targets"},
    {"construction"},
    {"_arithmetic"},
    {"_compose"},
    {"rewrite"},
    {"constructions", "bounds", "_change", "_analysis", "_certify", "losses", "data"},
    {"_fit", "_files", "_sweep"},
    {"catalog"},
    {"testing", "experiments", "_disguise"},
    {"plot", "interchange"},
    {"benchmarks"},
    {"_tour", "_reproduce"},
    {"_cli"},
    {"__main__", "__init__"},
]
ROW = {module: row for row, modules in enumerate(ROWS) for module in modules}


def parts(file):
    """The name of a file's module below the package, as a tuple; packages end in `__init__`."""
    return file.relative_to(SOURCE).with_suffix("").parts


def own_imports(file, tree=None):
    """Every import of our own modules: `(node, module)` with the module below the package."""
    for node in ast.walk(ast.parse(file.read_text()) if tree is None else tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = parts(file)[: len(parts(file)) - node.level]
            names = [node.module.split(".")] if node.module else [[alias.name] for alias in node.names]
            yield from ((node, (*base, *name)) for name in names)
        elif isinstance(node, ast.ImportFrom | ast.Import):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            assert not any(name.split(".")[0] == "deepconstruct" for name in names), f"{file}: import relatively"


@pytest.mark.parametrize("file", FILES, ids=lambda file: "/".join(parts(file)))
def test_a_module_imports_only_from_rows_above(file):
    own = parts(file)[0]
    assert own in ROW, f"{own} has no row yet: see the layout in the design"
    for _, module in own_imports(file):
        if module[0] != own and module[0] in ROW:
            assert ROW[module[0]] < ROW[own], f"{own} may not import {module[0]}"


def test_families_of_constructions_do_not_import_each_other():
    for file in (SOURCE / "constructions").rglob("*.py"):
        family = parts(file)[1]
        for _, module in own_imports(file):
            shared = {family, "gates", "grouping", "fourier"} if family != "__init__" else set(module[1:2])
            assert module[0] != "constructions" or module[1] in shared, f"{family} imports {module}"


def imports_inside_functions(file, text):
    """Our own modules that a function imports when it is called, by name."""
    tree = ast.parse(text)
    functions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    inner = {node for function in ast.walk(tree) if isinstance(function, functions) for node in ast.walk(function)}
    return [".".join(module) for node, module in own_imports(file, tree) if node in inner]


@pytest.mark.parametrize("file", FILES, ids=lambda file: "/".join(parts(file)))
def test_our_own_modules_are_imported_at_the_top(file):
    assert not imports_inside_functions(file, file.read_text())


def test_an_import_inside_a_function_is_seen():
    planted = "from .._checks import check_size\n\ndef f():\n    from ..network import Network\n    return Network\n"
    assert imports_inside_functions(SOURCE / "_fit" / "planted.py", planted) == ["network"]


def test_the_root_has_few_private_modules():
    private = sorted(file.name for file in SOURCE.glob("_*.py") if not file.name.startswith("__"))
    assert len(private) <= 8, private


@pytest.mark.parametrize("file", FILES, ids=lambda file: "/".join(parts(file)))
def test_no_file_is_too_long(file):
    # The checker is to be one file, whatever it can prove.
    most = 750 if parts(file)[-1] == "check" else 400
    assert len(file.read_text().splitlines()) <= most


EXTRAS = {"matplotlib": {"plot"}, "hypothesis": {"testing"}, "onnx": {"interchange"}, "flint": {"_flint"}}


@pytest.mark.parametrize("extra", EXTRAS)
def test_extras_are_imported_in_one_place(extra):
    users = set()
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            users |= {parts(file)[0] for name in names if name.split(".")[0] == extra}
    assert users <= EXTRAS[extra]


def run(code):
    return subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)


def test_an_import_starts_no_backend_and_touches_no_configuration():
    code = (
        "import jax; before = dict(jax.config.values)\n"
        "import deepconstruct\n"
        "import jax._src.xla_bridge as bridge\n"
        "assert not bridge.backends_are_initialized(), 'a backend was started'\n"
        "assert dict(jax.config.values) == before, 'the configuration was changed'\n"
    )
    result = run(code)
    assert result.returncode == 0, result.stderr


def test_an_import_needs_no_extra():
    blocked = "; ".join(f"sys.modules[{name!r}] = None" for name in ("matplotlib", "hypothesis", "onnx", "flint"))
    result = run(f"import sys; {blocked}; import deepconstruct as dc; dc.certify(dc.parity(3))")
    assert result.returncode == 0, result.stderr
