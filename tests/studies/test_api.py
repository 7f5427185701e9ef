"""The words of `autometa.tune` become checked options."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import polars as pl
import pytest

from autometa.cli import cli
from autometa.errors import OptionError
from autometa.studies.api import TuneWords, options_from, reading_options
from autometa.studies.options import TuneOptions
from autometa.studies.sources import open_source, title_of
from autometa.tables._base import TaskKind


def test_no_words_give_the_defaults() -> None:
    """Saying nothing is the same as the options' own defaults."""
    assert options_from({}) == TuneOptions()


def test_words_become_options() -> None:
    """Durations and sizes are read, names become tuples, tasks become kinds."""
    options = options_from(
        {
            "target": "y",
            "task": "binary",
            "time": "1m30s",
            "memory": "2G",
            "jobs": 2,
            "categorical": ["a", "b"],
            "drop": "id",
            "time_column": "when",
            "output": "out",
            "prior": False,
            "fresh": True,
            "delimiter": ";",
            "header": False,
        }
    )
    assert options.time_s == 90.0
    assert options.memory_mb == 2048.0
    assert options.n_jobs == 2
    assert options.table.target == "y"
    assert options.table.kind is TaskKind.BINARY
    assert options.table.categorical == ("a", "b")
    assert options.table.drop == ("id",)
    assert options.table.time == "when"
    assert options.output == Path("out")
    assert not options.use_prior
    assert options.is_fresh
    assert options.reading == reading_options({"delimiter": ";", "header": False})


def test_a_mistyped_word_is_refused() -> None:
    """An unknown word is an error that names the nearest known one."""
    words: TuneWords = {"metrik": "rmse"}  # type: ignore[typeddict-unknown-key]  # pyright: ignore[reportAssignmentType]  # the fault under test
    with pytest.raises(OptionError, match=r"'metrik'.*metric"):
        options_from(words)


def test_an_unknown_task_is_refused() -> None:
    """A task that is not one of the three is an error that names them."""
    with pytest.raises(OptionError, match="binary, multiclass or regression"):
        options_from({"task": "clustering"})


def test_python_and_command_line_have_the_same_words() -> None:
    """Each word of `autometa.tune` is an option of `autometa tune` and the other way round."""
    flags = {parameter.name for parameter in cli.commands["tune"].params}
    # --time is repeatable on the command line; the start of the process is nobody's to say
    flags = (flags - {"times", "data", "sql", "is_quiet", "as_json"}) | {"time", "started_at"}
    assert flags == TuneWords.__optional_keys__


def test_one_source_is_wanted() -> None:
    """Rows come from a file or from a query, not from both or none."""
    assert open_source("x.csv", None) == "x.csv"
    for data, sql in ((None, None), ("x.csv", ("sqlite://", "select 1"))):
        with pytest.raises(OptionError, match="either DATA"):
            open_source(data, sql)


def test_titles_are_short() -> None:
    """A run is titled by its file's stem."""
    assert title_of("some/where/penguins.csv.gz") == "penguins"
    assert title_of("-") == "stdin"
    assert title_of(None) == "query"


def test_a_query_gives_its_rows(tmp_path: Path) -> None:
    """`--sql URL QUERY` reads the rows of a query."""
    path = tmp_path / "shop.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("create table sales (price real, sold text)")
        database.execute("insert into sales values (1.5, 'yes'), (2.5, 'no')")
    frame = open_source(None, (f"sqlite:///{path}", "select * from sales order by price"))
    assert isinstance(frame, pl.DataFrame)
    assert frame.to_dict(as_series=False) == {"price": [1.5, 2.5], "sold": ["yes", "no"]}
