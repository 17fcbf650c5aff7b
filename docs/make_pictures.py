"""Make the committed pictures of the README and the docs: `python docs/make_pictures.py`."""

import shutil
import tempfile
from pathlib import Path

from matplotlib.figure import Figure

import deepconstruct as dc
from deepconstruct._cli import main as command
from deepconstruct._reproduce import EXPERIMENTS

FOLDER = Path(__file__).parent / "_static"


def main() -> None:
    """Write `parity16.png`, `carpet.png` and a picture an experiment, which take five minutes on two cores."""
    FOLDER.mkdir(exist_ok=True)
    for name in EXPERIMENTS:
        with tempfile.TemporaryDirectory() as folder:
            command(["reproduce", name, "--out", folder])
            shutil.copyfile(Path(folder) / "figure.png", FOLDER / f"{name}.png")
    tree = dc.plot.network(dc.parity(16), title="dc.parity(16): 30 ReLU units, 90 synapses")
    tree.savefig(FOLDER / "parity16.png", dpi=110)
    carpet().savefig(FOLDER / "carpet.png", dpi=110)


def carpet() -> Figure:
    """The decision regions of a network, in which cells are a whole number of pixels wide."""
    system, level = dc.systems.sierpinski_carpet(), 4
    network = dc.fractal(system, level)
    title = f"Sierpinski carpet, level {level}: {dc.cost(network).neurons} ReLU units, {system.num_maps**level:,} cells"
    return dc.plot.fractal(network, resolution=8 * 3**level, title=title)


if __name__ == "__main__":
    main()
