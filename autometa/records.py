"""What is known of a finished trial: the value that search, studies and storage share."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from autometa.spaces import Config


class TrialState(StrEnum):
    """How a trial ended."""

    COMPLETE = "complete"
    PRUNED = "pruned"
    FAILED = "failed"
    OUT_OF_MEMORY = "out_of_memory"
    TIMED_OUT = "timed_out"
    CRASHED = "crashed"

    @property
    def is_failure(self) -> bool:
        """Whether the trial gave no verdict on its config's quality."""
        return self not in (TrialState.COMPLETE, TrialState.PRUNED)


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """A point of a learning curve: loss on the stop rows of `fold` after `step` steps."""

    fold: int
    step: int
    loss: float


def kind_of(learner: str, config: Config) -> str:
    """What a trial is compared with: trials of its learner whose networks start alike.

    One that starts where a prior says begins near its end, and costs a fraction of another.
    """
    start = config.get("start")
    if start is None:
        return learner
    return f"{learner} from {'its own start' if start == 'standard' else 'a prior'}"


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """One evaluated config.

    Losses are of the study's metric, lower is better, but for those of `curve`, which are of what
    the learner itself is stopped by: log loss, or the loss of values that the metric's `objective`
    names. `loss` is the loss of all out-of-fold predictions together, None unless complete.
    `number` counts from 0 in the study. `origin` says who proposed the config ("default",
    "search", ...).
    """

    number: int
    learner: str
    config: Config
    state: TrialState
    loss: float | None = None
    fold_losses: tuple[float, ...] = ()
    curve: tuple[CurvePoint, ...] = ()
    duration_s: float = 0.0
    peak_memory_mb: float = 0.0
    predict_s: float = 0.0
    n_steps: int | None = None
    origin: str = "search"
    error: str | None = None
    started_at: float = field(default=0.0)

    @property
    def kind(self) -> str:
        """What it is compared with."""
        return kind_of(self.learner, self.config)
