"""Learning curves of a scenario, as a folder of evaluations has them.

`<name>_curves.parquet` has task_id, config_id and a list of one value to each epoch for every
metric. `<name>_fidelity.parquet` has task_id, config_id, trainsize and metrics: a growing share of
the rows, the last of which is the whole evaluation.

Axes: P configs, S steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from autometa.errors import OptionError
from autometa.search.histories._base import Curve, History, PastTask
from autometa.studies.benchmarks.search._contests import is_loss

Array = NDArray[np.float64]

_CURVES, _FIDELITY = "_curves.parquet", "_fidelity.parquet"


@dataclass(frozen=True, slots=True, eq=False)
class StoredCurves:
    """Values (P, S) of a metric in its own direction, by task, at steps (S,) that grow."""

    scenario: str
    metric: str
    steps: tuple[int, ...]
    values: dict[str, Array]

    @property
    def is_loss(self) -> bool:
        """Whether lower is better."""
        return is_loss(self.metric)

    def history(self, without: str) -> History:
        """All tasks but one, as a pruner learns from them."""
        sign = 1.0 if self.is_loss else -1.0
        steps = np.array(self.steps, dtype=np.float64)
        tasks = (
            PastTask(
                name,
                tuple({"config": at} for at in range(len(values))),
                sign * values[:, -1],
                family=name,
                curves=tuple(Curve(steps, sign * row) for row in values),
            )
            for name, values in self.values.items()
            if name != without
        )
        return History(tuple(tasks), source=f"curves of {self.scenario}")


def curve_files(folder: Path) -> list[Path]:
    """The files with curves in a folder. Raises `OptionError` if there are none."""
    found = sorted([*folder.glob(f"*{_CURVES}"), *folder.glob(f"*{_FIDELITY}")])
    if not found:
        raise OptionError(f"{folder} has no curves: it needs NAME{_CURVES} or NAME{_FIDELITY}")
    return found


def read_both(
    history: Path, tasks: Path, scenario: str | None = None, metric: str | None = None
) -> tuple[StoredCurves, StoredCurves]:
    """Curves of the tasks' folder, and those of the same scenario in the history's.

    Without a `scenario` the first in the tasks' folder that the history's has too. Raises
    `OptionError` if there is none.
    """
    known = {path.name for path in curve_files(history)}
    for path in curve_files(tasks):
        if path.name in known and (scenario is None or _name(path) == scenario):
            return read_curves(path, metric), read_curves(history / path.name, metric)
    wanted = "that both have" if scenario is None else f"of {scenario!r} that both have"
    raise OptionError(f"{history} and {tasks} hold no curves {wanted}: {', '.join(sorted(known))}")


def read_curves(path: Path, metric: str | None = None) -> StoredCurves:
    """Curves of one metric [the first score among the columns that is known to be one]."""
    table = pl.read_parquet(path).with_columns(pl.col("task_id").cast(pl.String))
    known = [name for name in table.columns if name not in ("task_id", "config_id", "trainsize")]
    if metric is None:
        preferred = [name for name in ("val_balanced_accuracy", "bac", "auc") if name in known]
        metric = [*preferred, *(name for name in known if not name.startswith("time"))][0]
    if metric not in known:
        raise OptionError(f"{path.name} has no metric {metric!r}: {', '.join(known)}")
    name = _name(path)
    if "trainsize" in table.columns:
        sizes = sorted(table["trainsize"].unique())
        steps = tuple(round(1000 * size) for size in sizes)  # thousandths, since steps are whole
        return StoredCurves(name, metric, steps, _by_size(table, metric, len(sizes)))
    values = {
        str(task[0]): np.array(part.sort("config_id")[metric].to_list(), dtype=np.float64)
        for task, part in table.group_by("task_id", maintain_order=True)
    }
    n_steps = next(iter(values.values())).shape[1]
    return StoredCurves(name, metric, tuple(range(1, n_steps + 1)), values)


def _name(path: Path) -> str:
    return path.name.removesuffix(_CURVES).removesuffix(_FIDELITY)


def _by_size(table: pl.DataFrame, metric: str, n_sizes: int) -> dict[str, Array]:
    ordered = table.sort("task_id", "config_id", "trainsize")
    return {
        str(task[0]): part[metric].to_numpy().astype(np.float64).reshape(-1, n_sizes)
        for task, part in ordered.group_by("task_id", maintain_order=True)
    }
