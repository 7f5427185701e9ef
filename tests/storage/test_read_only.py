"""A user's own SQL: a SELECT is answered, whatever else is refused and changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from autometa.errors import StoreError
from autometa.records import TrialRecord, TrialState
from autometa.storage import Store
from autometa.storage.read_only import Answer


@pytest.fixture(name="asked")
def fixture_asked(path: Path, store: Store, study_id: str) -> Store:
    """A store in a file: what is refused is said in SQLite's words."""
    assert path.exists()
    for number in range(3):
        store.add_trial(
            study_id, TrialRecord(number, "linear", {}, TrialState.COMPLETE, number / 4)
        )
    return store


def test_rows_come_with_their_names_and_no_more_than_asked_for(asked: Store) -> None:
    """Whether there would be more is told; no two columns have one name."""
    query = "SELECT number, loss AS number, loss AS number FROM autometa_trials ORDER BY 1"
    assert asked.sql(query, 2) == Answer(
        ("number", "number_2", "number_3"), ((0, 0.0, 0.0), (1, 0.25, 0.25)), is_cut=True
    )
    assert asked.sql(query, 3).is_cut is False
    assert len(asked.sql(query).rows) == 3


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM autometa_trial",
        "DELETE FROM autometa_trials",
        "UPDATE autometa_study SET name = 'x'",
        "INSERT INTO autometa_setting VALUES ('a', 'b') RETURNING name",
        "WITH x AS (SELECT 1) DELETE FROM autometa_trial",
        "DROP VIEW autometa_trials",
        "CREATE TABLE x (a)",
        "CREATE TEMP TABLE x (a)",
        "ALTER TABLE autometa_trial RENAME TO y",
        "ATTACH 'other.db' AS other",
        "PRAGMA journal_mode=DELETE",
        "PRAGMA query_only=OFF",
        "PRAGMA user_version=7",
        "VACUUM",
        "VACUUM INTO 'copy.db'",
        "COMMIT",
        "SELECT load_extension('x')",
        "SELECT 1; DELETE FROM autometa_trial",
    ],
)
def test_what_is_no_look_is_refused(
    asked: Store, query: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one line that says so; the store is as it was, and nothing lies beside it."""
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    # what is no SQL of PostgreSQL's at all is not refused there, but not understood
    is_sqlite = asked.folder is not None
    said = "only reads, one SELECT" if is_sqlite else "only reads|must be one SELECT|cannot answer"
    with pytest.raises(StoreError, match=said) as caught:
        asked.sql(query)
    assert "\n" not in str(caught.value)
    assert len(asked.sql("SELECT * FROM autometa_trials").rows) == 3
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("query", "said"),
    [
        (
            "SELECT absent FROM autometa_trials",
            "no such column: absent|column .absent. does not exist",
        ),
        (
            "SELECT * FROM trials",
            "(no such table: trials|relation .trials. does not exist).*; its views are autometa_t",
        ),
        ("SELEC", "syntax error"),
        ("", "must be one SELECT"),
        ("-- nothing", "must be one SELECT"),
    ],
)
def test_what_cannot_be_answered_is_one_line(asked: Store, query: str, said: str) -> None:
    with pytest.raises(StoreError, match=said) as caught:
        asked.sql(query)
    assert "\n" not in str(caught.value)


def test_the_query_is_taken_as_it_stands(asked: Store) -> None:
    """Signs that elsewhere mark parameters mean themselves; one semicolon may end it."""
    assert asked.sql("SELECT ':a' LIKE '%a' AS x, '?' AS y;").rows == ((1, "?"),)


def test_a_store_may_be_looked_into(asked: Store, path: Path) -> None:
    """Columns of a view, and how a query is planned, are no secrets."""
    names = [row[1] for row in asked.sql("PRAGMA table_info(autometa_folds)").rows]
    assert names[:2] == ["study", "number"]
    assert asked.sql("EXPLAIN QUERY PLAN SELECT * FROM autometa_trials").rows


def test_a_writer_is_not_waited_for(asked: Store) -> None:
    """While another writes, the store answers with what was there before."""
    from autometa.storage.engine import writing

    with writing(asked._engine) as connection:
        connection.exec_driver_sql("DELETE FROM autometa_trial")
        assert len(asked.sql("SELECT * FROM autometa_trials").rows) == 3
        connection.rollback()
