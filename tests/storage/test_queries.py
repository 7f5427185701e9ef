"""A user's own query becomes a frame, and changes nothing."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import polars as pl
import pytest

from autometa.errors import TableError
from autometa.storage.queries import read_query


@pytest.fixture(name="source")
def fixture_source(tmp_path: Path) -> str:
    path = tmp_path / "source.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (n INTEGER, x REAL, word TEXT, mixed)")
        rows = [(1, 0.5, "a%", 1), (2, None, "b", "two"), (None, 1.5, None, 3.0)]
        connection.executemany("INSERT INTO t VALUES (?, ?, ?, ?)", rows)
    connection.close()
    return f"sqlite:///{path}"


def test_rows_become_typed_columns(source: str) -> None:
    """Numbers stay numbers, missing cells null; cells of several types become text."""
    frame = read_query(source, "SELECT * FROM t ORDER BY rowid")
    assert frame.schema == {
        "n": pl.Int64,
        "x": pl.Float64,
        "word": pl.String,
        "mixed": pl.String,
    }
    assert frame.rows()[:2] == [(1, 0.5, "a%", "1"), (2, None, "b", "two")]


def test_a_percent_sign_is_a_percent_sign(source: str) -> None:
    """The query is passed as it stands."""
    frame = read_query(source, "SELECT n FROM t WHERE word LIKE 'a%%' OR word LIKE '%b'")
    assert frame["n"].to_list() == [1, 2]


def test_no_rows_keep_their_columns(source: str) -> None:
    """An empty answer is a frame of no rows; a plain path will do for the URL."""
    frame = read_query(source.removeprefix("sqlite:///"), "SELECT n, x FROM t WHERE n > 9")
    assert (frame.columns, len(frame)) == (["n", "x"], 0)


def test_nothing_is_changed(source: str) -> None:
    """A statement that is no SELECT is undone and refused."""
    with pytest.raises(TableError, match="must be a SELECT"):
        read_query(source, "DELETE FROM t")
    assert len(read_query(source, "SELECT * FROM t")) == 3


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT absent FROM t", "no such column"),
        ("SELEC", "syntax error"),
        ("SELECT n, x AS n FROM t", "same name"),
        ("SELECT CAST(x AS BLOB) AS b FROM t", "binary"),
    ],
)
def test_a_bad_query_is_one_line(source: str, query: str, said: str) -> None:
    """What the database says, as an error the user can mend."""
    with pytest.raises(TableError, match=said) as caught:
        read_query(source, query)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("url", ["sqlite:////nowhere/at/all.db", "nonsense://x", "a/b.db", "://"])
def test_a_bad_url_is_one_line(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistyped path makes no database, an unknown kind says so."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TableError) as caught:
        read_query(url, "SELECT 1")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
