import numpy as np
import polars as pl
import pytest

from autometa.studies.benchmarks.search._contests import Contest, Plan
from autometa.studies.benchmarks.search._runs import Run
from autometa.studies.benchmarks.search._stopping import (
    measure_stoppers,
    ordered_runs,
    stopper_markdown,
    stopper_report,
)

N_CONFIGS = 80


@pytest.fixture(scope="module")
def contest(tmp_path_factory: pytest.TempPathFactory) -> Contest:
    """Eight tasks of one parameter, whose best value is another on each."""
    folder = tmp_path_factory.mktemp("tasks")
    x = np.linspace(0, 1, N_CONFIGS)
    pl.DataFrame({"config_id": range(N_CONFIGS), "x": x}).write_parquet(
        folder / "bowl_configs.parquet"
    )
    rows = [
        {"task_id": str(task), "config_id": at, "acc": 1 - abs(value - task / 8)}
        for task in range(8)
        for at, value in enumerate(x.tolist())
    ]
    pl.DataFrame(rows).write_parquet(folder / "bowl_results.parquet")
    return Contest(Plan(folder, folder, "bowl", half="all"))


def test_measures_all_stoppers(contest: Contest) -> None:
    """Never stopping saves nothing and loses nothing; every stopper has figures of each search."""
    runs = ordered_runs(contest, n_trials=60, n_seeds=1)
    assert len(runs) == 2 * len(contest.targets)
    studies = measure_stoppers(contest, runs)
    report = stopper_report(studies)
    assert len(report) == 4 * 2
    never = [one for one in studies if one.stopper == "never"]
    assert {(one.saved, one.lost, one.reason) for one in never} == {(0.0, 0.0, None)}
    assert all(0 <= one.saved < 1 and 0 <= one.lost <= 1 for one in studies)
    assert stopper_markdown(studies).count("\n") == 9


def test_patience_by_hand(contest: Contest) -> None:
    """A run that gains half of the range after patience has run out loses that half."""
    target = contest.targets[0]
    span = target.worst - target.best
    losses = [target.worst] + [target.best + span / 2] + [target.worst] * 58 + [target.best]
    run = Run("bowl", "by hand", target.task, 0, tuple(losses), 0.0)
    (found,) = measure_stoppers(contest, [run], stoppers=("patience 50",))
    assert found.saved == pytest.approx(1 - 52 / 61)
    assert found.lost == pytest.approx(0.5)
    assert found.reason is not None


def test_portfolio_goes_first(contest: Contest) -> None:
    """The same configs begin every run with a portfolio, and no config comes twice."""
    runs = [run for run in ordered_runs(contest, 30, 2) if run.method.startswith("portfolio")]
    assert runs[0].losses[:10] == runs[1].losses[:10]
    assert runs[0].losses != runs[1].losses
    assert all(len(set(run.losses)) > 15 for run in runs)
