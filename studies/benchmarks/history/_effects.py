"""One arm of a stream beside another: how much lower its losses are, how much sooner, on how many.

Noise is that of the held-out rows: the standard error of the mean difference of two models' losses
on the same rows. That two equal runs differ as well is what the arm `again` shows.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from autometa.studies.benchmarks._loss_ratios import (
    log_ratio,
    mean_with_interval,
    ratio_with_interval,
)
from autometa.studies.benchmarks.history._arms import ArmRun
from autometa.studies.benchmarks.history._row_losses import difference
from autometa.studies.benchmarks.history._streams import StreamTable

FIGURES = ("test_loss", "ensemble_loss", "trial_loss")
_BEYOND_NOISE = 2.0  # standard errors: one table in forty by the chance of its test rows alone


@dataclass(frozen=True, slots=True)
class Compared:
    """Two arms on one table; below a ratio of 1, a log of 0, the first is the better.

    `log_ratios` lacks the figures that one of the arms has none of. `seconds` is when the first
    arm was as good as the other's best trial ever was, `other_seconds` when the other was.
    """

    table: StreamTable
    log_ratios: dict[str, float]
    apart: float
    noise: float
    seconds: float
    other_seconds: float
    is_failed: bool = False
    is_other_failed: bool = False

    @property
    def is_worse_beyond_noise(self) -> bool:
        """On the held-out rows, or for want of a model."""
        if self.is_failed or self.is_other_failed:
            return not self.is_other_failed
        return self.apart > _BEYOND_NOISE * self.noise

    @property
    def is_better_beyond_noise(self) -> bool:
        """The reverse."""
        if self.is_failed or self.is_other_failed:
            return not self.is_failed
        return -self.apart > _BEYOND_NOISE * self.noise

    @property
    def share_of_time(self) -> float:
        """Of the time that the other arm took to its best trial; infinite if never as good."""
        return self.seconds / self.other_seconds


def compare(table: StreamTable, one: ArmRun, other: ArmRun) -> Compared:
    """The first arm beside the other."""
    if one.error is not None or other.error is not None:
        failed = one.error is not None, other.error is not None
        return Compared(table, {}, 0.0, math.inf, math.inf, math.inf, *failed)
    pairs = {name: (getattr(one, name), getattr(other, name)) for name in FIGURES}
    logs = {
        name: log_ratio(*pair)
        for name, pair in pairs.items()
        if all(loss is not None and math.isfinite(loss) for loss in pair)
    }
    apart, noise = difference(one.row_losses, other.row_losses)
    aim = other.trial_loss
    return Compared(table, logs, apart, noise, one.seconds_to(aim), other.seconds_to(aim))


def effect(compared: Sequence[Compared]) -> dict[str, object]:
    """Of a group of tables: shares, ratios with intervals over families, and times."""
    told: dict[str, object] = {
        "n_tables": len(compared),
        "n_failed": sum(one.is_failed for one in compared),
        "n_other_failed": sum(one.is_other_failed for one in compared),
        "n_worse_beyond_noise": sum(one.is_worse_beyond_noise for one in compared),
        "n_better_beyond_noise": sum(one.is_better_beyond_noise for one in compared),
    }
    for name in FIGURES:
        known = [one for one in compared if name in one.log_ratios]
        if known:
            told[name] = _figure(
                [one.log_ratios[name] for one in known], [one.table.family for one in known]
            )
    timed = [one for one in compared if math.isfinite(one.other_seconds)]
    if timed:
        told["median_seconds"] = finite(statistics.median(one.seconds for one in timed))
        told["median_other_seconds"] = statistics.median(one.other_seconds for one in timed)
        told["median_share_of_time"] = finite(
            statistics.median(one.share_of_time for one in timed)
        )
        told["n_never_as_good"] = sum(math.isinf(one.seconds) for one in timed)
    return told


def finite(value: float) -> float | None:
    """None for what is not finite, which JSON cannot say."""
    return value if math.isfinite(value) else None


def _figure(logs: Sequence[float], families: Sequence[str]) -> dict[str, object]:
    is_better = [float(log < 0.0) for log in logs]
    return {
        "n_better": int(sum(is_better)),
        "n_equal": sum(log == 0.0 for log in logs),
        "share_better": asdict(mean_with_interval(is_better, families)),
        "ratio": asdict(ratio_with_interval(logs, families)),
    }
