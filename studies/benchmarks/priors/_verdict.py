"""From losses of tables to what is claimed: on how many tables an arm is better, and by how much.

A table's loss is the mean over its seeds. Ratios are geometric means over tables; below 1 favours
the first. The one rate for all tensors is the best over these very tables, which favours it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from autometa.studies.benchmarks.metalearning._results import markdown_table
from autometa.studies.benchmarks.priors._measuring import ONE_RATES, Measured


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two arms over the tables that have both.

    `n_better` are the tables with a lower loss of the first; `n_diverged` those on which the first
    has no finite loss, which count against it.
    """

    first: str
    second: str
    n_tables: int
    n_better: int
    n_diverged: int
    ratio: float | None

    @property
    def share(self) -> float:
        """Of tables on which the first is better."""
        return self.n_better / self.n_tables if self.n_tables else math.nan


def compare(measured: Sequence[Measured], first: str, second: str) -> Comparison:
    """On how many tables the first is better."""
    pairs = [
        (a, b)
        for one in measured
        if (a := one.mean(first)) is not None and (b := one.mean(second)) is not None
    ]
    logs = [math.log(max(a, 1e-9) / max(b, 1e-9)) for a, b in pairs if math.isfinite(a + b)]
    ratio = math.exp(sum(logs) / len(logs)) if logs else None
    n_better = sum(a < b for a, b in pairs)
    n_diverged = sum(not math.isfinite(a) for a, _ in pairs)
    return Comparison(first, second, len(pairs), n_better, n_diverged, ratio)


def seconds(measured: Sequence[Measured], members: int) -> dict[str, float]:
    """Of a proposal: the mean over tables, and the longest table's."""
    name = f"seconds prior x{members}"
    found = [value for one in measured if (value := one.mean(name)) is not None]
    return {"mean": sum(found) / len(found), "longest": max(found)} if found else {}


def loops(measured: Sequence[Measured]) -> dict[str, int]:
    """How many short inner loops were run on scaled columns, and how many diverged."""
    every = [values for one in measured for values in one.by_seed.values() if "loops" in values]
    return {
        name: int(sum(values[name] for values in every))
        for name in ("loops", "loops that diverged")
        if every
    }


def comparisons(measured: Sequence[Measured], members: int, rate: float) -> list[Comparison]:
    """All that are claimed, as far as they were measured."""
    zero = f"prior x{members} at 0"
    pairs = [
        (zero, "lightgbm"),
        (zero, "random forest"),
        (zero, "random forest, smoothed"),
        (zero, "hist gradient boosting"),
        (zero, "prior x1 at 0"),
        (zero, f"untrained x{members} at 0"),
        ("prior at 10", "standard at 200"),
        *((f"prior at {n}", f"standard at {n}") for n in (10, 50, 200, 1000)),
        *((f"prior at {n}", f"untrained at {n}") for n in (10, 50, 200, 1000)),
        ("prior in full", "standard in full"),
        ("learned rates at 50", f"one rate {rate:g} at 50"),
    ]
    found = [compare(measured, *pair) for pair in dict.fromkeys(pairs)]
    return [one for one in found if one.n_tables]


def best_rate(measured: Sequence[Measured]) -> float:
    """The one rate with the lowest geometric mean of losses over tables."""

    def score(rate: float) -> float:
        losses = [one.mean(f"one rate {rate:g} at 50") for one in measured]
        logs = [math.log(max(loss, 1e-9)) for loss in losses if loss is not None]
        return sum(logs) / len(logs) if logs else math.inf

    return min(ONE_RATES, key=score)


def as_markdown(found: Sequence[Comparison]) -> str:
    """A line for each comparison."""
    rows = [
        (
            one.first,
            one.second,
            f"{one.n_better} of {one.n_tables}",
            f"{100 * one.share:.0f} %",
            "" if one.ratio is None else f"{one.ratio:.3f}",
        )
        for one in found
    ]
    return markdown_table(("arm", "against", "better", "share", "loss ratio"), rows)
