"""Lists of a store: whose trials are meant, what scores may be compared, what a name is of."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from autometa.errors import OptionError, StoreError
from autometa.records import TrialRecord, TrialState
from autometa.storage import (
    NewStudy,
    PriorRecord,
    Promotion,
    SampleRecord,
    Store,
    StudyStatus,
    TableRecord,
)
from autometa.storage.questions import STUDY_ORDERS, TABLE_ORDERS, TRIAL_ORDERS
from autometa.studies.filter_words import ListWords
from autometa.studies.frames import priors_frame, studies_frame, tables_frame, trials_frame
from autometa.studies.kept_priors import find_priors
from autometa.studies.questions import (
    find_studies,
    find_tables,
    find_trials,
    sort_names,
    view_table,
)
from autometa.studies.reports.history import trials_listing
from autometa.studies.reports.prior_choices import priors_listing
from autometa.studies.reports.tables import table_listing, tables_listing

TABLES = (("ab12cd", "churn_a", "roc_auc"), ("ab34ef", "churn_b", "log_loss"))


@pytest.fixture(name="path", scope="module")
def fixture_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study by AUC and a newer one by log loss, three trials each; the last is not complete."""
    path = tmp_path_factory.mktemp("questions") / "store.db"
    with Store.open(path) as store:
        for at, (mark, name, metric) in enumerate(TABLES):
            fingerprint = mark.ljust(64, "0")
            names = ("x", "y") if at else None
            table = TableRecord(fingerprint, name, 90, 2, "y", "binary", 2, column_names=names)
            store.add_table(table)
            study = store.start_study(NewStudy(fingerprint, name, name, metric, 0, "cv5"))
            began = datetime(2026, 1, 1 + at, tzinfo=UTC).timestamp()
            for number, loss in enumerate((0.25, 0.125, None)):
                state = TrialState.PRUNED if loss is None else TrialState.COMPLETE
                learner = ("linear", "network")[number % 2]
                config = {"depth": number}
                trial = TrialRecord(
                    number, learner, config, state, loss, started_at=began + number
                )
                store.add_trial(study.id, trial)
            store.finish_study(study.id, StudyStatus.FINISHED, best_loss=0.125)
        kept = TABLES[-1][0].ljust(64, "0")
        store.remembered.add_sample(SampleRecord(kept, 50, {}, b"PAR1"))
    return path


def numbers(path: Path, words: ListWords) -> list[tuple[str, int]]:
    return [(one.table_name, one.trial.number) for one in find_trials(path, words).rows]


def test_trials_are_of_the_newest_study_unless_narrowed(path: Path) -> None:
    """Nothing said: the newest study's, best first; a filter: every study's, newest first."""
    assert numbers(path, {}) == [("churn_b", 1), ("churn_b", 0), ("churn_b", 2)]
    assert numbers(path, {"n": 1}) == [("churn_b", 1)]
    assert numbers(path, {"learner": "network"}) == [("churn_b", 1), ("churn_a", 1)]
    assert numbers(path, {"since": "2026-01-01T00:00:02Z"})[-1] == ("churn_a", 2)
    every = find_trials(path, {}, is_of_all=True)
    assert [one.trial.number for one in every.rows] == [2, 1, 0, 2, 1, 0]
    assert every.study is None


def test_a_study_is_named_by_the_start_of_its_id(path: Path) -> None:
    """Then its trials are best first, filters or not, and the listing is of one study."""
    study = find_studies(path, {"table": "churn_a"}).rows[0].id
    assert numbers(path, {"study": study[:5]}) == [("churn_a", 1), ("churn_a", 0), ("churn_a", 2)]
    found = find_trials(path, {"study": study[:5], "learner": "linear"})
    assert [one.trial.number for one in found.rows] == [0, 2]
    assert trials_listing(found).sections[0].headings[0] == "trial"
    assert trials_listing(find_trials(path, {"n": 1}, is_of_all=True)).sections[0].headings[0] == (
        "study"
    )
    with pytest.raises(StoreError, match="no study's id"):
        find_trials(path, {"study": "zzzz1"})


def test_better_is_in_the_metrics_own_sign(path: Path) -> None:
    """More than an AUC, less than a log loss; the bound itself is not better."""
    assert numbers(path, {"metric": "auc", "better_than": 0.8}) == [("churn_a", 1)]
    assert numbers(path, {"metric": "auc", "better_than": 0.875}) == []
    assert numbers(path, {"table": "churn_b", "better_than": 0.2}) == [("churn_b", 1)]
    assert [
        one.name for one in find_studies(path, {"metric": "auc", "better_than": 0.8}).rows
    ] == ["churn_a"]
    tables = find_tables(path, {"table": "churn_b", "better_than": 0.2, "param": "depth=1"})
    assert [one.table.name for one in tables.rows] == ["churn_b"]
    assert not find_tables(path, {"table": "churn_b", "better_than": 0.2, "param": "depth=0"}).rows


@pytest.mark.parametrize(
    "words",
    [
        {"better_than": 0.5},
        {"sort": "score", "learner": "linear"},
        {"sort": "-best", "state": "pruned"},
    ],
)
def test_scores_of_several_metrics_are_not_compared(path: Path, words: ListWords) -> None:
    """A bound or an order by scores wants one metric, and the error names those there are."""
    with pytest.raises(OptionError, match=r"log_loss, roc_auc cannot be compared.*--metric"):
        find_trials(path, words)
    with pytest.raises(OptionError, match="--metric"):
        find_studies(path, words)


def test_scores_sort_in_their_own_sign(path: Path) -> None:
    """`score` rises, `best` is the best first whatever the sign; what has none is last."""
    assert [n for _, n in numbers(path, {"metric": "auc", "sort": "score"})] == [0, 1, 2]
    assert [n for _, n in numbers(path, {"metric": "auc", "sort": "-score"})] == [1, 0, 2]
    assert [n for _, n in numbers(path, {"metric": "log_loss", "sort": "score"})] == [1, 0, 2]
    assert [n for _, n in numbers(path, {"metric": "log_loss", "sort": "best"})] == [1, 0, 2]
    assert [n for _, n in numbers(path, {"sort": "-number"})] == [2, 1, 0]
    with pytest.raises(OptionError, match=r"--sort 'colour'.*best, score, started"):
        find_trials(path, {"sort": "colour"})
    with pytest.raises(OptionError, match="-n -1"):
        find_trials(path, {"n": -1})


def test_a_name_of_nothing_is_an_error_a_pattern_is_not(path: Path) -> None:
    """What is mistyped is said; what may match nothing lists nothing, and says so."""
    with pytest.raises(StoreError, match="did you mean churn_a"):
        find_trials(path, {"table": "churn_aa"})
    with pytest.raises(StoreError, match=r"no study of metric 'rmse': .* log_loss, roc_auc"):
        find_studies(path, {"metric": "rmse"})
    found = find_tables(path, {"table": "wine*"})
    assert tables_listing(found).is_empty
    assert found.nothing == "no table passes all of these"


def test_a_table_shows_what_is_kept_of_it(path: Path) -> None:
    """By its name or the start of its fingerprint: best scores, kept rows, newest studies."""
    view = view_table(path, "AB34EF")
    assert view.summary.table.name == "churn_b"
    text = table_listing(view).as_lines()
    assert "kept\t50 rows, names" in text
    assert "columns kept\tx, y" in text
    assert "log_loss\t0.1250" in text
    assert view.studies[0].id in text
    row = tables_listing(find_tables(path, {})).sections[0].rows[1]
    assert row[0] == "churn_a"
    assert "0.8750 roc_auc" in row
    assert "description" in row
    with pytest.raises(StoreError, match=r"may be several tables: .*ab12cd00 \(churn_a\)"):
        view_table(path, "churn*")


def test_frames_have_their_columns_with_and_without_rows(path: Path) -> None:
    """What is found is a frame of fixed columns and types, in the order found."""
    trials = trials_frame(find_trials(path, {}).rows)
    assert trials["score"].to_list() == [0.125, 0.25, None]
    assert trials["config"].str.json_path_match("$.depth").to_list() == ["1", "0", "2"]
    assert trials.schema == trials_frame(()).schema
    studies = studies_frame(find_studies(path, {}).rows)
    assert studies["score"].to_list() == [0.125, 0.875]
    assert studies.schema == studies_frame(()).schema
    tables = tables_frame(find_tables(path, {"sort": "name"}).rows)
    assert tables["n_kept_rows"].to_list() == [0, 50]
    assert tables.schema == tables_frame(()).schema


def test_priors_are_sorted_and_cut_as_other_lists(tmp_path: Path) -> None:
    """The newest first, with the one that comes with us; one is in use, gates are told."""
    place = tmp_path / "priors.db"
    with Store.open(place) as store:
        gates = {"has_passed": True, "own": {"n_better": 9}}
        for mark, name, parent in (("a", "first", None), ("b", "second", "a" * 64)):
            card = {"name": name}
            store.priors.add(PriorRecord(mark * 64, name, "networks", parent, card, gates))
        store.priors.promote(Promotion("networks", "b" * 64, "better on both"))
    found = find_priors(place, {"sort": "name"})
    assert [(one.name, one.is_in_use) for one in found] == [
        ("first", False),
        ("second", True),
        ("shipped", False),
    ]
    assert [one.name for one in find_priors(place, {"n": 2})] == ["second", "first"]
    assert [one.name for one in find_priors(place, {"since": "1d"})] == ["second", "first"]
    frame = priors_frame(found)
    assert frame["parent"].to_list() == [None, "first", None]
    assert frame["has_passed"].to_list() == [True, True, None]
    assert frame.schema == priors_frame([]).schema
    assert priors_listing(found).sections[0].rows[1][:4] == ("second", "b" * 12, "yes", "first")
    with pytest.raises(OptionError, match="made, name"):
        find_priors(place, {"sort": "loss"})


@pytest.mark.parametrize(
    ("noun", "columns"),
    [("studies", STUDY_ORDERS), ("trials", TRIAL_ORDERS), ("tables", TABLE_ORDERS)],
)
def test_the_help_names_the_columns(noun: str, columns: dict[str, object]) -> None:
    """`--sort` offers what there is to sort by."""
    from autometa.cli import cli

    group = cli.commands[noun]
    command = group.commands["list"]  # type: ignore[attr-defined] # a group
    text = next(one.help for one in command.params if one.name == "sort")
    named = text.split(";")[0].replace(" or ", ", ").split(", ")
    assert sorted(named) == sorted(sort_names(columns))
