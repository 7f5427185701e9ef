"""A history as a frame with one evaluation a row, and back: what `files` writes and reads."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

import numpy as np
import polars as pl
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, FloatDistribution

from autometa.search.histories._base import Curve, History, PastTask
from autometa.spaces import Config, Scalar

PARAM, TRAIT = "param:", "trait:"
_LARGEST = 3.4e38  # of float32, which ends at 3.403e38, with room to round up
_N_PER_OCTAVE = 4
_N_DROPPED_BITS = 12  # of float32's 23: 12 bits are left with the leading one, as 11 + 1


def to_rows(history: History) -> pl.DataFrame:
    """The evaluations of all tasks, in their order; columns are those of `files`."""
    tasks = [task for task in history.tasks if task.configs]
    sizes = [len(task.configs) for task in tasks]
    columns = [
        pl.Series("task", np.repeat(np.arange(len(tasks)), sizes), dtype=pl.UInt32),
        _repeated("name", [task.name for task in tasks], sizes, pl.String),
        _repeated("family", [task.family for task in tasks], sizes, pl.String),
        pl.Series("loss", _float32([task.losses for task in tasks])),
        pl.Series("cost_s", _float32([_costs(task) for task in tasks])).fill_nan(None),
    ]
    configs = [config for task in tasks for config in task.configs]
    for name in _names(configs):
        cells = [config.get(name) for config in configs]
        is_active = [name in config for config in configs]
        columns.append(_param(name, cells, is_active, history.distributions.get(name)))
    for trait in _names([task.description for task in tasks]):
        traits = [task.description.get(trait) for task in tasks]
        columns.append(_repeated(TRAIT + trait, traits, sizes, pl.Float32))
    return pl.DataFrame([*columns, *_curve_columns(tasks)])


def _names(mappings: Sequence[Mapping[str, object]]) -> list[str]:
    return list(dict.fromkeys(name for mapping in mappings for name in mapping))


def _repeated(
    name: str, values: Sequence[object], sizes: Sequence[int], kind: type[pl.DataType]
) -> pl.Series:
    cells = [value for value, n in zip(values, sizes, strict=True) for _ in range(n)]
    return pl.Series(name, cells, dtype=kind)


def _float32(parts: Sequence[NDArray[np.float64]]) -> NDArray[np.float32]:
    """Rounded, and what is too large for it cut rather than made infinite, which means failed."""
    whole = np.concatenate([*parts, np.zeros(0)])
    cut = np.where(np.isfinite(whole), np.clip(whole, -_LARGEST, _LARGEST), np.nan)
    return cut.astype(np.float32)


def _costs(task: PastTask) -> NDArray[np.float64]:
    return np.full(len(task.configs), np.nan) if task.costs_s is None else task.costs_s


def _param(
    name: str,
    cells: Sequence[Scalar],
    is_active: Sequence[bool],
    distribution: BaseDistribution | None,
) -> pl.Series:
    """The column of a parameter, null where it is not active."""
    active = [cell for cell, is_so in zip(cells, is_active, strict=True) if is_so]
    types = {type(cell) for cell in active}
    if types == {int} and all(abs(int(str(cell))) < 2**63 for cell in active):
        return pl.Series(PARAM + name, cells, dtype=pl.Int64)
    if types == {float} or (types == {int, float} and isinstance(distribution, FloatDistribution)):
        return pl.Series(PARAM + name, cells, dtype=pl.Float64, strict=False)
    texts = [
        json.dumps(cell) if is_so else None for cell, is_so in zip(cells, is_active, strict=True)
    ]
    return pl.Series(PARAM + name, texts, dtype=pl.String)


def _curve_columns(tasks: Sequence[PastTask]) -> tuple[pl.Series, pl.Series]:
    steps: list[list[float] | None] = []
    losses: list[list[float] | None] = []
    for task in tasks:
        for curve in task.curves or [None] * len(task.configs):
            thin = None if curve is None else thin_curve(curve)
            steps.append(None if thin is None else thin.steps.tolist())
            losses.append(None if thin is None else thin.losses.tolist())
    return (
        pl.Series("steps", steps, dtype=pl.List(pl.Float64)),
        pl.Series("losses", losses, dtype=pl.List(pl.Float32)),
    )


def thin_curve(curve: Curve) -> Curve:
    """The first point in each quarter of an octave of steps, and the last; losses to 12 bits.

    Which steps are kept does not depend on how long a curve is, so that curves can be compared.
    """
    steps = curve.steps
    with np.errstate(divide="ignore", invalid="ignore"):
        bins = np.where(steps > 0, np.floor(_N_PER_OCTAVE * np.log2(steps)), steps)
    is_kept = np.append(True, bins[1:] != bins[:-1])[: len(steps)]
    is_kept[-1:] = True
    return Curve(steps[is_kept], _round_bits(curve.losses[is_kept]))


def _round_bits(losses: NDArray[np.float64]) -> NDArray[np.float64]:
    """To the nearest float32 whose last bits are zero, which compress to nothing."""
    bits = _float32([losses]).view(np.uint32)
    half = np.uint32(1 << (_N_DROPPED_BITS - 1))
    mask = np.uint32(~((1 << _N_DROPPED_BITS) - 1) & 0xFFFFFFFF)
    rounded = np.where(np.isnan(losses), bits, (bits + half) & mask).astype(np.uint32)
    values: NDArray[np.float64] = rounded.view(np.float32).astype(np.float64)
    return values


def from_rows(
    frame: pl.DataFrame, distributions: Mapping[str, BaseDistribution], source: str
) -> History:
    """The history in such a frame; raises polars' errors or `ValueError` if it is another."""
    configs = _configs(frame)
    traits = frame.select(pl.col(f"^{TRAIT}.*$")).to_dict(as_series=False)
    names, families = frame["name"].to_list(), frame["family"].to_list()
    losses = frame["loss"].to_numpy().astype(np.float64)
    costs = frame["cost_s"].fill_null(np.nan).to_numpy().astype(np.float64)
    curves = _curves(frame)
    tasks = [
        PastTask(
            names[part.start],
            tuple(configs[part]),
            losses[part],
            None if np.isnan(costs[part]).all() else costs[part],
            {
                column.removeprefix(TRAIT): cells[part.start]
                for column, cells in traits.items()
                if cells[part.start] is not None
            },
            families[part.start],
            tuple(curves[part]) if any(curves[part]) else (),
        )
        for part in _parts(frame["task"].to_list())
    ]
    return History(tuple(tasks), distributions, source)


def _parts(numbers: Sequence[int]) -> Iterator[slice]:
    """The rows of each task."""
    start = 0
    for _, rows in groupby(numbers):
        end = start + sum(1 for _ in rows)
        yield slice(start, end)
        start = end


def _configs(frame: pl.DataFrame) -> list[Config]:
    configs: list[dict[str, Scalar]] = [{} for _ in range(frame.height)]
    for column in frame.select(pl.col(f"^{PARAM}.*$")):
        name = column.name.removeprefix(PARAM)
        rows = column.is_not_null().arg_true().to_list()
        cells = column.drop_nulls().to_list()
        values = {cell: _value(cell) for cell in set(cells)}
        for row, cell in zip(rows, cells, strict=True):
            configs[row][name] = values[cell]
    return list(configs)


def _value(cell: object) -> Scalar:
    value = json.loads(cell) if isinstance(cell, str) else cell
    if value is None or isinstance(value, str | int | float):
        return value
    raise ValueError(f"{value!r} is no value of a parameter")


def _curves(frame: pl.DataFrame) -> list[Curve | None]:
    """The curves, cut from the points of all of them: one by one they would take seconds."""
    both = frame.select("steps", "losses")
    points = both.filter(pl.col("steps").list.len() > 0).explode("steps", "losses")
    steps = points["steps"].to_numpy()
    losses = points["losses"].to_numpy().astype(np.float64)
    curves: list[Curve | None] = []
    start = 0
    for n in both["steps"].list.len().to_list():
        curves.append(
            None if n is None else Curve(steps[start : start + n], losses[start : start + n])
        )
        start += n or 0
    return curves
