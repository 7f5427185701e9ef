"""What the models of a table's kin are made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from autometa.records import TrialRecord, TrialState
from autometa.search.proven_configs import ProvenConfig
from autometa.storage import ModelRecord, NewStudy, Store, TableRecord
from autometa.studies.kin import KIN, MOST_PROVEN, Newcomer, find_proven

NEWCOMER = Newcomer({}, "binary", 200)


def _add_table(store: Store, mark: str, kind: str = "binary", n_rows: int = 100) -> str:
    store.add_table(TableRecord(mark * 64, f"table {mark}", n_rows, 4, "y", kind, 2, {}))
    return mark * 64


def _add_study(
    store: Store,
    table: str,
    losses: Sequence[float],
    shares: Sequence[float] = (),
    learner: str = "linear",
    seconds: float = 1.0,
) -> str:
    """A study with a trial of each loss, and a model of the first ones if there are shares."""
    study = store.start_study(NewStudy(table, "study", table[:1], "auc", 0, "5-fold")).id
    for number, loss in enumerate(losses):
        trial = TrialRecord(number, learner, {"penalty": loss}, TrialState.COMPLETE, loss)
        store.add_trial(study, replace(trial, duration_s=seconds))
    if shares:
        members = tuple({"trial": at, "weight": share} for at, share in enumerate(shares))
        store.add_model(ModelRecord(study, "model", {}, members))
    return study


def _find(
    store: Store, similarities: dict[str, float], newcomer: Newcomer = NEWCOMER
) -> list[ProvenConfig]:
    return find_proven(store, list(store.past_studies()), similarities, newcomer)


@pytest.fixture(name="store")
def fixture_store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store.db") as store:
        yield store


def test_members_come_by_share_and_similarity(store: Store) -> None:
    """A light member of the nearest table before a heavy one of a table far enough off."""
    near, far = _add_table(store, "a"), _add_table(store, "b")
    _add_study(store, near, (0.1, 0.2), (0.4, 0.6))
    _add_study(store, far, (0.3, 0.4), (0.52, 0.48))
    found = _find(store, {near: 1.0, far: 0.75})
    assert [dict(one.config) for one in found] == [
        {"penalty": 0.2},
        {"penalty": 0.1},  # .4 beside .52 * .75 = .39
        {"penalty": 0.3},
        {"penalty": 0.4},
    ]
    assert [one.table for one in found] == ["table a", "table a", "table b", "table b"]
    assert [one.number for one in found] == [1, 0, 0, 1]


def test_what_several_models_have_weighs_more(store: Store) -> None:
    """.3 and .3 are more than .5."""
    one, other = _add_table(store, "a"), _add_table(store, "b")
    _add_study(store, one, (0.1, 0.2), (0.5, 0.3))
    _add_study(store, other, (0.7, 0.2), (0.1, 0.3))
    assert dict(_find(store, {one: 1.0, other: 1.0})[0].config) == {"penalty": 0.2}


def test_only_kin_counts(store: Store) -> None:
    """Tables less similar, and those with a target of another kind, are not."""
    far, values = _add_table(store, "a"), _add_table(store, "b", kind="regression")
    for table in (far, values):
        _add_study(store, table, (0.1,), (1.0,))
    assert _find(store, {far: KIN - 0.01, values: 1.0}) == []
    assert len(_find(store, {far: KIN, values: 1.0})) == 1


def test_the_newest_study_with_a_model_speaks_for_its_table(store: Store) -> None:
    """An earlier one is not listened to any more."""
    table = _add_table(store, "a")
    _add_study(store, table, (0.1,), (1.0,))
    _add_study(store, table, (0.2,), (1.0,))
    assert [dict(one.config) for one in _find(store, {table: 1.0})] == [{"penalty": 0.2}]


def test_a_study_without_a_model_gives_its_best_trials(store: Store) -> None:
    """One of each learner, the best one first."""
    table = _add_table(store, "a")
    study = _add_study(store, table, (0.5, 0.3, 0.4))
    store.add_trial(study, TrialRecord(3, "forests", {}, TrialState.COMPLETE, 0.2))
    store.add_trial(study, TrialRecord(4, "neighbors", {}, TrialState.FAILED))
    found = _find(store, {table: 1.0})
    assert [(one.learner, one.number) for one in found] == [("forests", 3), ("linear", 1)]


def test_no_more_is_proven_than_the_budget_may_try(store: Store) -> None:
    """Seconds grow with the rows: of 2 s on half the rows two fit into half of 20 s."""
    table = _add_table(store, "a", n_rows=100)
    _add_study(store, table, (0.1, 0.2, 0.3), (0.5, 0.3, 0.2), seconds=2.0)
    newcomer = Newcomer({}, "binary", 200, budget_s=20.0)
    assert [one.number for one in _find(store, {table: 1.0}, newcomer)] == [0, 1]
    assert len(_find(store, {table: 1.0})) == 3  # no clock
    assert _find(store, {table: 1.0}, Newcomer({}, "binary", 200, budget_s=10.0)) == []


def test_no_more_than_so_many_are_proven(store: Store) -> None:
    """The rest of the study is for what may be better."""
    table = _add_table(store, "a")
    n = MOST_PROVEN + 3
    _add_study(store, table, [0.1 * at for at in range(n)], [1.0 / n] * n)
    assert len(_find(store, {table: 1.0})) == MOST_PROVEN
