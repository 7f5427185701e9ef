"""`bench value-of-history`: the arms of a stream, how a killed run goes on, and the figures."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import polars as pl
import pytest

from autometa.errors import OptionError
from autometa.storage import Store
from autometa.studies.benchmarks._tuning_runs import append_lines, read_lines
from autometa.studies.benchmarks.history._arms import (
    AGAIN,
    NONE,
    OWN,
    PLAN,
    RUNS,
    SHIPPED,
    STORE,
    ArmRun,
    ArmsPlan,
    StreamRuns,
    keep_only,
)
from autometa.studies.benchmarks.history._effects import compare, effect
from autometa.studies.benchmarks.history._relations import ROW, Rows
from autometa.studies.benchmarks.history._row_losses import difference, held_out_loss
from autometa.studies.benchmarks.history._streams import StreamTable, make_stream
from autometa.studies.benchmarks.history._value_report import (
    Measured,
    value_markdown,
    value_report,
)
from tests.studies.bench_output import bench
from tests.studies.test_history_streams import stream_plan, write_bases

# the count only ends a run sooner: with a time beside it the store's past is listened to
SHORT = "--learners linear,neighbors --trials 4"


def _table(
    name: str, place: int, family: str, *before: str, relation: str = "part"
) -> StreamTable:
    frame = pl.DataFrame({ROW: [0], "y": [0.0]})
    rows = Rows(frame, frame.with_columns(pl.col(ROW) + 1), "y", is_classification=False)
    return StreamTable(name, place, family, family, relation, "binary", rows, before)


def _run(
    table: str, arm: str, losses: tuple[float, ...], *best: tuple[float, float], said: str = ""
) -> ArmRun:
    mean = sum(losses) / len(losses)
    return ArmRun(table, arm, "binary", losses, 2 * mean, best, len(best), (said,), 19.0)


def test_a_difference_has_the_standard_error_of_the_rows() -> None:
    """Differences 1, 3, 1, 3: mean 2, deviation sqrt(4 / 3), error sqrt(1 / 3)."""
    apart, error = difference((2.0, 4.0, 2.0, 4.0), (1.0, 1.0, 1.0, 1.0))
    assert apart == 2.0
    assert error == pytest.approx(math.sqrt(1 / 3))
    assert held_out_loss((1.0, 7.0), "binary") == 4.0
    assert held_out_loss((1.0, 7.0), "regression") == 2.0


def test_arms_are_compared_by_loss_time_and_noise() -> None:
    table = _table("a", 1, "f")
    own = _run("a", OWN, (0.2, 0.4, 0.3, 0.1), (4.0, 0.9), (6.0, 0.4))
    other = _run("a", SHIPPED, (0.4, 0.6, 0.5, 0.5), (3.0, 0.8), (15.0, 0.5))
    found = compare(table, own, other)
    assert found.log_ratios["test_loss"] == pytest.approx(math.log(0.25 / 0.5))
    assert found.log_ratios["trial_loss"] == pytest.approx(math.log(0.4 / 0.5))
    assert (found.seconds, found.other_seconds) == (6.0, 15.0)
    assert found.share_of_time == pytest.approx(0.4)
    # differences -.2, -.2, -.2, -.4: mean -.25, error .1 / sqrt(4)
    assert (found.apart, found.noise) == pytest.approx((-0.25, 0.05))
    assert found.is_better_beyond_noise
    assert not found.is_worse_beyond_noise
    back = compare(table, other, own)
    assert back.is_worse_beyond_noise
    assert math.isinf(back.seconds)


def test_an_arm_without_a_model_is_worse_than_one_that_has_it() -> None:
    table, lost = _table("a", 1, "f"), ArmRun("a", OWN, "binary", error="out of memory")
    other = _run("a", SHIPPED, (0.5, 0.6), (3.0, 0.8))
    assert compare(table, lost, other).is_worse_beyond_noise
    assert compare(table, other, lost).is_better_beyond_noise
    both = compare(table, lost, ArmRun("a", SHIPPED, "binary", error="no time"))
    assert not both.is_worse_beyond_noise
    assert not both.is_better_beyond_noise
    told = effect([compare(table, lost, other)])
    assert (told["n_failed"], told["n_worse_beyond_noise"]) == (1, 1)
    assert "test_loss" not in told


def _measured() -> list[Measured]:
    """Four tables: the last two are the second half; the third took from its kin, the last too."""
    tables = [
        _table("t_rows-40", 1, "f"),
        _table("u_alone", 2, "g", relation="alone"),
        _table("t_rows-100", 3, "f", "t_rows-40"),
        _table("t_copy", 4, "f", "t_rows-40", "t_rows-100"),
    ]
    own_rows = [(0.4, 0.4), (0.5, 0.7), (0.2, 0.3), (0.1, 0.1)]
    said = [
        "",
        "2 first configs: 2 from t_rows-40 (similarity 0.31)",
        "3 first configs: 2 from t_rows-40 (similarity 0.92), 1 from tables that come with us",
        "1 first configs: 1 from t_rows-400 (similarity 0.92)",
    ]
    return [
        Measured(
            table,
            {
                OWN: _run(table.name, OWN, rows, (5.0, 0.5), said=text),
                SHIPPED: _run(table.name, SHIPPED, (0.4, 0.4), (10.0, 0.5)),
            },
            tuple(other.name for other in tables[: table.place - 1]),
        )
        for table, rows, text in zip(tables, own_rows, said, strict=True)
    ]


def test_the_second_half_is_judged_and_tables_without_kin_apart() -> None:
    report = value_report(_measured(), 6)  # of 6 tables the second half begins with the third
    found = report["effects"]["own beside shipped"]
    late, alone = found["second half"], found["without kin"]
    assert (late["n_tables"], late["test_loss"]["n_better"]) == (2, 2)
    logs = [math.log(0.25 / 0.4), math.log(0.1 / 0.4)]
    assert late["test_loss"]["ratio"]["value"] == pytest.approx(math.exp(sum(logs) / 2))
    assert late["median_share_of_time"] == 0.5
    assert alone["test_loss"]["ratio"]["value"] == pytest.approx(1.5)
    assert found["all"]["test_loss"]["n_equal"] == 1
    assert found["with kin before"]["n_tables"] == 2
    goals = report["goals"]
    share = goals["share better on held-out rows, second half"]
    assert share == {"value": 1.0, "wanted": 0.65, "is_reached": True}
    # .1 and .3 worse: mean .2, error .1: at two errors, not beyond
    assert goals["share worse beyond noise, all"]["value"] == 0.0
    assert report["n_tested_rows_learned"] == 0
    assert json.loads(json.dumps(report, allow_nan=False)) == report


def test_what_is_worse_than_two_equal_runs_is_named() -> None:
    """Worse than one of them may be that one's luck: here the first table's, not the second's."""
    losses = {
        "lucky": {OWN: (0.5, 0.6), SHIPPED: (0.1, 0.2), AGAIN: (0.5, 0.7)},
        "harmed": {OWN: (0.5, 0.6), SHIPPED: (0.1, 0.2), AGAIN: (0.2, 0.3)},
    }
    measured = [
        Measured(
            _table(name, place, name),
            {arm: _run(name, arm, rows, (3.0, 0.5)) for arm, rows in arms.items()},
            (),
        )
        for place, (name, arms) in enumerate(losses.items(), start=1)
    ]
    report = value_report(measured, 2)
    assert report["effects"]["own beside shipped"]["all"]["n_worse_beyond_noise"] == 2
    assert report["worse_than_both_equal_runs"] == ["harmed"]
    goal = report["goals"]["share worse beyond noise than two equal runs, all"]
    assert goal == {"value": 0.5, "wanted": 0.1, "is_reached": False}
    assert value_report(_measured(), 6)["worse_than_both_equal_runs"] is None


def test_the_report_says_whether_kin_were_found() -> None:
    """By whole names: t_rows-400 is not t_rows-40."""
    measured = _measured()
    assert measured[2].taken() == {"t_rows-40": 0.92}
    assert measured[3].taken() == {}
    assert value_report(measured, 4)["relatives"] == {
        "n_with_kin_before": 2,
        "n_took_from_kin": 1,
        "n_took_from_others": 0,
        "median_similarity_of_kin": 0.92,
        "n_without_kin": 1,
        "n_without_kin_took": 1,
    }
    assert "| 3 | t_rows-100 | 1 | 1 | 1 | 0.625 |" in value_markdown(measured, 4)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stream")


@pytest.fixture(scope="module")
def stream(place: Path) -> list[StreamTable]:
    return make_stream(stream_plan(place, n_tables=4, n_families=2))


def _plan(place: Path, **changed: str) -> ArmsPlan:
    options = {OWN: SHORT, SHIPPED: f"{SHORT} --from none"}
    return ArmsPlan(options | changed, 40.0, 0, place / "work")


@pytest.fixture(scope="module")
def tuned(place: Path, stream: list[StreamTable]) -> list[Mapping[str, ArmRun]]:
    """The first two tables of the stream, which are kin, with the pair of arms."""
    return list(StreamRuns(_plan(place), stream).run(2))


def _names(place: Path) -> list[str]:
    with Store.open(place / "work" / STORE) as store:
        return sorted(table.name for table in store.tables())


def test_all_arms_are_measured_on_rows_that_no_command_saw(
    stream: list[StreamTable], tuned: list[Mapping[str, ArmRun]]
) -> None:
    assert [list(arms) for arms in tuned] == [[OWN, SHIPPED]] * 2
    for table, arms in zip(stream, tuned, strict=False):
        for run in arms.values():
            assert run.error is None
            assert len(run.row_losses) == table.rows.test.height
            assert run.n_trials == 4
            assert math.isfinite(run.test_loss)
            assert run.best


def test_only_the_own_arm_takes_from_the_tables_before(
    place: Path, stream: list[StreamTable], tuned: list[Mapping[str, ArmRun]]
) -> None:
    """The store holds them by the names that the stream gave them."""
    assert _names(place) == sorted(one.name for one in stream[:2])
    assert stream[1].before == (stream[0].name,)
    taken = Measured(stream[1], tuned[1], stream[1].before).taken()
    assert taken.keys() == {stream[0].name}
    assert 0.0 < (taken[stream[0].name] or 0.0) <= 1.0
    assert stream[0].name not in "\n".join(tuned[1][SHIPPED].notes)


def test_a_killed_run_goes_on_where_its_runs_and_its_store_agree(
    place: Path, stream: list[StreamTable], tuned: list[Mapping[str, ArmRun]]
) -> None:
    """The store has the second table and the list of runs lost it: it is tuned anew, once."""
    runs = place / "work" / RUNS
    kept = [line for line in runs.read_text().splitlines() if stream[1].name not in line]
    runs.write_text("\n".join([*kept, '{"table": "torn']))
    found = list(StreamRuns(_plan(place), stream).run(2))
    assert found[0] == tuned[0]
    assert found[1][OWN].wall_s != tuned[1][OWN].wall_s
    assert found[1][OWN].error is None
    assert _names(place) == sorted(one.name for one in stream[:2])
    with Store.open(place / "work" / STORE) as store:
        assert len(store.studies(limit=None)) == 2
    assert list(StreamRuns(_plan(place), stream).run(2)) == found


def test_what_came_after_a_missing_table_is_not_kept(
    tmp_path: Path, stream: list[StreamTable]
) -> None:
    """Its store knew of the table; the arms that have no such store are kept."""
    runs = [
        ArmRun(table.name, arm, table.kind, error="kept")
        for table in stream
        for arm in (OWN, SHIPPED, NONE)
        if (table.place, arm) != (2, OWN)
    ]
    append_lines(tmp_path / RUNS, [asdict(run) for run in runs])
    options = {str(arm): "--learners nothing" for arm in (OWN, SHIPPED, NONE)}
    found = list(StreamRuns(ArmsPlan(options, 40.0, 0, tmp_path), stream).run(3))
    errors = [[run.error == "kept" for run in arms.values()] for arms in found]
    assert errors == [[True, True, True], [False, False, True], [False, False, True]]
    left = {(one["table"], one["arm"]) for one in read_lines(tmp_path / RUNS)}
    assert (stream[3].name, OWN) not in left
    assert (stream[3].name, NONE) in left


def test_a_folder_of_another_stream_is_refused(
    place: Path, stream: list[StreamTable], tuned: list[Mapping[str, ArmRun]]
) -> None:
    before = (place / "work" / PLAN).read_text()
    for plan, tables in (
        (_plan(place, own="--trials 3"), stream),
        (ArmsPlan(_plan(place).options, 41.0, 0, place / "work"), stream),
        (_plan(place), stream[:3]),
    ):
        with pytest.raises(OptionError, match="give another --work"):
            list(StreamRuns(plan, tables).run(1))
    assert (place / "work" / PLAN).read_text() == before
    only = ArmsPlan({SHIPPED: f"{SHORT} --from none"}, 40.0, 0, place / "work")
    assert len(list(StreamRuns(only, stream).run(2))) == 2


def test_a_store_that_has_lost_a_table_is_not_gone_on_with(tmp_path: Path) -> None:
    Store.open(tmp_path / STORE).close()
    with pytest.raises(OptionError, match=r"has lost a, which runs\.jsonl beside it has"):
        keep_only(tmp_path / STORE, ["a"])
    keep_only(tmp_path / "none yet.db", [])
    assert not (tmp_path / "none yet.db").exists()


def test_an_arm_that_fails_is_kept_as_such(tmp_path: Path, stream: list[StreamTable]) -> None:
    """It is named, not run again, and that the store is without its table is no loss."""
    plan = ArmsPlan({OWN: "--learners nothing"}, 40.0, 0, tmp_path)
    first, second = StreamRuns(plan, stream).run(2)
    assert "unknown learners nothing" in str(first[OWN].error)
    assert second[OWN].error is not None
    text = (tmp_path / RUNS).read_text()
    assert list(StreamRuns(plan, stream).run(2)) == [first, second]
    assert (tmp_path / RUNS).read_text() == text


def test_the_command_lists_its_stream_and_asks_for_what_it_needs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = write_bases(tmp_path, 2)
    words = ["value-of-history", "--tables", str(tmp_path), "--manifest", str(manifest)]
    words += ["--work", str(tmp_path / "work"), "--half", "all", "--n-tables", "4", "--json"]
    listed = bench(capsys, *words, "--list")["stream"]
    assert [one["place"] for one in listed] == [1, 2, 3, 4]
    assert not (tmp_path / "work").exists()
    assert "there is no arm mine" in bench(capsys, *words, "--arms", "mine", code=2)
    assert "--n-tables 3 is too low" in bench(capsys, *words, "--n-tables", "3", code=2)
    short = ["--seconds", "40", "--tables-limit", "1", "--quiet", "--arms", "none,again"]
    short += ["--none-options", f"{SHORT} --no-prior", "--shipped-options", SHORT]
    report = bench(capsys, *words, *short)
    assert report["n_tables"] == 1
    assert report["tables"][0]["arms"].keys() == {NONE, AGAIN}
    assert report["tables"][0]["arms"][AGAIN]["n_trials"] == 4
    assert report["effects"] == report["goals"] == {}
