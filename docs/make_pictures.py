"""Make the committed pictures of the README and the docs: `python docs/make_pictures.py`."""

from pathlib import Path

import jax
from matplotlib.figure import Figure

import deepconstruct as dc
from deepconstruct.experiments.parity_basin import KINDS

FOLDER = Path(__file__).parent / "_static"


def main() -> None:
    """Write `parity16.png`, `carpet.png` and `basin.png`; the last takes about a minute on two cores."""
    FOLDER.mkdir(exist_ok=True)
    tree = dc.plot.network(dc.parity(16), title="dc.parity(16): 30 ReLU units, 90 synapses")
    tree.savefig(FOLDER / "parity16.png", dpi=110)
    carpet().savefig(FOLDER / "carpet.png", dpi=110)
    basins = [dc.experiments.parity_basin(kind=kind, key=jax.random.key(0)) for kind in KINDS]
    dc.plot.basin(basins).savefig(FOLDER / "basin.png", dpi=100)
    for basin in basins:
        print(basin.kind, "share of runs that came home:", dict(zip(basin.scales, basin.success(), strict=True)))
        for scale, errors in zip(basin.scales, basin.trained, strict=True):
            print(f"  {scale:4.2f}", "  ".join(f"{error:.0e}" for error in errors))


def carpet() -> Figure:
    """The decision regions of a network, in which cells are a whole number of pixels wide."""
    system, level = dc.systems.sierpinski_carpet(), 4
    network = dc.fractal(system, level)
    title = f"Sierpinski carpet, level {level}: {dc.cost(network).neurons} ReLU units, {system.num_maps**level:,} cells"
    return dc.plot.fractal(network, resolution=8 * 3**level, title=title)


if __name__ == "__main__":
    main()
