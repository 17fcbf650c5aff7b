"""Configuration of the documentation: `sphinx-build -W --keep-going -b html docs docs/_build/html`.

With `-t stored` nothing is executed: the pages of notebooks show the outputs stored in them, other pages none.
"""

import re
import shutil
import sys
from pathlib import Path

import deepconstruct

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

# These pages are the notebooks of the examples.
NOTEBOOKS = {
    "01_quickstart.ipynb": "quickstart.ipynb",
    "02_products.ipynb": "products_notebook.ipynb",
    "03_fractals.ipynb": "fractals_notebook.ipynb",
    "04_basins.ipynb": "basins_notebook.ipynb",
    "05_certificates.ipynb": "certificates_notebook.ipynb",
    "06_disguises.ipynb": "disguises_notebook.ipynb",
}
for notebook, page in NOTEBOOKS.items():
    shutil.copyfile(HERE.parent / "examples" / notebook, HERE / page)

project = "deepconstruct"
author = "The deepconstruct developers"
copyright = "The deepconstruct developers"
release = version = deepconstruct.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx-mathjax-offline", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "jupyter_execute", "**.ipynb_checkpoints"]

myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

_stored = tags.has("stored")  # noqa: F821  (Sphinx's)
nb_execution_mode = "off" if _stored else "force"
# Only what executes a page says in which language its cells are.
suppress_warnings = ["myst-nb.lexer"] if _stored else []
nb_execution_raise_on_error = True
nb_execution_timeout = 180
nb_merge_streams = True
# Tables that a cell makes, which CommonMark doesn't have.
nb_render_markdown_format = "myst"
# Progress bars and the like.
nb_output_stderr = "remove"

autodoc_typehints = "none"
autodoc_member_order = "bysource"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_attr_annotations = False
napoleon_use_ivar = True
napoleon_use_rtype = False

html_theme = "furo"
html_title = f"deepconstruct {release}"
html_static_path = ["_static"]

_SECTION = re.compile(r"^(Args|Arguments|Attributes|Example|Examples|Raises|Returns|Yields|Note|Warning):$")
_CODE = re.compile(r"`([^`]+)`(\w?)")


def _literal_code(match: re.Match) -> str:
    """Plain backticks, as docstrings use them, are code; reStructuredText wants two, and a gap behind them."""
    code = " ".join(match[1].split())
    return f"``{code}``" + (f"\\ {match[2]}" if match[2] else "")


def _prepare_docstring(app, what, name, obj, options, lines):
    """Turn plain backticks into code, and indented formulas into literal blocks."""
    prepared, literal, section = [], False, False
    for line in _CODE.sub(_literal_code, "\n".join(lines)).split("\n"):
        indented = line.startswith("    ")
        if line.strip() and not indented:
            literal, section = False, bool(_SECTION.match(line.strip()))
        if indented and not literal and not section and prepared and not prepared[-1].strip():
            prepared += ["::", ""]
            literal = True
        prepared.append(line)
    lines[:] = prepared


def setup(app):
    """Run before napoleon (priority 500), on the docstrings as they were written."""
    # It only sets paths, once, but doesn't say that pages may be read side by side.
    app.extensions["sphinx-mathjax-offline"].parallel_read_safe = True
    app.connect("autodoc-process-docstring", _prepare_docstring, priority=400)
