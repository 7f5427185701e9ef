from pathlib import Path

import polars as pl
import pytest

from autometa.errors import OptionError
from autometa.studies.benchmarks.search._pruning import (
    PrunedStudy,
    measure_pruners,
    pruner_markdown,
    pruner_report,
)
from autometa.studies.benchmarks.search._stored_curves import read_both
from tests.search.curves.falling_curves import falling


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scenario with curves of six tasks, of a score and of a loss; and one by size of rows."""
    found = tmp_path_factory.mktemp("curves")
    rows, sizes = [], []
    for task in range(6):
        for config, losses in enumerate(falling(25, seed=task, n_steps=12)):
            row = {"task_id": str(task), "config_id": config, "loss": losses.tolist()}
            rows.append({**row, "val_balanced_accuracy": (-losses).tolist()})
            sizes += [
                {"task_id": str(task), "config_id": config, "trainsize": size, "acc": -float(loss)}
                for size, loss in zip((0.1, 0.2, 1.0), losses[[0, 5, 11]], strict=True)
            ]
    pl.DataFrame(rows).write_parquet(found / "nets_curves.parquet")
    pl.DataFrame(sizes).write_parquet(found / "trees_fidelity.parquet")
    return found


def test_curves_are_read(folder: Path) -> None:
    """Lists and sizes become values by task and step; the history is of other tasks."""
    nets, _ = read_both(folder, folder)
    assert (nets.scenario, nets.metric, nets.is_loss) == ("nets", "val_balanced_accuracy", False)
    assert nets.steps == tuple(range(1, 13))
    past = nets.history(without="2")
    assert [task.name for task in past.tasks] == ["0", "1", "3", "4", "5"]
    assert past.tasks[0].losses == pytest.approx(-nets.values["0"][:, -1])
    trees, _ = read_both(folder, folder, "trees", "acc")
    assert trees.steps == (100, 200, 1000)
    assert trees.values["3"] == pytest.approx(nets.values["3"][:, [0, 5, 11]])


def test_what_is_missing_is_said(folder: Path, tmp_path: Path) -> None:
    """Folders without curves, and metrics that are not there, are named."""
    with pytest.raises(OptionError, match="has no curves"):
        read_both(tmp_path, folder)
    with pytest.raises(OptionError, match="no curves of 'forests'"):
        read_both(folder, folder, "forests")
    with pytest.raises(OptionError, match="no metric 'auc'"):
        read_both(folder, folder, "nets", "auc")


def test_measures_all_pruners(folder: Path) -> None:
    """Never pruning saves nothing and loses nothing; either direction gives the same figures."""
    reports = []
    for metric in ("val_balanced_accuracy", "loss"):
        both = read_both(folder, folder, "nets", metric)
        studies = measure_pruners(*both, half="all", n_seeds=2, n_trials=15, tasks_limit=1)
        reports.append(pruner_report(studies))
        never = [one for one in studies if one.pruner == "none"]
        assert [(one.saved, one.is_best_pruned) for one in never] == [(0.0, False)] * 2
    assert set(reports[0]) == {"curve", "none", "median", "hyperband", "wilcoxon"}
    same = ("curve", "none", "median")  # Hyperband's brackets hang on the study's random name
    assert [reports[0][name] for name in same] == [reports[1][name] for name in same]


def test_figures_by_hand() -> None:
    """Means over studies."""
    studies = [
        PrunedStudy("curve", "a", 0, 0.5, True, 0.2),
        PrunedStudy("curve", "b", 0, 0.7, False, 0.0),
    ]
    report = pruner_report(studies)["curve"]
    expected = {"share_of_steps_saved": 0.6, "chance_of_pruning_the_best": 0.5, "regret": 0.1}
    assert isinstance(report, dict)
    assert {name: report[name] for name in expected} == pytest.approx(expected)
    assert "| curve | 60.0% | 50.0% | 0.1000 | 2 |" in pruner_markdown(studies)
