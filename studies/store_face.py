"""`autometa.Store`: questions to the store as data frames, with the command line's words."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import polars as pl

from autometa.storage.queries import frame_of
from autometa.studies import frames
from autometa.studies.filter_words import ListWords, NarrowWords, check_known
from autometa.studies.history import store_place, view_study
from autometa.studies.kept_priors import find_priors
from autometa.studies.questions import find_studies, find_tables, find_trials
from autometa.studies.sql_questions import ask_sql

if TYPE_CHECKING:
    from autometa.studies.api import TuneWords
    from autometa.studies.reports.outcome import JSON
    from autometa.tables.preparation import TableOptions
    from autometa.tables.reading import RawTable


class Store:
    """A store to ask; `url` is a path or a database's URL, the user's own store if not given.

    Nothing is kept open between two questions, and no question changes what is kept. Each raises
    `StoreError` if there is no store, and `OptionError` for words that mean nothing. The words
    are those of the command line:

    * `table` (a name, a pattern such as "churn*", the start of a fingerprint), `study` (the start
      of its id), `metric`, `status`, `since` ("7d", a date, a datetime)
    * of trials: `learner`, `state`, `better_than` (a score in the metric's own sign), `param`
      ("learning_rate<0.01", or a list of such that must all hold); studies and tables pass if
      one of their trials passes them all
    * `n`: only the first, `sort`: by a column, "-" in front for descending

        store = autometa.Store()
        store.trials(table="churn*", metric="roc_auc", better_than=0.9, sort="best", n=20)
    """

    def __init__(self, url: str | Path | None = None) -> None:
        self._url = url

    def __repr__(self) -> str:
        return f"Store({store_place(self._url)!r})"

    def studies(self, **words: Unpack[ListWords]) -> pl.DataFrame:
        """Studies, newest first: a row for each."""
        return frames.studies_frame(find_studies(self._url, _whole(words)).rows)

    def trials(
        self, study: str | None = None, *, every: bool = False, **words: Unpack[NarrowWords]
    ) -> pl.DataFrame:
        """Trials of a study (the newest if none is named), best first: a row for each.

        With a word that narrows, or `every`, they are of all studies, newest first.
        """
        asked = _whole({**words, "study": study})
        return frames.trials_frame(find_trials(self._url, asked, is_of_all=every).rows)

    def tables(self, **words: Unpack[ListWords]) -> pl.DataFrame:
        """Tables, the one tuned last first: a row for each."""
        return frames.tables_frame(find_tables(self._url, _whole(words)).rows)

    def priors(self, **words: Unpack[ListWords]) -> pl.DataFrame:
        """Priors of this store and the one that comes with us; by `since`, `n` and `sort`."""
        check_known(words, ("since", "n", "sort"), "priors")
        return frames.priors_frame(find_priors(self._url, words))

    def sql(self, query: str) -> pl.DataFrame:
        """What one SELECT gives; `docs/store.md` lists the views to ask. Nothing is changed."""
        answer = ask_sql(self._url, query)
        return frame_of(answer.names, answer.rows)

    def similar(self, data: object, n: int = 10, **words: Unpack[TuneWords]) -> pl.DataFrame:
        """The known tables that `data` is most like, yours and those that come with us.

        `data` and `words` are as of `autometa.tune`. `similarity` is 1 for one just like it.
        """
        from autometa.studies.similar import find_similar  # noqa: PLC0415  reads what comes with us

        raw, options = _read(data, words)
        return frames.similar_frame(find_similar(raw, options, self._url, n))

    def best_like(self, data: object, n: int = 10, **words: Unpack[TuneWords]) -> pl.DataFrame:
        """What did best in this store on the tables that `data` is most like."""
        from autometa.studies.similar import find_best_like  # noqa: PLC0415  as above

        raw, options = _read(data, words)
        return frames.best_frame(find_best_like(raw, options, self._url, n))

    def why(self, study: str | None, number: int) -> dict[str, JSON]:
        """Why a trial has its config: `why` in words, `explanation` in figures, or None."""
        from autometa.studies.reports.history import reason_values  # noqa: PLC0415  loads rich

        return reason_values(view_study(self._url, study), number)


def _whole(words: ListWords) -> ListWords:
    """The words, known to mean something; a frame is whole unless it is said how long it be."""
    check_known(words, ListWords.__optional_keys__, "a list")
    return {"n": 0, **words}


def _read(data: object, words: TuneWords) -> tuple[RawTable, TableOptions]:
    from autometa.studies.api import TuneWords as Known  # noqa: PLC0415  as in Store.similar
    from autometa.studies.api import reading_options, table_options  # noqa: PLC0415  as above
    from autometa.tables.reading import read_table  # noqa: PLC0415  as above

    check_known(words, Known.__optional_keys__, "a table")
    return read_table(data, reading_options(words)), table_options(words)
