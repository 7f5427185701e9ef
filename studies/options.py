"""What a user asks of one `tune`: every option, checked once, before any work is done."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from autometa.errors import OptionError
from autometa.learners import available_learners
from autometa.tables.preparation import TableOptions
from autometa.tables.reading import ReadOptions

# the store keeps a seed as a signed integer of 64 bits
_SEEDS = 2**63
MOST_ROWS = 2_000
"""Rows of a table that meta-training has a use for; so many are kept if nobody says otherwise."""
_FEWEST_ROWS = 20  # fewer make no task


@dataclass(frozen=True, slots=True)
class TuneOptions:
    """The options of one study.

    `time_s` and `n_trials` are budgets, whichever ends first; with neither, 60 seconds. With
    `n_trials` alone, equal seeds give equal trials; beside a time it is no more than a cap.
    `started_at` is the moment on the monotonic clock from which `time_s` counts (None: when `tune`
    is called; the command line counts from the start of its process). `holdout` is a share of the
    rows that no search sees, `test` another file with the same columns. `n_jobs` is the number of
    worker processes (None: one per core, or fewer where memory is short); 0 runs trials in this
    process. `memory_mb` bounds workers and driver together, but can hold back workers only: a
    driver that takes more than its part of it leaves them less.

    `use_prior` allows whatever was learned across tables. `use_past` is its part in the search:
    first configs, sampling, pruning and stopping, by how other tables responded: those that come
    with us and, of the store, those most like this one. `warm_start` names a study, or another
    store, to take the place of the latter; "none" leaves them out.

    `keep_rows` are the rows that the store keeps of the table, 0 for none and for no more of those
    that it has of it; None leaves it to the environment and to what was chosen for the store.

    `learn` "auto" has a prior learned from the store's tables in the background when the study is
    over, "never" does not; None leaves it to the environment.

    `is_instant` is no search at all, but the network that a prior proposes: `instant` makes such
    options of others.
    """

    table: TableOptions = field(default_factory=TableOptions)
    reading: ReadOptions = field(default_factory=ReadOptions)
    time_s: float | None = None
    n_trials: int | None = None
    started_at: float | None = None
    metric: str | None = None
    seed: int = 0
    n_jobs: int | None = None
    memory_mb: float | None = None
    learners: tuple[str, ...] = ()
    holdout: float | None = None
    test: object | None = None
    store: str | Path | None = None
    output: Path | None = None
    use_prior: bool = True
    use_past: bool = True
    warm_start: str | None = None
    prior_file: Path | None = None
    keep_rows: int | None = None
    learn: str | None = None
    is_fresh: bool = False
    is_instant: bool = False
    max_members: int = 12

    def __post_init__(self) -> None:
        _check(self.n_trials is None or self.n_trials >= 1, "--trials must be 1 or more")
        _check(self.time_s is None or self.time_s > 0, "--time must be more than zero")
        _check(self.n_jobs is None or self.n_jobs >= 0, "--jobs must be 0 or more")
        _check(0 <= self.seed < _SEEDS, "--seed must be 0 or more, and less than 2^63")
        _check(
            self.n_jobs != 0 or self.memory_mb is None,
            "--memory holds worker processes back, and --jobs 0 has none: give one or the other",
        )
        _check(
            self.use_prior or self.prior_file is None,
            "--prior-file is a prior to use and --no-prior forbids it: give one or the other",
        )
        _check(
            self.warm_start is None or (self.use_prior and self.use_past),
            "--from says whose tables help, and --no-prior and --no-past let none: leave one out",
        )
        is_file = self.prior_file is None or self.prior_file.is_file()
        _check(is_file, f"--prior-file {self.prior_file} is no file: see autometa prior train")
        is_share = self.holdout is None or 0 < self.holdout < 1
        _check(is_share, "--holdout is a share of the rows between 0 and 1, such as 0.2")
        _check(
            self.holdout is None or self.test is None,
            "give either --holdout or --test, not both: each is a score no search has seen",
        )
        is_known = self.learn in (None, "auto", "never")
        _check(is_known, f"--learn is auto or never, not {self.learn!r}")
        unknown = sorted(set(self.learners) - set(available_learners()))
        _check(
            not unknown,
            f"unknown learners {', '.join(unknown)}; there are {', '.join(available_learners())}",
        )

    def instant(self) -> TuneOptions:
        """The same for a model at once: one trial, which is the prior's own, in this process.

        Raises `OptionError` for budgets, learners and workers of which nothing would be left.
        """
        is_said = self.time_s or self.n_trials or self.learners or self.memory_mb
        _check(
            not is_said and self.n_jobs is None,
            "an instant model is one network without a search, in this process: leave --time, "
            "--trials, --learners, --jobs and --memory out",
        )
        _check(self.use_prior, "an instant model is the prior's: leave --no-prior out")
        _check(self.warm_start is None, "an instant model is not searched for: leave --from out")
        return replace(
            self, time_s=None, n_trials=1, n_jobs=0, learners=("network",), is_instant=True
        )

    @property
    def planned_s(self) -> float | None:
        """Seconds that folds are planned for: the fewest folds for an instant model."""
        return 0.0 if self.is_instant else self.budget_s

    @property
    def budget_s(self) -> float | None:
        """Seconds the study may take; None if only trials are counted."""
        return 60.0 if self.time_s is None and self.n_trials is None else self.time_s

    @property
    def is_counted(self) -> bool:
        """Whether trials alone are the budget: then the clock must change nothing."""
        return self.budget_s is None

    @property
    def learner_names(self) -> tuple[str, ...]:
        """The learners to search over."""
        return self.learners or available_learners()


def parse_rows(said: str | int, by: str) -> int:
    """A number of rows to keep, 0 for "none". Raises `OptionError`, naming who said it."""
    text = str(said).strip()
    if text in ("none", "0"):
        return 0
    if text.isdecimal() and _FEWEST_ROWS <= int(text) <= MOST_ROWS:
        return int(text)
    raise OptionError(
        f"{by} is {text!r}: give a number of rows from {_FEWEST_ROWS} to {MOST_ROWS:,}, or none"
    )


def _check(is_fine: bool, message: str) -> None:
    if not is_fine:
        raise OptionError(message)
