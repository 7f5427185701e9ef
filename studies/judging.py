"""The chosen model's last look in a mirror, in a worker: its test score and its columns' worth.

It runs in a worker, where the learners' libraries are loaded already: the driver need not load
them, unless trials run in its own process.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from autometa.studies.budget import Deadline
from autometa.studies.evaluation import in_brief
from autometa.studies.importance import permutation_importance
from autometa.studies.tuned_model import load_model
from autometa.studies.workspace import Workspace
from autometa.tables.preparation import PreparedRows

IMPORTANCE_ROWS = 1000
"""How many rows the columns' importance is measured on at most."""


@dataclass(frozen=True, slots=True)
class JudgeUnit:
    """Two staged models: the whole one, and one of the first fold's models only.

    The latter is judged on the rows that its fold scored, which it never saw; the former on the
    test rows, and is None without any.
    """

    workspace: Path
    whole: Path | None
    first_fold: Path
    deadline: Deadline


@dataclass(frozen=True, slots=True)
class Judgement:
    """The loss on rows no search has seen, and the loss gained by shuffling each column.

    `failure` says why what is not there could not be had.
    """

    test_loss: float | None
    importance: dict[str, float]
    failure: str | None = None


def save_test(workspace: Workspace, test: PreparedRows) -> None:
    """Leave the test rows where `judge` finds them."""
    folder = workspace.folder / "test"
    folder.mkdir(exist_ok=True)
    test.frame.write_ipc(folder / "frame.arrow")
    np.save(folder / "target.npy", np.asarray(test.target))
    if test.weights is not None:
        np.save(folder / "weights.npy", test.weights)


def judge(unit: JudgeUnit) -> Judgement:
    """Score the test rows first, then the columns until the deadline.

    A failure of the latter does not lose the former.
    """
    workspace = Workspace(unit.workspace)
    test_loss = None if unit.whole is None else _test_loss(workspace, unit.whole)
    try:
        return Judgement(test_loss, _importance(workspace, unit))
    except Exception as error:  # noqa: BLE001  the user is told, and has the score all the same
        return Judgement(test_loss, {}, in_brief(error))


def _importance(workspace: Workspace, unit: JudgeUnit) -> dict[str, float]:
    model = load_model(unit.first_fold)
    rows = _drawn(workspace)
    return permutation_importance(
        workspace.frame()[rows],
        workspace.target[rows],
        model.predict_frame,
        workspace.metric,
        weights=None if workspace.weights is None else np.asarray(workspace.weights[rows]),
        seed=workspace.seed,
        deadline=unit.deadline,
    )


def _drawn(workspace: Workspace) -> NDArray[np.int64]:
    """The rows that the first fold scored, or of many an even draw along the sorted target."""
    rows, rng = workspace.splits[0].score, np.random.default_rng(workspace.seed)
    if len(rows) <= IMPORTANCE_ROWS:
        return rows
    order = np.lexsort((rng.random(len(rows)), workspace.target[rows]))
    steps = np.arange(IMPORTANCE_ROWS) + rng.random()
    picked = (steps * (len(rows) / IMPORTANCE_ROWS)).astype(np.int64)
    return np.sort(rows[order[picked]])


def _test_loss(workspace: Workspace, whole: Path) -> float:
    folder = workspace.folder / "test"
    predicted = load_model(whole).predict_frame(pl.read_ipc(folder / "frame.arrow"))
    weights = folder / "weights.npy"
    return workspace.metric.loss(
        np.load(folder / "target.npy"), predicted, np.load(weights) if weights.exists() else None
    )
