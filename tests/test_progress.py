"""Progress is shown where somebody watches: on a terminal and in a notebook, and nowhere else."""

import os
import re
import subprocess
import sys

import nbclient
import nbformat
import pytest

SWEEP = """
import deepconstruct as dc, jax
square = lambda key, x: x**2
found = dc.sweep(square, {{"x": [1.0, 2.0, 3.0]}}, seeds=8, name="square", progress={progress}, key=jax.random.key(0))
"""
# Label, share, runs done of all, time spent and left, rate.
BAR = r"square: +100%.*24/24 \[\d\d:\d\d<\d\d:\d\d, .*(run/s|s/run)\]"


def output_on_a_terminal(code):
    """What a program writes when its output is a terminal."""
    pty, termios = pytest.importorskip("pty"), pytest.importorskip("termios")  # not on Windows
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    process = subprocess.Popen([sys.executable, "-c", code], stdout=theirs, stderr=theirs, env=os.environ)
    os.close(theirs)
    written = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        written += part
    assert process.wait() == 0
    return written.decode()


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("progress", [True, False])
def test_progress_on_a_terminal(progress):
    written = output_on_a_terminal(SWEEP.format(progress=progress))
    assert bool(re.search(BAR, written)) == progress
    assert progress or written == ""


def test_nothing_is_written_where_there_is_no_terminal():
    command = [sys.executable, "-c", SWEEP.format(progress=True)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout + result.stderr == ""


@pytest.mark.slow
def test_progress_in_a_notebook():
    cells = [nbformat.v4.new_code_cell(SWEEP.format(progress=progress)) for progress in (True, False)]
    notebook = nbformat.v4.new_notebook(cells=cells)
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    shown, silent = (cell["outputs"] for cell in notebook.cells)
    text = "".join(output.get("text", "") for output in shown)
    widgets = [output for output in shown if "application/vnd.jupyter.widget-view+json" in output.get("data", {})]
    assert widgets or re.search(BAR, text)
    assert "Warning" not in text
    assert silent == []
