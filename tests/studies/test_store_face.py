"""`autometa.Store`: what the command line answers, as data frames, by the same words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import polars as pl
import pytest

import autometa
from autometa.errors import AutometaError, OptionError, StoreError, TableError
from autometa.records import TrialRecord, TrialState
from autometa.storage import NewStudy, PriorRecord, Store, StudyStatus, TableRecord
from autometa.studies.filter_words import ListWords
from autometa.studies.questions import find_trials
from autometa.tables.description import DESCRIPTION_VERSION, describe
from autometa.tables.preparation import TableOptions, prepare_table
from autometa.tables.reading import ReadOptions, read_table

PENGUINS = Path(__file__).parents[2] / "examples" / "penguins.csv"


@pytest.fixture(name="face", scope="module")
def fixture_face(tmp_path_factory: pytest.TempPathFactory) -> autometa.Store:
    """A store with a study of the penguins, and one of a table unlike them, twelve trials each."""
    path = tmp_path_factory.mktemp("face") / "store.db"
    raw = read_table(str(PENGUINS), ReadOptions())
    described = describe(prepare_table(raw, TableOptions(target="species")))
    with Store.open(path) as store:
        for mark, name, description in (("a", "penguins", described), ("b", "noise", {})):
            table = TableRecord(
                mark * 64, name, 344, 7, "species", "multiclass", 3, description,
                description_version=DESCRIPTION_VERSION,
            )  # fmt: skip
            store.add_table(table)
            study = store.start_study(NewStudy(mark * 64, name, name, "accuracy", 0, "cv5"))
            for n in range(12):
                config = {"lr": 1.5 / (n + 1)}
                trial = TrialRecord(
                    n, "network", config, TrialState.COMPLETE, n / 20, started_at=1.75e9 + n
                )
                store.add_trial(study.id, trial)
            store.finish_study(study.id, StudyStatus.FINISHED, best_loss=0.0)
        store.priors.add(PriorRecord("c" * 64, "own", "networks", None, {}, {}, b"x"))
    return autometa.Store(path)


def test_a_frame_is_whole_unless_it_is_said_how_long(face: autometa.Store) -> None:
    """All trials of the newest study, or of every study; `n` cuts."""
    assert face.trials()["score"].to_list() == [1 - n / 20 for n in range(12)]
    assert face.trials(every=True).height == 24
    assert face.trials(every=True, n=5, sort="number").height == 5
    assert face.studies()["table"].to_list() == ["noise", "penguins"]
    assert face.tables(sort="name")["table"].to_list() == ["noise", "penguins"]
    assert face.priors()["name"].to_list() == ["own", "shipped"]


def test_words_narrow_as_on_the_command_line(face: autometa.Store) -> None:
    """The same words give the same trials, in the same order."""
    words: ListWords = {
        "table": "peng*",
        "better_than": 0.7,
        "param": ["lr<0.6", "lr>0.3"],
        "since": datetime(2020, 1, 1, tzinfo=UTC),
        "n": 0,
    }
    found = face.trials(
        table="peng*",
        better_than=0.7,
        param=["lr<0.6", "lr>0.3"],
        since=datetime(2020, 1, 1, tzinfo=UTC),
    )
    assert found["number"].to_list() == [3, 2]
    expected = find_trials(face._url, words).rows
    assert found["number"].to_list() == [one.trial.number for one in expected]
    study = face.studies(table="penguins")["study"][0]
    assert face.trials(study[:5], param="lr<0.6").height == 10
    later = datetime.now(UTC) + timedelta(days=1)
    assert face.studies(since=later).is_empty()
    assert face.studies(since=later).schema == face.studies().schema


def test_frames_are_polars_and_pandas_own(face: autometa.Store) -> None:
    """What comes back is polars', which turns into pandas' by itself."""
    frame = face.trials(n=3).to_pandas()
    assert isinstance(frame, pd.DataFrame)
    assert list(frame["learner"]) == ["network"] * 3


def test_sql_is_a_frame(face: autometa.Store) -> None:
    """Typed columns of all rows; nothing but a SELECT is let through."""
    frame = face.sql(
        "SELECT table_name, max(score) AS best, count(*) AS n FROM autometa_trials GROUP BY 1"
    )
    assert frame.rows() == [("noise", 1.0, 12), ("penguins", 1.0, 12)]
    assert frame.schema == {"table_name": pl.String, "best": pl.Float64, "n": pl.Int64}
    assert face.sql("SELECT number FROM autometa_trials WHERE number > 99").columns == ["number"]
    with pytest.raises(StoreError, match="only reads"):
        face.sql("DELETE FROM autometa_trial")
    with pytest.raises(TableError, match="binary"):
        face.sql("SELECT content FROM autometa_prior")


def test_a_new_table_is_compared(face: autometa.Store) -> None:
    """The penguins are most like themselves; what did best on them comes first."""
    similar = face.similar(PENGUINS, target="species")
    assert similar.row(0)[:3] == ("penguins", 1.0, "in the store")
    assert similar.height == 10
    frame = pl.read_csv(PENGUINS, null_values="NA")
    best = face.best_like(frame, n=1, target="species")
    assert best.select("table", "learner", "score", "number").row(0) == (
        "penguins",
        "network",
        1.0,
        0,
    )


def test_why_is_told(face: autometa.Store) -> None:
    """In words and figures, by the trial's number in its study."""
    study = face.studies(table="penguins")["study"][0]
    told = face.why(study[:6], 3)
    assert (told["trial"], told["study"], told["origin"]) == (3, study, "search")
    assert "Parzen" in str(told["why"])
    assert face.why(None, 0)["study"] != study


def test_unknown_words_are_refused(face: autometa.Store, tmp_path: Path) -> None:
    """A mistyped word is said, not ignored; so is a store that is not there."""
    with pytest.raises(OptionError, match="'tabel': did you mean 'table'"):
        face.trials(tabel="x")  # type: ignore[call-arg] # mistyped on purpose
    with pytest.raises(OptionError, match="'table'"):
        face.priors(table="x")
    with pytest.raises(OptionError, match="did you mean 'target'"):
        face.similar(PENGUINS, targte="species")  # type: ignore[call-arg] # as above
    nowhere = autometa.Store(tmp_path / "none.db")
    with pytest.raises(AutometaError, match="no store"):
        nowhere.studies()
    assert not list(tmp_path.iterdir())
    assert "none.db" in repr(nowhere)
