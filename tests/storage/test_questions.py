"""Questions to a store: whatever is asked together, the answer is that of filtering in Python."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine, update

from autometa.errors import StoreError
from autometa.records import TrialRecord, TrialState
from autometa.spaces import Scalar
from autometa.storage import NewStudy, SampleRecord, Store, StudyStatus, TableRecord
from autometa.storage.filters import Filters
from autometa.storage.questions import STUDY_ORDERS, TABLE_ORDERS, TRIAL_ORDERS, Order
from autometa.storage.schema import StudyRow
from autometa.storage.setting_filters import OPERATORS, SettingFilter

START = datetime(2026, 3, 1, tzinfo=UTC)
NAMES = ("churn_a", "churn_b", "chUrn_a", "wine[1]", "100%_a")
LEARNERS = ("linear", "network", "forests")
METRICS = ("log_loss", "roc_auc")
# every type that JSON has, numbers that it has not, and texts that could be taken for others
VALUES: tuple[Scalar, ...] = (
    0, 1, 3, 0.5, 1e-7, -2.25, 2**60 + 1, math.inf, math.nan, True, False, None,
    "1", "true", "null", "", "a", "b", "Z", "ä", "NaN", "\U0001f600",
)  # fmt: skip
SETTINGS = ("depth", "learning_rate", "größe", "lr-1 (x)")
STATES = tuple(TrialState)
STATUSES = (StudyStatus.FINISHED, StudyStatus.FAILED, StudyStatus.RUNNING)

Pairs = list[tuple[NewStudy, str, datetime, StudyStatus, TrialRecord]]


class Filled:
    """A store, and all of its trials with their studies in Python; it has no long name."""

    def __init__(self, store: Store, pairs: Pairs) -> None:
        self.store, self.pairs = store, pairs


def trial_of(number: int, study: int) -> TrialRecord:
    """A trial whose facts go round at different paces, so that all meet each other."""
    at = 7 * number + 13 * study
    state = STATES[at % 4 and at % len(STATES)]
    config = {
        name: VALUES[(at * (i + 1) + i) % len(VALUES)]
        for i, name in enumerate(sorted(SETTINGS))
        if (at + i) % 5
    }
    return TrialRecord(
        number,
        LEARNERS[at % 3],
        config,
        state,
        (at * 37 % 100) / 100 if state is TrialState.COMPLETE else None,
        (0.25, 0.5) if state is TrialState.COMPLETE else (),
        duration_s=float(at % 11),
        started_at=(START + timedelta(days=study, hours=number)).timestamp(),
    )


@pytest.fixture(scope="module", name="filled")
def fixture_filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    """A store of five tables with two studies each."""
    path = tmp_path_factory.mktemp("questions") / "store.db"
    with Store.open(path) as store:
        yield Filled(store, fill(store))


def fill(store: Store) -> Pairs:
    pairs: Pairs = []
    for at, name in enumerate(NAMES):
        mark = f"{at}abcdef".ljust(64, "0")
        store.add_table(TableRecord(mark, name, 100 * at, 4, "y", "binary", 2, {}))
        for again in range(2):
            number = 2 * at + again
            new = NewStudy(mark, name, "k", METRICS[(at + again) % 2], 0, "cv5")
            study = store.start_study(new)
            trials = [trial_of(n, number) for n in range(8)]
            for trial in trials:
                store.add_trial(study.id, trial)
            status = STATUSES[number % 3]
            if status is not StudyStatus.RUNNING:
                store.finish_study(study.id, status)
            began = START + timedelta(days=number)
            redate(store, study.id, began)
            pairs += [(new, study.id, began, status, trial) for trial in trials]
    store.remembered.add_sample(SampleRecord(f"{0}abcdef".ljust(64, "0"), 50, {}, b"PAR1"))
    return pairs


def redate(store: Store, study_id: str, began: datetime) -> None:
    engine = create_engine(store.url)
    with engine.begin() as connection:
        connection.execute(
            update(StudyRow).where(StudyRow.id == study_id).values(created_at=began)
        )
    engine.dispose()


COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def likeness(value: Scalar) -> str:
    """What a value may be compared with; numbers that JSON lacks are like nothing else."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "null"
    if isinstance(value, bool):
        return f"bool {value}"
    return "text" if isinstance(value, str) else "number"


def holds(setting: SettingFilter, trial: TrialRecord) -> bool:
    if setting.name not in trial.config:
        return False
    value = trial.config[setting.name]
    is_like = likeness(value) == likeness(setting.value)
    is_equal = is_like and (likeness(value) not in ("text", "number") or value == setting.value)
    if setting.operator in ("=", "!="):
        return is_equal == (setting.operator == "=")
    return is_like and COMPARISONS[setting.operator](value, setting.value)


def is_table(asked: str | None, new: NewStudy) -> bool:
    if asked is None:
        return True
    if set(asked) & set("*?"):
        return fnmatchcase(new.name, asked.replace("[", "[[]"))
    return new.name == asked or (len(asked) >= 6 and new.table.startswith(asked.lower()))


def passes(filters: Filters, pair: Any, since: datetime | None) -> bool:
    """Whether one trial with its study and table passes; `since` is asked of its own moment."""
    new, study_id, _, status, trial = pair
    return (
        is_table(filters.table, new)
        and filters.study in (None, study_id)
        and (not filters.metrics or new.metric in filters.metrics)
        and (not filters.statuses or status in filters.statuses)
        and (not filters.learners or trial.learner in filters.learners)
        and (not filters.states or trial.state in filters.states)
        and (
            filters.loss_below is None
            or (trial.loss is not None and trial.loss < filters.loss_below)
        )
        and all(holds(setting, trial) for setting in filters.settings)
        and (filters.since is None or (since is not None and since >= filters.since))
    )


finite = [value for value in VALUES if not isinstance(value, float) or math.isfinite(value)]
orderable = [value for value in finite if likeness(value) in ("text", "number")]
settings = st.builds(SettingFilter, st.sampled_from(SETTINGS), st.just("="), st.none()).flatmap(
    lambda one: st.sampled_from(OPERATORS).flatmap(
        lambda sign: st.sampled_from(finite if sign in ("=", "!=") else orderable).map(
            lambda value: SettingFilter(one.name, sign, value)
        )
    )
)
some_filters = st.builds(
    Filters,
    table=st.none()
    | st.sampled_from([*NAMES, "churn*", "*_a", "wine[*", "100%*", "churn??", "0ABCDEF", "0ab"]),
    learners=st.sets(st.sampled_from(LEARNERS), max_size=2).map(tuple),
    metrics=st.sets(st.sampled_from(METRICS), max_size=1).map(tuple),
    states=st.sets(st.sampled_from(STATES), max_size=2).map(tuple),
    statuses=st.sets(st.sampled_from(STATUSES), max_size=2).map(tuple),
    since=st.none() | st.integers(-1, 11).map(lambda days: START + timedelta(days=days)),
    loss_below=st.none() | st.sampled_from([0.0, 0.3, 0.37, 1.0]),
    settings=st.lists(settings, max_size=2).map(tuple),
)


@given(filters=some_filters, limit=st.none() | st.integers(1, 5))
def test_filters_compose_as_in_python(filled: Filled, filters: Filters, limit: int | None) -> None:
    """Trials, studies and tables that pass are those that pass one by one, in their order."""
    store, pairs = filled.store, filled.pairs
    of_trials = [
        pair
        for pair in pairs
        if passes(filters, pair, datetime.fromtimestamp(pair[4].started_at, UTC))
    ]
    of_trials.sort(key=lambda pair: -pair[4].started_at)
    newest = Order("started", is_descending=True)
    found = store.questions.trials(filters, newest, limit)
    expected = [(pair[1], pair[4]) for pair in of_trials][:limit]
    assert repr([(one.study, one.trial) for one in found]) == repr(expected)

    of_studies = [pair for pair in pairs if passes(filters, pair, pair[2])]
    ids = list(dict.fromkeys(pair[1] for pair in reversed(of_studies)))
    summaries = store.questions.studies(filters, newest, limit)
    assert [one.id for one in summaries] == ids[:limit]

    prints = sorted({pair[0].table for pair in of_studies})
    tables = store.questions.tables(filters, Order("first"), None)
    assert sorted(one.table.fingerprint for one in tables) == prints


def test_what_has_no_value_comes_last(filled: Filled) -> None:
    """By loss either way, trials without one follow those that have one."""
    store, pairs = filled.store, filled.pairs
    losses = sorted(pair[4].loss for pair in pairs if pair[4].loss is not None)
    for is_descending in (False, True):
        found = store.questions.trials(Filters(), Order("loss", is_descending))
        got = [one.trial.loss for one in found]
        assert got[: len(losses)] == (losses[::-1] if is_descending else losses)
        assert set(got[len(losses) :]) == {None}


@pytest.mark.parametrize(
    ("noun", "column"),
    [
        *(("trials", name) for name in TRIAL_ORDERS),
        *(("studies", name) for name in STUDY_ORDERS),
        *(("tables", name) for name in TABLE_ORDERS),
    ],
)
def test_every_order_has_its_reverse(filled: Filled, noun: str, column: str) -> None:
    """Each column sorts, both ways list the same, and a limit takes the first."""
    ask = getattr(filled.store.questions, noun)

    def keys(order: Order, limit: int | None = None) -> list[object]:
        found = ask(Filters(), order, limit)
        if noun == "trials":
            return [(one.study, one.trial.number) for one in found]
        return [one.id if noun == "studies" else one.table.fingerprint for one in found]

    up = keys(Order(column))
    assert len(up) == len(set(up)) > 0
    assert set(keys(Order(column, is_descending=True))) == set(up)
    assert keys(Order(column), 3) == up[:3]


def test_settings_are_looked_for_beyond_the_first(store: Store, study_id: str) -> None:
    """What passes is found, though thousands that do not come before it in the order."""
    from autometa.storage import questions

    n = questions._N_TRIED + 5
    for number in range(n):
        config: dict[str, Scalar] = {"depth": 7 if number in (2, n - 1) else 1}
        store.add_trial(
            study_id, TrialRecord(number, "linear", config, TrialState.COMPLETE, number)
        )
    asked = Filters(settings=(SettingFilter("depth", "=", 7),))
    found = store.questions.trials(asked, Order("loss"), 5)
    assert [one.trial.number for one in found] == [2, n - 1]
    assert [one.trial.number for one in store.questions.trials(asked, Order("loss"), 1)] == [2]


def test_a_study_whose_process_is_gone_is_interrupted(path: Path, store: Store) -> None:
    """`running` is what a run is at, though the store says so of a killed one too."""
    new = NewStudy("f" * 64, "flowers", "k", "log_loss", 0, "cv5")
    held = store.start_study(new)
    with Store.open(path) as other:
        from autometa.storage import Owner

        gone = other.start_study(new, Owner("nowhere", 1, 0.0))
        redate_heartbeat(other, gone.id)
        ask = other.questions.studies
        order = Order("started")
        assert [s.id for s in ask(Filters(statuses=(StudyStatus.RUNNING,)), order)] == [held.id]
        interrupted = ask(Filters(statuses=(StudyStatus.INTERRUPTED,)), order)
        assert [(s.id, s.status) for s in interrupted] == [(gone.id, StudyStatus.INTERRUPTED)]


def redate_heartbeat(store: Store, study_id: str) -> None:
    engine = create_engine(store.url)
    with engine.begin() as connection:
        long_ago = update(StudyRow).where(StudyRow.id == study_id).values(heartbeat_at=START)
        connection.execute(long_ago)
    engine.dispose()


def test_a_table_is_summed_up(filled: Filled) -> None:
    """Its studies and trials are counted, its best is of each metric, its kept rows are told."""
    store, pairs = filled.store, filled.pairs
    mark = "0abcdef".ljust(64, "0")
    summary = store.questions.table_summary(mark)
    of_table = [pair for pair in pairs if pair[0].table == mark]
    assert (summary.n_studies, summary.n_trials, summary.n_kept_rows) == (2, 16, 50)
    assert summary.last_at == max(pair[2] for pair in of_table)
    for metric, group in itertools.groupby(of_table, key=lambda pair: pair[0].metric):
        losses = [pair[4].loss for pair in group if pair[4].loss is not None]
        assert summary.best_losses[metric] == min(losses)
    assert list(summary.best_losses) == ["roc_auc", "log_loss"]  # the newest study's first
    with pytest.raises(StoreError, match="autometa tables"):
        store.questions.table_summary("e" * 64)


def test_metrics_are_those_of_the_studies_that_pass(filled: Filled) -> None:
    """Whether scores can be compared is asked of studies, whatever is asked of trials."""
    ask = filled.store.questions.metrics
    assert ask(Filters(learners=("nobody",))) == ["log_loss", "roc_auc"]
    assert ask(Filters(metrics=("roc_auc",))) == ["roc_auc"]
    assert ask(Filters(table="absent*")) == []


def test_a_list_uses_the_narrow_index(filled: Filled) -> None:
    """Trials are passed over without reading their configs, unless a setting is asked for."""
    engine = create_engine(filled.store.url)
    with engine.connect() as connection:
        query = "SELECT id FROM autometa_trial WHERE learner = 'x' ORDER BY loss LIMIT 10"
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}").all()
    engine.dispose()
    assert "COVERING INDEX ix_autometa_trial_facts" in str(plan)
