"""What a folder holds of a scenario: configs, tasks, their scores, and what is known besides.

Two forms are read. Wide: `<name>_configs.parquet` (config_id and a column for each parameter, null
where it is inactive) with `<name>_results.parquet` (task_id, config_id, metrics), perhaps with the
surrogate that made them in `yahpo/<name>/`. Long: one table with dataset, algorithm, parameters
(JSON), metrics, perhaps source; each algorithm is a scenario of its own, evaluated on a grid.

Axes: T tasks, P configs.
"""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from autometa.errors import OptionError
from autometa.spaces import Config
from autometa.studies.benchmarks.search._families import families_of
from autometa.studies.benchmarks.search._spaces import without_idle

Array = NDArray[np.float64]

_CONFIGS, _RESULTS = "_configs.parquet", "_results.parquet"
_LONG = {"dataset", "algorithm", "parameters"}
# of the sources of the one long table known, the one whose grids are whole
_SOURCE = "edited-formatted-filtered"


@dataclass(frozen=True, slots=True, eq=False)
class Evaluations:
    """Scores (T, P) by metric, NaN where a config was not evaluated on a task.

    `is_grid`: numbers were evaluated at a few values each, which a study takes by their places.
    """

    name: str
    configs: tuple[Config, ...]
    tasks: tuple[str, ...]
    scores: Mapping[str, Array]
    families: Mapping[str, str]
    descriptions: Mapping[str, Mapping[str, float]]
    is_grid: bool
    surrogate: Path | None = None


def scenario_names(folder: Path) -> list[str]:
    """The scenarios in a folder. Raises `OptionError` if there are none."""
    found = [name for name, _ in _wide(folder)]
    found += [
        f"{path.stem}/{algorithm}"
        for path in _long(folder)
        for algorithm in sorted(_of_one_source(path)["algorithm"].unique())
    ]
    if not found:
        raise OptionError(
            f"{folder} has no scenario: it needs NAME{_CONFIGS} with NAME{_RESULTS}, or a parquet "
            f"file with columns {', '.join(sorted(_LONG))} and metrics"
        )
    return found


def read_evaluations(folder: Path, name: str) -> Evaluations:
    """A scenario that `scenario_names` has named."""
    stem, _, algorithm = name.partition("/")
    return _read_long(folder, stem, algorithm) if algorithm else _read_wide(folder, name)


def _wide(folder: Path) -> list[tuple[str, Path]]:
    found = [(path.name.removesuffix(_CONFIGS), path) for path in folder.glob(f"*{_CONFIGS}")]
    return sorted(pair for pair in found if (folder / f"{pair[0]}{_RESULTS}").exists())


def _long(folder: Path) -> list[Path]:
    return [
        path
        for path in sorted(folder.glob("*.parquet"))
        if set(pl.read_parquet_schema(path)) >= _LONG
    ]


def _read_wide(folder: Path, name: str) -> Evaluations:
    table = pl.read_parquet(folder / f"{name}{_CONFIGS}").sort("config_id")
    results = pl.read_parquet(folder / f"{name}{_RESULTS}").with_columns(
        pl.col("task_id").cast(pl.String)
    )
    ids = table["config_id"].to_list()
    rows = _whole_again(table.drop("config_id")).to_dicts()
    configs = tuple({k: v for k, v in row.items() if v is not None} for row in rows)
    surrogate = folder / "yahpo" / name
    tasks, scores = _matrices(results, "task_id", "config_id", ids)
    return Evaluations(
        name,
        configs,
        tasks,
        scores,
        families_of(tasks, folder),
        read_descriptions(folder, tasks),
        is_grid=False,
        surrogate=surrogate if (surrogate / "model.onnx").exists() else None,
    )


def _whole_again(table: pl.DataFrame) -> pl.DataFrame:
    """The table with whole numbers where a null has made them floats."""
    whole = [
        column.name
        for column in table
        if column.dtype.is_float()
        and 0 < column.null_count() < len(column)
        and bool((column.drop_nulls() == column.drop_nulls().round()).all())
    ]
    return table.with_columns(pl.col(whole).cast(pl.Int64)) if whole else table


def _read_long(folder: Path, stem: str, algorithm: str) -> Evaluations:
    table = _of_one_source(folder / f"{stem}.parquet").filter(pl.col("algorithm") == algorithm)
    texts = sorted(table["parameters"].unique())
    settings = without_idle([json.loads(text) for text in texts])
    # texts that differ in idle settings only are one config
    keys = [json.dumps(config, sort_keys=True) for config in settings]
    configs = dict(zip(keys, settings, strict=True))
    of_text = dict(zip(texts, keys, strict=True))
    results = table.with_columns(pl.col("parameters").replace_strict(of_text))
    tasks, scores = _matrices(results, "dataset", "parameters", list(configs))
    families, described = families_of(tasks, folder), read_descriptions(folder, tasks)
    known = tuple(configs.values())
    return Evaluations(f"{stem}/{algorithm}", known, tasks, scores, families, described, True)


def _of_one_source(path: Path) -> pl.DataFrame:
    """The long table, of the source whose grids are whole if it says what its sources are."""
    table = pl.read_parquet(path).with_columns(pl.col("dataset").cast(pl.String))
    if "source" in table.columns and _SOURCE in table["source"]:
        return table.filter(pl.col("source") == _SOURCE)
    return table


def _matrices(
    results: pl.DataFrame, task: str, config: str, ids: Sequence[object]
) -> tuple[tuple[str, ...], dict[str, Array]]:
    """The tasks, and scores (T, P) of each numeric column; what was tried twice has the mean."""
    tasks = tuple(sorted(results[task].unique()))
    row = {name: at for at, name in enumerate(tasks)}
    column = {name: at for at, name in enumerate(ids)}
    known = results.filter(pl.col(config).is_in(list(ids)))
    rows = np.array([row[name] for name in known[task]], dtype=np.intp)
    columns = np.array([column[one] for one in known[config]], dtype=np.intp)
    scores: dict[str, Array] = {}
    for metric in known.columns:
        if metric in (task, config) or not known[metric].dtype.is_numeric():
            continue
        values = known[metric].cast(pl.Float64).to_numpy()
        scores[metric] = _means(rows, columns, values, (len(tasks), len(ids)))
    return tasks, scores


def _means(
    rows: NDArray[np.intp], columns: NDArray[np.intp], values: Array, shape: tuple[int, int]
) -> Array:
    sums, counts = np.zeros(shape), np.zeros(shape)
    known = np.isfinite(values)
    np.add.at(sums, (rows[known], columns[known]), values[known])
    np.add.at(counts, (rows[known], columns[known]), 1.0)
    return np.where(counts > 0, sums / np.maximum(counts, 1.0), math.nan)


def read_descriptions(folder: Path, tasks: Sequence[str]) -> dict[str, dict[str, float]]:
    """What `*metafeatures*.csv[.gz]` in the folder tell of these tasks: their numeric columns."""
    found: dict[str, dict[str, float]] = {task: {} for task in tasks}
    for path in sorted(folder.glob("*metafeatures*.csv*")):
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        table = pl.read_csv(content, infer_schema_length=None)
        names = table.to_series(0).cast(pl.String).to_list()
        numeric = [
            name for name in table.columns[1:] if table[name].dtype.is_numeric() and name[0] != "_"
        ]
        for task, row in zip(names, table.select(numeric).to_dicts(), strict=True):
            if task in found:
                known = {k: float(v) for k, v in row.items() if v is not None}
                found[task].update({k: v for k, v in known.items() if math.isfinite(v)})
    return found
