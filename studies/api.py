"""`autometa.tune(...)`: the whole tool as one function, with the command line's words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

import numpy as np
from numpy.typing import NDArray

from autometa.errors import ModelError, OptionError
from autometa.studies.budget import parse_megabytes, parse_seconds
from autometa.studies.filter_words import check_known
from autometa.studies.options import TuneOptions, parse_rows
from autometa.studies.progress import Listener, ignore
from autometa.studies.results import TuneResult
from autometa.tables._base import TaskKind
from autometa.tables.preparation import TableOptions
from autometa.tables.reading import ReadOptions

if TYPE_CHECKING:
    import polars as pl

    from autometa.studies.tuned_model import TunedModel


class ReadingWords(TypedDict, total=False):
    """How a file is to be read; what is left out is found from the file itself."""

    delimiter: str | None
    encoding: str | None
    quote: str | None
    decimal: str | None
    header: bool | None
    format: str | None


class TuneWords(ReadingWords, total=False):
    """What may be asked of one `tune`, in the words of the command line."""

    target: str | None
    task: str | None
    time: str | float | None
    trials: int | None
    started_at: float | None
    output: str | Path | None
    store: str | Path | None
    metric: str | None
    seed: int
    jobs: int | None
    memory: str | float | None
    holdout: float | None
    test: object | None
    learners: Sequence[str]
    categorical: Sequence[str]
    text: Sequence[str]
    date: Sequence[str]
    number: Sequence[str]
    drop: Sequence[str]
    group: str | None
    time_column: str | None
    weight: str | None
    prior: bool
    past: bool
    warm_start: str | None
    prior_file: str | Path | None
    keep_rows: int | str | None
    learn: str | None
    fresh: bool
    instant: bool


@dataclass(frozen=True, slots=True)
class Tuned:
    """A tuned model together with how it came about.

    `model` predicts (its methods are repeated here), `result` holds the scores, the members, the
    trials and where everything was saved.
    """

    model: TunedModel
    result: TuneResult

    def predict(self, data: object) -> NDArray[np.object_] | NDArray[np.float64]:
        """Labels as written in the data (N,), or values (N,) for regression."""
        return self.model.predict(data)

    def predict_proba(self, data: object) -> NDArray[np.float64]:
        """Probabilities (N, K), columns in the order of `model.classes_`."""
        return self.model.predict_proba(data)

    def predict_table(self, data: object) -> pl.DataFrame:
        """A frame with `prediction` and, for classes, `probability_<class>`."""
        return self.model.predict_table(data)


def tune(data: object, *, listen: Listener = ignore, **words: Unpack[TuneWords]) -> Tuned:
    """Turn a table into a tuned, saved model within a budget.

    `data` is a file's path or an in-memory table (pandas, polars, pyarrow, numpy, a dict of
    lists). Everything else is optional and said as on the command line:

    * `target` (the last column), `task` ("binary", "multiclass", "regression")
    * budgets: `time` ("60s", "10m", or seconds) and `trials`, whichever ends first;
      60 seconds if neither is given; with `trials` alone, equal seeds give equal results
    * `output`: the model's folder;
      `store`: a database's URL or path
    * `metric`, `seed`, `jobs` (worker processes; 0 for none), `memory` ("4G", or megabytes)
    * a score no search has seen: `holdout` (a share of the rows) or `test` (more data)
    * `learners`, and columns by name: `categorical`, `text`, `date`, `number`, `drop`, `group`,
      `time_column`, `weight`
    * `prior=False` starts from nothing learned, `prior_file` is a prior of your own,
      `past=False` leaves the search without what did well on other tables, `warm_start` names
      the study or the store that these are of (or "none": only those that come with us),
      `instant=True` (or `time=0`) takes the prior's network without a search
    * `keep_rows`: how many rows the store keeps for meta-training, at most 2,000, or "none"
    * `learn="auto"` has a prior of your own learned in the background when the study is over
    * `fresh=True` does not resume
    * how to read a file: `delimiter`, `encoding`, `quote`, `decimal`, `header`, `format`

    `listen` is called with every `Progress` and `Note`. Raises `AutometaError` for what the
    caller can mend.
    """
    from autometa.studies.tuned_model import load_model  # noqa: PLC0415  loads every learner
    from autometa.studies.tuning import tune as run_study  # noqa: PLC0415  starts workers

    result = run_study(data, options_from(words), listen)
    if result.model is None:
        raise ModelError("no trial finished within the budget: give it more time or more trials")
    return Tuned(load_model(result.model), result)


def options_from(words: TuneWords) -> TuneOptions:
    """The checked options of these words. Raises `OptionError`, also for words unknown."""
    check_known(words, TuneWords.__optional_keys__, "tune")
    time, memory, output = words.get("time"), words.get("memory"), words.get("output")
    prior_file, keep_rows = words.get("prior_file"), words.get("keep_rows")
    time_s = None if time is None else parse_seconds(time, may_be_none=True)
    options = TuneOptions(
        table=table_options(words),
        reading=reading_options(words),
        time_s=time_s or None,
        n_trials=words.get("trials"),
        started_at=words.get("started_at"),
        metric=words.get("metric"),
        seed=words.get("seed", 0),
        n_jobs=words.get("jobs"),
        memory_mb=None if memory is None else parse_megabytes(memory),
        learners=names(words.get("learners", ())),
        holdout=words.get("holdout"),
        test=words.get("test"),
        store=words.get("store"),
        output=None if output is None else Path(output),
        use_prior=words.get("prior", True),
        use_past=words.get("past", True),
        warm_start=words.get("warm_start"),
        prior_file=None if prior_file is None else Path(prior_file).absolute(),
        keep_rows=None if keep_rows is None else parse_rows(keep_rows, "--keep-rows"),
        learn=words.get("learn"),
        is_fresh=words.get("fresh", False),
    )
    is_instant = words.get("instant", False) or time_s == 0
    return options.instant() if is_instant else options


def table_options(words: TuneWords) -> TableOptions:
    """What the words say of the table's columns."""
    task = words.get("task")
    if task is not None and task not in tuple(TaskKind):
        raise OptionError(f"unknown task {task!r}: binary, multiclass or regression")
    return TableOptions(
        target=words.get("target"),
        kind=None if task is None else TaskKind(task),
        categorical=names(words.get("categorical", ())),
        text=names(words.get("text", ())),
        date=names(words.get("date", ())),
        number=names(words.get("number", ())),
        drop=names(words.get("drop", ())),
        group=words.get("group"),
        time=words.get("time_column"),
        weight=words.get("weight"),
    )


def reading_options(words: ReadingWords) -> ReadOptions:
    """What the words say of how a file is written."""
    return ReadOptions(
        delimiter=words.get("delimiter"),
        encoding=words.get("encoding"),
        quote=words.get("quote"),
        decimal=words.get("decimal"),
        has_header=words.get("header"),
        file_format=words.get("format"),
    )


def names(value: Sequence[str]) -> tuple[str, ...]:
    """Names as a tuple; one name alone may be given as a string."""
    return (value,) if isinstance(value, str) else tuple(value)
