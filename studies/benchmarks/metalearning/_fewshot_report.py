"""What the few-shot benchmark reports: means over tables, and how often each method is ahead.

A mean is over tables, each of which counts once, and its interval is that of tables drawn anew.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from autometa.studies.benchmarks.metalearning._results import markdown_table


@dataclass(frozen=True, slots=True)
class Drawn:
    """A method on a table: of each draw the accuracy, and the mean accuracy of its classes."""

    table: str
    n_shots: int
    method: str
    accuracies: list[float]
    balanced: list[float]


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean in per cent, with half of its 95 % interval; None for one value."""

    mean: float
    half_interval: float | None

    @property
    def text(self) -> str:
        """Such as `63.2 ± 4.1`."""
        beside = "" if self.half_interval is None else f" ± {self.half_interval:.1f}"
        return f"{self.mean:.1f}{beside}"


@dataclass(frozen=True, slots=True)
class Ahead:
    """A learned method's accuracy less another's, on the draws both have seen."""

    n_shots: int
    method: str
    other: str
    difference: Mean
    n_won: int
    n_tables: int


def mean_of(values: Sequence[float]) -> Mean:
    """Of shares, in per cent."""
    mean = round(100 * float(np.mean(values)), 3)
    if len(values) < 2:
        return Mean(mean, None)
    error = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return Mean(mean, round(100 * 1.96 * error, 3))


def summary(drawn: Sequence[Drawn], learned: Sequence[str]) -> dict[str, object]:
    """Figures of each table, means over tables, and each learned method beside all others."""
    shots = list(dict.fromkeys(one.n_shots for one in drawn))
    methods = list(dict.fromkeys(one.method for one in drawn))
    pairs = [(n, m) for n in shots for m in methods]
    return {
        "by_table": [
            {
                "table": one.table,
                "n_shots": one.n_shots,
                "method": one.method,
                "n_draws": len(one.accuracies),
                "accuracy": asdict(mean_of(one.accuracies)),
                "balanced": asdict(mean_of(one.balanced)),
            }
            for one in drawn
        ],
        "over_tables": [_over_tables(drawn, n_shots, method) for n_shots, method in pairs],
        "ahead": [
            asdict(_ahead(drawn, n_shots, method, other))
            for n_shots, other in pairs
            for method in learned
            if method != other
        ],
    }


def _over_tables(drawn: Sequence[Drawn], n_shots: int, method: str) -> dict[str, object]:
    own = [one for one in drawn if (one.n_shots, one.method) == (n_shots, method)]
    return {
        "n_shots": n_shots,
        "method": method,
        "n_tables": len(own),
        "accuracy": asdict(mean_of([float(np.mean(one.accuracies)) for one in own])),
        "balanced": asdict(mean_of([float(np.mean(one.balanced)) for one in own])),
    }


def _ahead(drawn: Sequence[Drawn], n_shots: int, method: str, other: str) -> Ahead:
    found = {one.table: one for one in drawn if (one.n_shots, one.method) == (n_shots, method)}
    differences: list[float] = []
    for one in drawn:
        if (one.n_shots, one.method) == (n_shots, other):
            pairs = zip(found[one.table].accuracies, one.accuracies, strict=False)
            differences.append(float(np.mean([ours - theirs for ours, theirs in pairs])))
    n_won = sum(difference > 0 for difference in differences)
    return Ahead(n_shots, method, other, mean_of(differences), n_won, len(differences))


def as_markdown(report: Mapping[str, Any]) -> str:
    """Means over tables, then the same by table; accuracies in per cent."""
    learned = list(dict.fromkeys(one["method"] for one in report["ahead"]))
    head = ["rows a class", "method", "accuracy", "mean of classes"]
    beside = [f"{name} less this (tables ahead)" for name in learned]
    rows = [
        [
            str(one["n_shots"]),
            one["method"],
            Mean(**one["accuracy"]).text,
            Mean(**one["balanced"]).text,
            *(_beside(report, one, name) for name in learned),
        ]
        for one in report["over_tables"]
    ]
    return markdown_table([*head, *beside], rows) + "\n\n" + _by_table(report)


def _beside(report: Mapping[str, Any], row: Mapping[str, Any], method: str) -> str:
    for one in report["ahead"]:
        if (one["n_shots"], one["method"], one["other"]) == (
            row["n_shots"],
            method,
            row["method"],
        ):
            return f"{Mean(**one['difference']).text} ({one['n_won']} of {one['n_tables']})"
    return ""


def _by_table(report: Mapping[str, Any]) -> str:
    methods = list(dict.fromkeys(one["method"] for one in report["by_table"]))
    rows: dict[tuple[str, str], list[str]] = {}
    for one in report["by_table"]:
        row = rows.setdefault((one["table"], str(one["n_shots"])), [""] * len(methods))
        row[methods.index(one["method"])] = Mean(**one["accuracy"]).text
    return markdown_table(
        ["table", "rows a class", *methods], [[*key, *row] for key, row in rows.items()]
    )
