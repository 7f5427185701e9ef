"""Histories from tables of evaluations: any data frame that narwhals takes, or a CSV file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
import polars as pl
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution

from autometa.errors import HistoryError
from autometa.search.histories._base import History, PastTask
from autometa.search.histories.distributions import infer_distributions
from autometa.spaces import Config, Scalar

Cells = list[Scalar]


def read_csv(path: str | Path, **words: Any) -> History:
    """The history in a CSV file; `words` are those of `read_frame`.

    Raises `HistoryError` if there is no such file or it is no CSV.
    """
    try:
        frame = pl.read_csv(path, infer_schema_length=None)
    except (OSError, pl.exceptions.PolarsError) as error:
        said = " ".join(str(error).split())
        raise HistoryError(f"{path} cannot be read as a CSV of evaluations: {said}") from error
    return replace(read_frame(frame, **words), source=str(path))


def read_frame(  # noqa: PLR0913  each names what a column of the frame means
    frame: Any,
    *,
    loss: str | None = None,
    score: str | None = None,
    task: str | None = "task",
    parameters: Sequence[str] | None = None,
    cost: str | None = None,
    family: str | None = None,
    description: Sequence[str] = (),
    distributions: Mapping[str, BaseDistribution] | None = None,
) -> History:
    """The history in a frame with one evaluation a row.

    `loss` names the column of what is lower the better, `score` of what is higher the better: one
    of them must be given, and an empty or infinite cell is an evaluation that failed. `task` names
    the column that says on which task, None if all are on one. `parameters` are the columns of the
    configs, all others by default; an empty cell was not active. `cost` is in seconds. `family`
    and `description` (numbers) are the same in all rows of a task. What `distributions` leaves out
    is inferred from the values.

    Raises `HistoryError` for columns that are missing or cannot be what they are said to be.
    """
    if (loss is None) == (score is None):
        raise HistoryError("name the column to make small as loss=, or to make large as score=")
    table = _Columns(_as_frame(frame))
    others = [name for name in (task, loss, score, cost, family, *description) if name is not None]
    table.check_has([*others, *(parameters or ())])
    chosen = [name for name in table.names if name not in others]
    configs = table.configs(list(parameters) if parameters is not None else chosen)
    losses = table.numbers(str(loss or score)) * (1.0 if score is None else -1.0)
    losses[~np.isfinite(losses)] = np.nan
    rows = table.rows_by(task)
    tasks = [
        PastTask(
            name,
            tuple(configs[row] for row in at),
            losses[at],
            None if cost is None else table.numbers(cost)[at],
            {trait: table.number_of(trait, at, name) for trait in description},
            "" if family is None else str(table.value_of(family, at, name)),
        )
        for name, at in rows.items()
    ]
    inferred = infer_distributions(configs)
    return History(tuple(tasks), inferred | dict(distributions or {}), "a data frame")


def _as_frame(frame: Any) -> nw.DataFrame[Any]:
    try:
        native = nw.from_native(frame)
    except TypeError as error:
        raise HistoryError(
            f"a {type(frame).__name__} is no data frame: give one of pandas, polars or pyarrow"
        ) from error
    return native.collect() if isinstance(native, nw.LazyFrame) else native


class _Columns:
    """A frame's columns as plain values; empty cells are None."""

    def __init__(self, frame: nw.DataFrame[Any]) -> None:
        self._frame = frame
        self._cells: dict[str, Cells] = {}

    @property
    def names(self) -> list[str]:
        return self._frame.columns

    def check_has(self, names: Sequence[str]) -> None:
        """Raise unless there is a column of each name."""
        if missing := [name for name in names if name not in self.names]:
            raise HistoryError(f"the frame has no column {missing[0]!r}; it has {self.names}")
        if twice := [name for name in names if names.count(name) > 1]:
            raise HistoryError(f"column {twice[0]!r} is named twice; give each one meaning")

    def cells(self, name: str) -> Cells:
        """The column's cells."""
        if name not in self._cells:
            column = self._frame[name]
            cells = [_scalar(cell, name) for cell in column.to_list()]
            self._cells[name] = _whole_again(cells) if _lost_whole(self._frame, column) else cells
        return self._cells[name]

    def configs(self, names: Sequence[str]) -> list[Config]:
        """The config of each row: its cells that are not empty."""
        configs: list[dict[str, Scalar]] = [{} for _ in range(len(self._frame))]
        for name in names:
            for config, cell in zip(configs, self.cells(name), strict=True):
                if cell is not None:
                    config[name] = cell
        return list(configs)

    def numbers(self, name: str) -> NDArray[np.float64]:
        """The column as numbers (n,), not-a-number where empty."""
        cells = [math.nan if cell is None else cell for cell in self.cells(name)]
        for cell in cells:
            if not isinstance(cell, int | float):
                raise HistoryError(f"column {name!r} holds {cell!r}: it must hold numbers")
        return np.array(cells, dtype=np.float64)

    def rows_by(self, name: str | None) -> dict[str, NDArray[np.intp]]:
        """The rows of each value of a column, in the order of their first."""
        if name is None:
            return {"task": np.arange(len(self._frame))} if len(self._frame) else {}
        rows: dict[str, list[int]] = {}
        for row, cell in enumerate(self.cells(name)):
            if cell is None:
                raise HistoryError(f"row {row} has an empty {name!r}: each must name its task")
            rows.setdefault(str(cell), []).append(row)
        return {value: np.array(at, dtype=np.intp) for value, at in rows.items()}

    def value_of(self, name: str, at: NDArray[np.intp], task: str) -> Scalar:
        """The one value in these rows of the task."""
        values = {self.cells(name)[row] for row in at}
        if len(values) > 1:
            raise HistoryError(
                f"column {name!r} has several values for task {task!r}: what a task is like must "
                "be the same in all its rows"
            )
        value = values.pop()
        return "" if value is None else value

    def number_of(self, name: str, at: NDArray[np.intp], task: str) -> float:
        """The one number in these rows of the task; not-a-number if empty."""
        value = self.value_of(name, at, task)
        if value == "":
            return math.nan
        if not isinstance(value, int | float):
            raise HistoryError(f"column {name!r} holds {value!r}: a description is of numbers")
        return float(value)


def _scalar(cell: object, name: str) -> Scalar:
    """The plain value of a cell, None if it is empty."""
    if isinstance(cell, np.generic):
        cell = cell.item()
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return None
    if isinstance(cell, str | int | float):
        return cell
    raise HistoryError(
        f"column {name!r} holds {cell!r}: an evaluation is of numbers, texts, true and false; "
        "leave it out, or name the parameters"
    )


def _lost_whole(frame: nw.DataFrame[Any], column: nw.Series[Any]) -> bool:
    """Whether these may be whole numbers that pandas made fractions of for an empty cell."""
    return (
        frame.implementation.is_pandas()
        and column.dtype == nw.Float64
        and bool(column.is_nan().any() or column.is_null().any())
    )


def _whole_again(cells: Cells) -> Cells:
    if all(cell is None or float(cell).is_integer() for cell in cells):
        return [None if cell is None else int(cell) for cell in cells]
    return cells
