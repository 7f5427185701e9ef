"""Histories from Optuna storages of every kind, which stay as they were."""

from __future__ import annotations

import hashlib
import math
import sqlite3
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from autometa.errors import HistoryError
from autometa.search.histories.optuna_studies import read_studies

START = datetime(2026, 1, 1)


def trial(
    x: float,
    value: float | None,
    state: TrialState = TrialState.COMPLETE,
    steps: dict[int, float] | None = None,
    high: float = 1.0,
) -> FrozenTrial:
    made = optuna.trial.create_trial(
        state=state,
        value=value,
        params={"x": x},
        distributions={"x": FloatDistribution(0.0, high)},
        intermediate_values=steps,
    )
    made.datetime_start, made.datetime_complete = START, START + timedelta(seconds=2)
    return made


def fill(storage: BaseStorage) -> None:
    """A study that is maximised, one that is minimised, and one of two objectives."""
    up = optuna.create_study(storage=storage, study_name="up", direction="maximize")
    up.set_user_attr("family", "kin")
    up.set_user_attr("n_rows", 150)
    up.set_user_attr("is_new", True)
    up.set_user_attr("note", "text")
    up.add_trial(trial(0.1, 0.5, steps={1: 0.2, 2: 0.4}))
    up.add_trial(trial(0.2, 0.9, steps={1: 0.3, 2: 0.8}))
    up.add_trial(trial(0.3, None, TrialState.PRUNED, steps={1: 0.1}))
    up.add_trial(trial(0.4, None, TrialState.PRUNED))
    up.add_trial(trial(0.5, None, TrialState.FAIL))
    up.ask()
    down = optuna.create_study(storage=storage, study_name="down")
    down.add_trial(trial(1.5, 3.0, high=2.0))
    down.add_trial(
        optuna.trial.create_trial(
            value=1.0,
            params={"kind": "b", "n": 3},
            distributions={
                "kind": CategoricalDistribution(["a", "b", None]),
                "n": IntDistribution(1, 9),
            },
        )
    )
    down.add_trial(optuna.trial.create_trial(value=math.inf, params={}, distributions={}))
    optuna.create_study(storage=storage, study_name="both", directions=["minimize", "maximize"])
    optuna.create_study(storage=storage, study_name="empty")


def sqlite_file(path: Path) -> None:
    storage = RDBStorage(f"sqlite:///{path}")
    fill(storage)
    storage.remove_session()
    storage.engine.dispose()


@pytest.fixture(params=["memory", "sqlite url", "sqlite path", "journal"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> str | Path | BaseStorage:
    """A filled storage as a user may name it, under a name that a URL would not take as it is."""
    path = tmp_path / "old studies #1.db"
    if request.param == "memory":
        memory = InMemoryStorage()
        fill(memory)
        return memory
    if request.param == "journal":
        fill(JournalStorage(JournalFileBackend(str(path))))
        return str(path)
    sqlite_file(path)
    return path if request.param == "sqlite path" else f"sqlite:///{path}"


def test_every_storage_gives_the_same_history(storage: str | Path | BaseStorage) -> None:
    """Signs are turned, failures have no loss, and pruned trials rank as when they ended."""
    history = read_studies(storage)
    up, down = history.tasks
    assert (up.name, up.family, dict(up.description)) == ("up", "kin", {"n_rows": 150.0})
    # the third was worst at step 1, so it gets the worst loss; the fourth cannot be judged
    assert [config["x"] for config in up.configs] == [0.1, 0.2, 0.3, 0.5]
    np.testing.assert_array_equal(up.losses, [-0.5, -0.9, -0.5, np.nan])
    assert up.costs_s is not None
    np.testing.assert_array_equal(up.costs_s, [2.0, 2.0, np.nan, 2.0])
    first, *_, last = up.curves
    assert first is not None
    assert last is None
    np.testing.assert_array_equal(first.steps, [1.0, 2.0])
    np.testing.assert_array_equal(first.losses, [-0.2, -0.4])
    assert [dict(config) for config in down.configs] == [{"x": 1.5}, {"kind": "b", "n": 3}]
    np.testing.assert_array_equal(down.losses, [3.0, 1.0])
    assert down.curves == ()
    assert history.distributions == {
        "x": FloatDistribution(0.0, 2.0),
        "kind": CategoricalDistribution(["a", "b", None]),
        "n": IntDistribution(1, 9),
    }
    assert "2 Optuna studies" in history.source
    assert "1 of several objectives left out" in history.source


def test_studies_can_be_chosen_by_name(tmp_path: Path) -> None:
    """Only the named studies are read; a name that is not there is said."""
    sqlite_file(tmp_path / "old.db")
    history = read_studies(tmp_path / "old.db", names=["down"])
    assert [task.name for task in history.tasks] == ["down"]
    with pytest.raises(HistoryError, match=r"no study 'sideways'; it has \['both', 'down'"):
        read_studies(tmp_path / "old.db", names=["sideways"])


@pytest.mark.parametrize("kind", ["sqlite", "journal"])
def test_nothing_is_written(kind: str, tmp_path: Path) -> None:
    """The file and its folder are the same afterwards, to the byte."""
    path = tmp_path / "old.db"
    if kind == "journal":
        fill(JournalStorage(JournalFileBackend(str(path))))
    else:
        sqlite_file(path)
    before = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in tmp_path.iterdir()}
    path.chmod(0o444)
    read_studies(path)
    after = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in tmp_path.iterdir()}
    assert after == before


def test_a_trial_that_broke_a_constraint_has_failed() -> None:
    """What is not allowed is no example, however good its value."""
    study = optuna.create_study()
    for bound in (-1.0, 0.0, 0.5):
        asked = study.ask({"x": FloatDistribution(0.0, 1.0)})
        asked.set_constraint("memory", bound)
        study.tell(asked, 1.0)
    (task,) = read_studies(study._storage).tasks
    np.testing.assert_array_equal(task.losses, [1.0, 1.0, np.nan])


@pytest.mark.parametrize("content", [b"", b"text\n", b"{}\n", b"SQLite format 3\0", None])
def test_what_is_no_storage_is_said(content: bytes | None, tmp_path: Path) -> None:
    """A file of something else, or none at all, is refused and not made."""
    path = tmp_path / "other.db"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(HistoryError, match=r"other\.db"):
        read_studies(path)
    assert [p.name for p in tmp_path.iterdir()] == ([] if content is None else ["other.db"])


def test_a_database_of_something_else_is_said(tmp_path: Path) -> None:
    """A SQLite file without Optuna's tables stays without them."""
    path = tmp_path / "mine.db"
    with sqlite3.connect(path) as connection:
        connection.execute("create table mine (a int)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(HistoryError, match="Optuna storage"):
        read_studies(f"sqlite:///{path}")
    assert path.read_bytes() == before
    with pytest.raises(HistoryError):
        read_studies("nosuch://place")


def test_what_optuna_would_write_on_opening_is_refused(tmp_path: Path) -> None:
    """A database that lost the mark of its version is not given a new one."""
    path = tmp_path / "old.db"
    sqlite_file(path)
    with sqlite3.connect(path) as connection:
        connection.execute("delete from alembic_version")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(HistoryError, match="readonly"):
        read_studies(path)
    assert path.read_bytes() == before
