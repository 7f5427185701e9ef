"""`bench search-prior --part tune`: the same command with the priors and without, and figures."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from autometa.search.shipped import shipped_responses
from autometa.studies.benchmarks.search._tuned_pairs import (
    FILE,
    Tuned,
    TunePlan,
    choose,
    run_pairs,
)
from autometa.studies.benchmarks.search._tuned_report import (
    effects,
    tuned_markdown,
    tuned_report,
)
from tests.studies.bench_output import bench
from tests.studies.small_tables import TARGETS, mixed_frame


def _tuned(
    table: str, options: str, test: float, best: tuple[tuple[float, float], ...], split: int = 0
) -> Tuned:
    return Tuned(table, "binary", split, options, 60.0, test, test, best, 10, 59.0)


def test_a_table_is_better_where_its_loss_is_lower_on_average() -> None:
    """Over splits by the logarithm; what was never as good takes for ever."""
    pairs = [
        (
            _tuned("a", "", 0.5, ((3.0, 0.6), (9.0, 0.4))),
            _tuned("a", "--no-prior", 1.0, ((5.0, 0.9), (50.0, 0.5))),
        ),
        (
            _tuned("b", "", 0.9, ((3.0, 0.9),)),
            _tuned("b", "--no-prior", 0.6, ((20.0, 0.7),)),
        ),
        (
            _tuned("b", "", 0.4, ((4.0, 0.3),), split=1),
            _tuned("b", "--no-prior", 0.5, ((20.0, 0.7),), split=1),
        ),
    ]
    a, b = effects(pairs)
    assert a.log_ratios["test_loss"] == pytest.approx(math.log(0.5))
    assert a.log_ratios["trial_loss"] == pytest.approx(math.log(0.4 / 0.5))
    assert (a.seconds, a.seconds_without, a.n_splits) == (9.0, 50.0, 1)
    assert b.log_ratios["test_loss"] == pytest.approx(0.5 * (math.log(1.5) + math.log(0.8)))
    assert (b.seconds, b.n_splits) == (math.inf, 2)
    report = tuned_report([a, b])
    assert report["median_seconds_to_best_without"] is None
    assert report["test_loss"]["n_better"] == 1  # type: ignore[index]  # JSON
    assert "never" in tuned_markdown([a, b])


@pytest.fixture
def plan(tmp_path: Path) -> TunePlan:
    """Two small tables of families that no prior knows."""
    lines = ["slug,task,target,rows,family"]
    for at, kind in enumerate(("binary", "regression")):
        others = [name for name in TARGETS.values() if name != TARGETS[kind]]
        mixed_frame(120, at).drop(others).write_parquet(tmp_path / f"{kind}.parquet")
        lines.append(f"{kind},{kind},{TARGETS[kind]},120,unheard of {kind}")
    (tmp_path / "manifest.csv").write_text("\n".join(lines))
    return TunePlan(
        tables=tmp_path,
        manifest=tmp_path / "manifest.csv",
        half="all",
        n_tables=2,
        most_rows=5000,
        budget_s=40.0,
        n_seeds=1,
        seed=0,
        with_options="--learners linear,neighbors --trials 2",
        without_options="--learners linear,neighbors --trials 2 --no-prior",
        work=tmp_path / "work",
    )


def test_both_arms_run_and_are_kept(plan: TunePlan) -> None:
    """A second call runs nothing that is kept, and passes over a torn line."""
    pairs = list(run_pairs(plan))
    assert [(one.options, other.options) for one, other in pairs] == [plan.arms] * 2
    assert {one.table for one, _ in pairs} == {"binary", "regression"}
    for one in (arm for pair in pairs for arm in pair):
        assert math.isfinite(one.test_loss)
        assert one.n_trials == 2
        losses = [loss for _, loss in one.best]
        assert losses == sorted(losses, reverse=True)
        assert one.seconds_to(losses[-1]) == one.best[-1][0]
    assert plan.work is not None
    with (plan.work / FILE).open("a") as file:
        file.write('{"table": "torn')
    assert list(run_pairs(plan)) == pairs


def test_tables_of_known_families_are_left_out(plan: TunePlan) -> None:
    """Nothing is measured on what the shipped priors were learned from."""
    responses = shipped_responses()
    assert responses is not None
    known = responses.tasks[0].family
    with plan.manifest.open("a") as file:
        file.write(f"\nknown,binary,y,120,{known}")
    assert {one.slug for one in choose(plan)} == {"binary", "regression"}


def test_the_command_asks_for_tables(capsys: pytest.CaptureFixture[str]) -> None:
    said = bench(capsys, "search-prior", "--part", "tune", code=2)
    assert "--tables DIR and --manifest CSV" in said
