"""Draw how each algorithm adapts to five points of a sine curve, into docs/sinusoid.svg.

    python docs/make_sinusoid_picture.py CHECKPOINTS

All were trained with ten support rows; each panel says with which network and rows of a task.
CHECKPOINTS is the folder that `autometa bench sinusoid --checkpoints` filled: what was trained
there is drawn, and what was not is trained first.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch
from matplotlib import pyplot
from numpy.typing import NDArray

from autometa.metalearning import Examples, TaskBatch
from autometa.metalearning.sources import SineCurves
from autometa.studies.benchmarks.metalearning._sinusoid_recipes import RECIPES
from autometa.studies.benchmarks.metalearning.sinusoid import Plan, train

_PICTURE = Path(__file__).with_name("sinusoid.svg")
_SHADES = {0: "#c9c9c9", 1: "#f0a860", 5: "#5b8fd0", 10: "#1c3f75"}
_ALGORITHMS = ("maml", "fomaml", "reptile", "meta-sgd", "anil", "ridge")


def main() -> None:
    """Draw one panel for each algorithm, of the same five points of the same curve."""
    torch.set_num_threads(1)
    plan = Plan(checkpoints=Path(sys.argv[1]))
    mpl.rcParams["svg.hashsalt"] = "autometa"  # the same file each time
    figure, panels = pyplot.subplots(2, 3, figsize=(11, 5.6), sharex=True, sharey=True)
    curves = SineCurves(np.array([3.2]), np.array([1.1]))
    x = np.linspace(-5, 5, 200)
    at = np.array([-3.4, -2.1, 0.2, 1.4, 3.9])
    batch = TaskBatch(_rows(curves, at), _rows(curves, x))
    truth, values = curves.at(x[None])[0], curves.at(at[None])[0]
    for panel, name in zip(panels.flat, _ALGORITHMS, strict=True):
        outputs = train(name, plan)[0].query_outputs(batch, tuple(_SHADES))
        panel.plot(x, truth, color="black", lw=1, ls=":", label="curve")
        for (step, shade), line in zip(_SHADES.items(), outputs, strict=True):
            label = "before" if step == 0 else f"{step} steps" if step > 1 else "1 step"
            panel.plot(x, line.flatten().numpy(), color=shade, lw=1.6, label=label)
        panel.plot(at, values, "k^", ms=5, label="5 rows")
        recipe = RECIPES[name]
        trained = f"{recipe.network.text}, rows of a task: {recipe.rows_text(plan.n_shots)}"
        panel.set_title(f"{name} ({trained})", fontsize=9)
        panel.set_ylim(-5.5, 5.5)
    named = panels.flat[0].get_legend_handles_labels()
    figure.legend(*named, fontsize=8, loc="lower center", ncols=len(named[1]), frameon=False)
    figure.tight_layout(rect=(0, 0.05, 1, 1))
    figure.savefig(_PICTURE, metadata={"Date": None})


def _rows(curves: SineCurves, x: NDArray[np.float64]) -> Examples:
    """The curve at these points, as a batch of one task has it: (1, N, 1)."""
    inputs, targets = x[None, :, None], curves.at(x[None])[:, :, None]
    return Examples(torch.tensor(inputs, dtype=torch.float32), torch.tensor(targets).float())


if __name__ == "__main__":
    main()
