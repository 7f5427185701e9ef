"""Pairs of tuned tables as figures: on how many the priors help, and how much sooner."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from autometa.studies.benchmarks._loss_ratios import log_ratio, ratio_with_interval
from autometa.studies.benchmarks.metalearning._results import markdown_table
from autometa.studies.benchmarks.search._tuned_pairs import Tuned

_FIGURES = ("test_loss", "ensemble_loss", "trial_loss")


@dataclass(frozen=True, slots=True)
class TableEffect:
    """Of one table, over its splits: mean logs of loss with over loss without, by figure.

    `seconds` is the median time with the priors to the best trial's loss without them.
    """

    table: str
    kind: str
    n_splits: int
    log_ratios: dict[str, float]
    seconds: float
    seconds_without: float


def effects(pairs: Sequence[tuple[Tuned, Tuned]]) -> list[TableEffect]:
    """Of all tables."""
    found: list[TableEffect] = []
    for table in dict.fromkeys(one.table for one, _ in pairs):
        own = [(a, b) for a, b in pairs if a.table == table]
        logs = {
            name: statistics.fmean(log_ratio(getattr(a, name), getattr(b, name)) for a, b in own)
            for name in _FIGURES
        }
        to_best = [a.seconds_to(b.trial_loss) for a, b in own]
        without = [b.seconds_to(b.trial_loss) for _, b in own]
        found.append(
            TableEffect(
                table,
                own[0][0].kind,
                len(own),
                logs,
                statistics.median(to_best),
                statistics.median(without),
            )
        )
    return found


def tuned_report(found: Sequence[TableEffect]) -> dict[str, object]:
    """The verdict: shares of tables that are better, ratios with intervals, and times."""
    report: dict[str, object] = {"n_tables": len(found)}
    if not found:
        return report
    for name in _FIGURES:
        logs = np.array([one.log_ratios[name] for one in found])
        report[name] = {
            "n_better": int((logs < 0.0).sum()),
            "n_equal": int((logs == 0.0).sum()),
            "share_better": float((logs < 0.0).mean()),
            "ratio": asdict(ratio_with_interval(logs.tolist())),
        }
    seconds = statistics.median(one.seconds for one in found)
    report["median_seconds_to_best_without"] = seconds if math.isfinite(seconds) else None
    own = statistics.median(one.seconds_without for one in found)
    report["median_seconds_of_best_without"] = own
    report["tables"] = [
        {
            "table": one.table,
            "kind": one.kind,
            "n_splits": one.n_splits,
            "ratios": {name: math.exp(value) for name, value in one.log_ratios.items()},
            "seconds": one.seconds if math.isfinite(one.seconds) else None,
            "seconds_without": one.seconds_without,
        }
        for one in found
    ]
    return report


def tuned_markdown(found: Sequence[TableEffect]) -> str:
    """A line for each table, those first that gain most on test rows; then the verdict."""
    ordered = sorted(found, key=lambda one: one.log_ratios["test_loss"])
    rows = [
        (
            one.table,
            *(f"{math.exp(one.log_ratios[name]):.3f}" for name in _FIGURES),
            f"{one.seconds:.1f}" if math.isfinite(one.seconds) else "never",
            f"{one.seconds_without:.1f}",
        )
        for one in ordered
    ]
    head = ("table", "test", "ensemble", "best trial", "s to best without", "without's own")
    report = tuned_report(found)
    lines = [f"{name}: {value}" for name, value in report.items() if name != "tables"]
    return markdown_table(head, rows) + "\n\n" + "\n".join(lines)
