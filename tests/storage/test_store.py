"""Studies in the store: starting, resuming, leases, listing, models and proposals."""

from __future__ import annotations

import multiprocessing
import sqlite3
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autometa.errors import StoreError
from autometa.records import TrialRecord, TrialState
from autometa.storage import (
    ModelRecord,
    NewStudy,
    Owner,
    ProposalRecord,
    Store,
    StudyStatus,
    TableRecord,
)
from autometa.storage.encoding import config_hash, from_json, to_json
from autometa.storage.leases import LEASE_S, LeaseLostError, new_owner
from autometa.storage.paths import data_folder, default_store

ELSEWHERE = Owner("another-machine", 1, 0.0)


def ended_process() -> Owner:
    """A process of this machine that is no more."""
    process = multiprocessing.get_context("spawn").Process(target=int)
    process.start()
    process.join()
    assert process.pid is not None
    return replace(new_owner(), pid=process.pid)


def test_a_table_is_added_once_and_its_description_renewed(
    store: Store, table: TableRecord
) -> None:
    """A known fingerprint keeps its row; only a newer description replaces the old one."""
    store.add_table(replace(table, name="other", description={"x": 1.0}))
    assert store.find_table(table.fingerprint) == table
    store.add_table(replace(table, description={"x": 1.0}, description_version=2))
    renewed = store.find_table(table.fingerprint)
    assert renewed == replace(table, description={"x": 1.0}, description_version=2)
    assert store.find_table("0") is None


def test_a_study_comes_back_as_it_was_started(store: Store, new_study: NewStudy) -> None:
    """Every field given is kept; times are aware and in UTC; this store's owner holds it."""
    study = store.start_study(replace(new_study, workspace="w", baseline_loss=1.5))
    assert store.find_study(study.id) == study
    assert study.options == new_study.options
    assert (study.status, study.workspace) == (StudyStatus.RUNNING, "w")
    assert study.baseline_loss == 1.5
    assert study.created_at.tzinfo is UTC
    assert abs(datetime.now(UTC) - study.created_at) < timedelta(minutes=1)
    assert study.owner == store.owner


def test_a_study_needs_its_table(store: Store, new_study: NewStudy) -> None:
    """A study of an unknown table is refused."""
    with pytest.raises(StoreError, match="no table '0'"):
        store.start_study(replace(new_study, table="0"))


def test_only_an_unfinished_study_of_the_same_key_resumes(
    store: Store, new_study: NewStudy
) -> None:
    """The newest one that is running or interrupted, and has its working files here."""
    assert store.find_resumable(new_study.key) is None
    first, second = store.start_study(new_study), store.start_study(new_study)
    store.start_study(replace(new_study, key="0" * 64))
    store.start_study(replace(new_study, workspace=None))
    assert store.find_resumable(new_study.key) == second
    store.finish_study(second.id, StudyStatus.FINISHED)
    store.finish_study(first.id, StudyStatus.INTERRUPTED)
    found = store.find_resumable(new_study.key)
    assert found is not None
    assert found.id == first.id
    store.finish_study(first.id, StudyStatus.FAILED)
    assert store.find_resumable(new_study.key) is None


def test_two_processes_never_hold_one_study(store: Store, new_study: NewStudy) -> None:
    """A held study is refused; once given back or ended it can be claimed, and then runs."""
    study = store.start_study(new_study)
    with pytest.raises(StoreError, match="is being run by process"):
        store.claim_study(study.id, ELSEWHERE)
    store.release(study.id, ELSEWHERE)  # not its own: nothing happens
    with pytest.raises(StoreError, match="is being run by process"):
        store.claim_study(study.id, ELSEWHERE)
    store.claim_study(study.id)  # its own again
    store.finish_study(study.id, StudyStatus.INTERRUPTED)
    store.claim_study(study.id, ELSEWHERE)
    claimed = store.find_study(study.id)
    assert (claimed.owner, claimed.status) == (ELSEWHERE, StudyStatus.RUNNING)
    assert claimed.finished_at is None
    with pytest.raises(LeaseLostError, match="no longer this run's"):
        store.heartbeat(study.id)


def test_a_dead_process_holds_nothing(store: Store, new_study: NewStudy) -> None:
    """The study of a process that was killed can be claimed at once, and shows as interrupted."""
    study = store.start_study(new_study, owner=ended_process())
    assert store.studies()[0].status is StudyStatus.INTERRUPTED
    store.claim_study(study.id)
    assert store.studies()[0].status is StudyStatus.RUNNING


def test_two_runs_in_one_process_never_hold_one_study(
    store: Store, database: str, new_study: NewStudy
) -> None:
    """Each thread that opens the store for itself is a stranger to the others, as a process is."""
    study = store.start_study(new_study)
    with Store.open(database) as other:
        with pytest.raises(StoreError, match="is being run by process"):
            other.claim_study(study.id)
        with pytest.raises(LeaseLostError):
            other.heartbeat(study.id)
        assert not other.finish_study(study.id, StudyStatus.FAILED)
    store.heartbeat(study.id)


def test_a_silent_process_of_this_machine_keeps_its_study(
    store: Store, database: str, new_study: NewStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the process can be seen to live, no silence (a suspended laptop's) ends its lease."""
    study = store.start_study(new_study)
    late = datetime.now(UTC) + timedelta(seconds=100 * LEASE_S)
    monkeypatch.setattr("autometa.storage.leases.utc_now", lambda: late)
    with Store.open(database) as other, pytest.raises(StoreError, match="is being run by process"):
        other.claim_study(study.id)


def test_a_killed_process_that_nobody_waited_for_holds_nothing(
    store: Store, new_study: NewStudy
) -> None:
    """A zombie still has its pid, and yet will never go on."""
    process = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(600,))
    process.start()
    assert process.pid is not None
    seen = psutil.Process(process.pid)
    owner = replace(new_owner(), pid=process.pid, started_at=seen.create_time())
    study = store.start_study(new_study, owner=owner)
    with pytest.raises(StoreError, match="is being run by process"):
        store.claim_study(study.id)
    process.kill()
    until = time.monotonic() + 30
    while seen.status() != psutil.STATUS_ZOMBIE and time.monotonic() < until:
        time.sleep(0.01)
    store.claim_study(study.id)
    process.join()


def test_a_silent_process_loses_its_study(
    store: Store, new_study: NewStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another machine's study is free after the lease; a heartbeat in time renews it."""
    study = store.start_study(new_study, owner=ELSEWHERE)
    late = datetime.now(UTC) + timedelta(seconds=LEASE_S + 1)
    with pytest.raises(StoreError, match="another-machine"):
        store.claim_study(study.id)
    with monkeypatch.context() as clock:
        clock.setattr("autometa.storage.leases.utc_now", lambda: late)
        store.heartbeat(study.id, ELSEWHERE)
        with pytest.raises(StoreError, match="another-machine"):
            store.claim_study(study.id)
        clock.setattr("autometa.storage.leases.utc_now", lambda: late + timedelta(LEASE_S))
        store.claim_study(study.id)


def test_studies_are_found_by_the_start_of_their_id(store: Store, new_study: NewStudy) -> None:
    """A prefix that fits one study is enough; otherwise the error names the candidates."""
    ids = {store.start_study(new_study).id for _ in range(20)}
    for study_id in ids:
        length = next(
            n for n in range(1, 9) if sum(other.startswith(study_id[:n]) for other in ids) == 1
        )
        assert store.find_study(study_id[:length].upper()).id == study_id
    with pytest.raises(StoreError, match=r"starts the ids of several studies: \w+ \(flowers\), "):
        store.find_study("")
    with pytest.raises(StoreError, match="no study's id starts with '%'"):
        store.find_study("%")


def test_the_list_of_studies_says_how_each_went(store: Store, new_study: NewStudy) -> None:
    """Counts by state, best loss, table, newest first; by table, by time, so many."""
    study = store.start_study(new_study)
    states = [TrialState.COMPLETE, TrialState.COMPLETE, TrialState.PRUNED, TrialState.CRASHED]
    for number, state in enumerate(states):
        loss = 0.5 - 0.1 * number if state is TrialState.COMPLETE else None
        store.add_trial(study.id, TrialRecord(number, "linear", {}, state, loss))
    newer = store.start_study(replace(new_study, name="again"))
    again, summary = store.studies()
    assert (again.id, again.n_trials, again.best_loss) == (newer.id, {}, None)
    assert summary.n_trials == {
        TrialState.COMPLETE: 2,
        TrialState.PRUNED: 1,
        TrialState.CRASHED: 1,
    }
    assert (summary.best_loss, summary.table_name) == (0.4, "flowers")
    assert summary.duration_s >= 0.0
    assert [found.id for found in store.studies(limit=1)] == [newer.id]
    assert len(store.studies(table="flowers")) == len(store.studies(table="fff")) == 2
    assert store.studies(table="trees") == []
    assert [found.id for found in store.studies(since=newer.created_at)] == [newer.id]


def test_finishing_keeps_what_is_not_said(store: Store, new_study: NewStudy) -> None:
    """A loss not given stays; the study is given back; an unknown study is an error."""
    study = store.start_study(replace(new_study, baseline_loss=1.5))
    store.finish_study(study.id, StudyStatus.FINISHED, best_loss=0.25)
    ended = store.find_study(study.id)
    assert (ended.baseline_loss, ended.best_loss, ended.owner) == (1.5, 0.25, None)
    assert ended.finished_at is not None
    assert store.studies()[0].best_loss == 0.25
    with pytest.raises(StoreError, match="no study"):
        store.finish_study("nowhere", StudyStatus.FINISHED)


def test_models_and_proposals_come_back(store: Store, study_id: str) -> None:
    """As they were given: models newest first, proposals in their order."""
    older = ModelRecord(study_id, "a", {"loss": 0.5, "test": None}, ({"trial": 1, "weight": 1.0},))
    newer = ModelRecord(study_id, "b", created_at=older.created_at + timedelta(seconds=1))
    store.add_model(older)
    store.add_model(newer)
    assert store.models(study_id) == [newer, older]
    proposals = [ProposalRecord(study_id, "config", {"rank": i}, "default") for i in range(3)]
    store.add_proposals(proposals)
    assert store.proposals(study_id) == proposals
    with pytest.raises(StoreError, match="no study"):
        store.add_model(replace(older, study_id="nowhere"))
    with pytest.raises(StoreError, match="no study"):
        store.add_proposals([proposals[0], replace(proposals[0], study_id="nowhere")])
    assert store.proposals(study_id) == proposals


def test_a_store_stays_open_to_others(store: Store, database: str, study_id: str) -> None:
    """A second store on the same database reads and writes while the first is open."""
    with Store.open(database) as other:
        other.add_trial(study_id, TrialRecord(0, "linear", {}, TrialState.PRUNED))
    assert len(store.trials(study_id)) == 1


def test_the_default_store_is_in_the_data_folder_unless_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """AUTOMETA_STORE says where; without it the platform does."""
    monkeypatch.delenv("AUTOMETA_STORE", raising=False)
    assert default_store() == str(data_folder() / "store.db")
    monkeypatch.setenv("AUTOMETA_STORE", str(tmp_path / "deep" / "mine.db"))
    with Store.open() as store:
        assert store.shown_url == str(tmp_path / "deep" / "mine.db")
        assert store.folder == tmp_path / "deep"


@given(st.dictionaries(st.text(), st.integers() | st.floats(allow_nan=False) | st.text()))
def test_equal_configs_have_equal_texts_and_hashes(config: dict[str, int | float | str]) -> None:
    """The order of settings does not matter, and the text comes back as the same config."""
    turned = dict(reversed(config.items()))
    assert to_json(turned) == to_json(config)
    assert config_hash("linear", turned) == config_hash("linear", config)
    assert config_hash("linear", config) != config_hash("network", config)
    assert from_json(to_json(config)) == config


def test_only_the_owner_finishes_a_study(store: Store, new_study: NewStudy) -> None:
    """A process that lost its lease cannot end the study of the one that took it over."""
    study = store.start_study(new_study)
    other = Owner("elsewhere", 1, 1.0)
    assert not store.finish_study(study.id, StudyStatus.FAILED, owner=other)
    assert store.find_study(study.id).status is StudyStatus.RUNNING
    assert store.finish_study(study.id, StudyStatus.FINISHED)
    assert store.find_study(study.id).status is StudyStatus.FINISHED
    # one that lost its lease and heard of it late
    assert not store.finish_study(study.id, StudyStatus.INTERRUPTED, owner=other)
    assert store.find_study(study.id).status is StudyStatus.FINISHED


def test_an_abandoned_study_ended_when_it_was_last_touched(
    store: Store, new_study: NewStudy
) -> None:
    """Giving an old study up does not make it look as if it had run until now."""
    study = store.start_study(new_study)
    store.claim_study(study.id)
    assert store.abandon_study(study.id)
    ended = store.find_study(study.id)
    assert (ended.status, ended.finished_at) == (StudyStatus.FAILED, study.updated_at)
    assert store.find_resumable(new_study.key) is None


def test_a_store_that_only_is_looked_at_is_not_made(tmp_path: Path, path: Path) -> None:
    """With `is_made=False` a missing file and a foreign database are refused and left alone."""
    with pytest.raises(StoreError, match="no store at"):
        Store.open(tmp_path / "deep" / "typo.db", is_made=False)
    assert not (tmp_path / "deep").exists()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE theirs (x INTEGER)")
    connection.close()
    with pytest.raises(StoreError, match="no store at"):
        Store.open(path, is_made=False)
    with sqlite3.connect(path) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master").fetchall()
    connection.close()
    assert tables == [("theirs",)]
    Store.open(tmp_path / "new.db").close()
    Store.open(tmp_path / "new.db", is_made=False).close()


def test_a_table_is_forgotten_with_all_its_studies(
    store: Store, new_study: NewStudy, table: TableRecord
) -> None:
    """Nothing of it stays, and everything of others does; not while a run is at it."""
    other = replace(table, fingerprint="a" * 64, name="other")
    store.add_table(other)
    kept = store.start_study(replace(new_study, table=other.fingerprint))
    gone = store.start_study(new_study)
    for study in (kept, gone):
        store.add_trial(study.id, TrialRecord(0, "linear", {}, TrialState.COMPLETE, 0.5, (0.5,)))
        store.add_proposals([ProposalRecord(study.id, "why", {"number": 0}, "portfolio")])
    with pytest.raises(StoreError, match="end it first"):
        store.forget_table(table.fingerprint)
    store.finish_study(gone.id, StudyStatus.FINISHED)
    assert [study.id for study in store.forget_table(table.fingerprint)] == [gone.id]
    assert [one.name for one in store.tables()] == ["other"]
    assert [one.id for one in store.studies()] == [kept.id]
    assert len(store.trials(kept.id)) == len(store.proposals(kept.id)) == 1
    with pytest.raises(StoreError):
        store.trials(gone.id)
    assert not store.check()
    assert not store.forget_table(table.fingerprint)


def test_names_that_are_no_text_are_kept_as_text(store: Store, table: TableRecord) -> None:
    """What a file system allows and databases refuse is written as escapes."""
    odd = replace(table, fingerprint="a" * 64, name="caf\udce9.csv", target="a\0b")
    store.add_table(odd)
    kept = store.find_table(odd.fingerprint)
    assert kept == replace(odd, name="caf\\udce9.csv", target="a\\x00b")
