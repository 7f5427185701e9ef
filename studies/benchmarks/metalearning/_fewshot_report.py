"""What the few-shot benchmark reports: means over tables, and how often each method is ahead.

A mean is over tables, each of which counts once, and its interval is that of tables drawn anew.
The verdict is on the algorithm with the highest mean for each number of shots, which is chosen by
the same tables: a little luck is in its lead.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from autometa.studies.benchmarks.metalearning._commits import older_state
from autometa.studies.benchmarks.metalearning._fewshot_published import (
    PUBLISHED,
    published_table,
)
from autometa.studies.benchmarks.metalearning._results import markdown_table

# the goal is to be ahead of logistic regression, kNN, CatBoost and LightGBM on average
RIVALS = ("logistic", "neighbors", "catboost", "lightgbm", "lightgbm, leaves of one row")
_LEAST_TABLES, _LEAST_DRAWS = 8, 100  # of the goal


@dataclass(frozen=True, slots=True)
class Drawn:
    """A method on a table: of each draw the accuracy, and the mean accuracy of its classes.

    `commit` measured it; an earlier one's lines are read and not measured again.
    """

    table: str
    n_shots: int
    method: str
    accuracies: list[float]
    balanced: list[float]
    commit: str


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


@dataclass(frozen=True, slots=True)
class Verdict:
    """The algorithm with the highest mean beside its rivals; None where the goal cannot be judged.

    `is_distinguishable` are the rivals of which the lead is beyond its 95 % interval.
    """

    n_shots: int
    best: str
    is_goal_met: bool | None
    leads: dict[str, Mean]
    is_distinguishable: dict[str, bool]

    @property
    def text(self) -> str:
        """In one line."""
        said = {True: "goal reached", False: "goal missed", None: "goal not judged"}
        leads = [
            f"{rival} by {lead.text}"
            + ("" if self.is_distinguishable[rival] else " (not distinguishable)")
            for rival, lead in self.leads.items()
        ]
        rows = "1 row" if self.n_shots == 1 else f"{self.n_shots} rows"
        what = f"{self.best} is best and leads {', '.join(leads) or 'no rival'}"
        return f"{rows} a class: {what}: {said[self.is_goal_met]}"


def mean_of(values: Sequence[float]) -> Mean:
    """Of shares, in per cent."""
    mean = 100 * float(np.mean(values))
    if len(values) < 2:
        return Mean(mean, None)
    error = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return Mean(mean, 100 * 1.96 * error)


def summary(drawn: Sequence[Drawn], learned: Sequence[str]) -> dict[str, object]:
    """Figures of each table, means over tables, learned methods beside all others, verdicts."""
    shots = list(dict.fromkeys(one.n_shots for one in drawn))
    methods = list(dict.fromkeys(one.method for one in drawn))
    pairs = [(n, m) for n in shots for m in methods]
    verdicts = [_verdict(drawn, n_shots, learned) for n_shots in shots]
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
        "verdicts": [{**asdict(one), "text": one.text} for one in verdicts],
        "commits": sorted({one.commit for one in drawn}),
        "published": [asdict(one) for one in PUBLISHED],
    }


def _over_tables(drawn: Sequence[Drawn], n_shots: int, method: str) -> dict[str, object]:
    own = _of(drawn, n_shots, method)
    return {
        "n_shots": n_shots,
        "method": method,
        "n_tables": len(own),
        "accuracy": asdict(mean_of([float(np.mean(one.accuracies)) for one in own])),
        "balanced": asdict(mean_of([float(np.mean(one.balanced)) for one in own])),
    }


def _verdict(drawn: Sequence[Drawn], n_shots: int, learned: Sequence[str]) -> Verdict:
    def mean(method: str) -> float:
        return float(np.mean([np.mean(o.accuracies) for o in _of(drawn, n_shots, method)]))

    best = max(learned, key=mean)
    seen = {name: _of(drawn, n_shots, name) for name in (best, *RIVALS)}
    leads = {
        rival: _ahead(drawn, n_shots, best, rival).difference for rival in RIVALS if seen[rival]
    }
    is_whole = all(
        len(of_one) >= _LEAST_TABLES and min(len(one.accuracies) for one in of_one) >= _LEAST_DRAWS
        for of_one in seen.values()
    )
    is_met = all(lead.mean > 0 for lead in leads.values()) if is_whole else None
    beyond = {
        rival: lead.half_interval is not None and abs(lead.mean) > lead.half_interval
        for rival, lead in leads.items()
    }
    return Verdict(n_shots, best, is_met, leads, beyond)


def _of(drawn: Sequence[Drawn], n_shots: int, method: str) -> list[Drawn]:
    return [one for one in drawn if (one.n_shots, one.method) == (n_shots, method)]


def _ahead(drawn: Sequence[Drawn], n_shots: int, method: str, other: str) -> Ahead:
    found = {one.table: one for one in _of(drawn, n_shots, method)}
    differences: list[float] = []
    for one in _of(drawn, n_shots, other):
        pairs = zip(found[one.table].accuracies, one.accuracies, strict=False)
        differences.append(float(np.mean([ours - theirs for ours, theirs in pairs])))
    n_won = sum(difference > 0 for difference in differences)
    return Ahead(n_shots, method, other, mean_of(differences), n_won, len(differences))


def as_markdown(report: Mapping[str, Any]) -> str:
    """Means over tables, verdicts, published figures, then means by table; in per cent."""
    best = {one["n_shots"]: one["best"] for one in report["verdicts"]}
    n_draws = {(one["n_shots"], one["method"]): one["n_draws"] for one in report["by_table"]}
    rows = [
        [
            str(one["n_shots"]),
            one["method"],
            str(n_draws[one["n_shots"], one["method"]]),
            Mean(**one["accuracy"]).text,
            Mean(**one["balanced"]).text,
            _beside(report, one, best[one["n_shots"]]),
        ]
        for one in report["over_tables"]
    ]
    head = ["rows a class", "method", "draws", "accuracy", "mean of classes"]
    means = markdown_table([*head, "the best less this (tables ahead)"], rows)
    return "\n\n".join([means, _said(report), published_table(), _by_table(report)])


def _said(report: Mapping[str, Any]) -> str:
    """The verdicts, and which commits measured, if not one alone."""
    verdicts: list[str] = [one["text"] for one in report["verdicts"]]
    older = older_state({name: one["commits"] for name, one in report["training"].items()})
    measured = report["commits"]
    several = f"measured by commits {', '.join(measured)}" if len(measured) > 1 else ""
    return "\n".join(line for line in (*verdicts, older, several) if line)


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
