"""What a study has found out so far, as arrays: losses, failures, and what is still running.

Axes: n trials with a loss, f failures, r running trials, P settings.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock

import numpy as np
from numpy.typing import NDArray
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from autometa.search.coordinates import Array, Coordinates

# beyond these a factor costs more than another trial tells; the best lead, the newest follow
N_BEST, N_NEWEST = 100, 100

_LEAST_S = 0.01  # of a trial; what takes less is no cheaper to a study

# threads of one study share its observer; one lock for all, since an observer may be pickled
_READING = Lock()

# where too few finished trials had its step, a pruned trial is as bad as this quantile of losses
_PRUNED_QUANTILE, _LEAST_COMPARED = 0.75, 3


PASSED_OVER = "autometa_passed_over"
"""A failed trial with this user attribute never ran: its config was asked for and not wanted."""


@dataclass(frozen=True, slots=True, eq=False)
class Observations:
    """Rows (n, P) with losses (n,), rows of failures (f, P) and of running trials (r, P).

    `numbers` (n,) are the trials', `log_seconds` (n,) what they took, NaN where a trial was cut
    short. A trial that is not feasible counts as a failure. Rows `passed_over` (u, P) were asked
    for and given back: they tell nothing, and are not asked for again.
    """

    rows: Array
    losses: Array
    numbers: tuple[int, ...]
    failed: Array
    running: Array
    log_seconds: Array
    passed_over: Array

    @property
    def n_known(self) -> int:
        """How many trials have a loss."""
        return len(self.losses)

    def is_taken(self, rows: Array) -> NDArray[np.bool_]:
        """Which rows (N, P) were tried or are being tried."""
        every = (self.rows, self.failed, self.running, self.passed_over)
        taken = {key for some in every for key in keys_of(some)}
        return np.array([key in taken for key in keys_of(rows)], dtype=bool)


def keys_of(rows: Array) -> list[bytes]:
    """For each row (P,) of several the same bytes if it makes the same config."""
    alike = np.round(np.where(np.isnan(rows), -1.0, rows), 9)
    return [row.tobytes() for row in alike]


@dataclass(slots=True)
class _Finished:
    """Numbers of finished trials by their outcome, with the losses of those that have one."""

    known: list[int] = field(default_factory=list[int])
    losses: list[float] = field(default_factory=list[float])
    log_seconds: list[float] = field(default_factory=list[float])
    pruned: list[int] = field(default_factory=list[int])
    pruned_at: list[tuple[int, float] | None] = field(
        default_factory=list[tuple[int, float] | None]
    )
    failed: list[int] = field(default_factory=list[int])
    passed_over: list[int] = field(default_factory=list[int])
    _by_step: dict[int, list[float]] = field(default_factory=dict[int, list[float]])

    def take(self, trial: FrozenTrial, sign: float) -> None:
        """Take in one more; without settings it tells nothing."""
        if trial.state is TrialState.PRUNED and trial.params:
            self.pruned.append(trial.number)
            step = trial.last_step
            value = None if step is None else sign * trial.intermediate_values[step]
            self.pruned_at.append(None if step is None or value is None else (step, value))
        elif _has_loss(trial):
            self.known.append(trial.number)
            for step, value in trial.intermediate_values.items():
                self._by_step.setdefault(step, []).append(sign * value)
            self.losses.append(sign * float(trial.values[0]))
            self.log_seconds.append(_log_seconds(trial))
        elif trial.params and PASSED_OVER in trial.user_attrs:
            self.passed_over.append(trial.number)
        elif trial.params:
            self.failed.append(trial.number)

    def shares_better(self) -> list[float]:
        """What share of the finished trials was better at the step where each one was pruned.

        Of all that are finished by now, in whatever order they were read.
        """
        ordered = {at[0]: np.sort(self._by_step.get(at[0], [])) for at in self.pruned_at if at}
        return [
            _PRUNED_QUANTILE if at is None else _share(at[1], ordered[at[0]])
            for at in self.pruned_at
        ]


@dataclass(slots=True)
class Observer:
    """Reads a study's trials, each finished one only once, in whatever order they finish."""

    coordinates: Coordinates
    _rows: dict[int, Array] = field(default_factory=dict[int, Array])
    _finished: _Finished = field(default_factory=_Finished)
    _read: set[int] = field(default_factory=set[int])
    _n_settled: int = 0

    def observe(self, study: Study, asking: int) -> Observations:
        """All trials but the one that is `asking`, or of many the best and the newest."""
        with _READING:
            return self._observe(study, asking)

    def _observe(self, study: Study, asking: int) -> Observations:
        sign = -1.0 if study.direction is StudyDirection.MAXIMIZE else 1.0
        running: list[Array] = []
        trials = study.get_trials(deepcopy=False)
        for trial in trials[self._n_settled :]:
            if trial.state.is_finished():
                if trial.number not in self._read:
                    self._take(trial, sign)
            elif trial.number != asking and trial.state is TrialState.RUNNING and trial.params:
                running.append(self.coordinates.of([trial.params])[0])
        while self._n_settled in self._read:
            self._n_settled += 1
        return self._observations(running)

    def _take(self, trial: FrozenTrial, sign: float) -> None:
        self._read.add(trial.number)
        self._finished.take(trial, sign)
        if trial.params:
            self._rows[trial.number] = self.coordinates.of([trial.params])[0]

    def _observations(self, running: Sequence[Array]) -> Observations:
        seen = self._finished
        numbers, losses, failed = [*seen.known], [*seen.losses], [*seen.failed]
        log_seconds = [*seen.log_seconds]
        if losses:
            numbers += seen.pruned
            losses += np.quantile(losses, seen.shares_better()).tolist()
            log_seconds += [math.nan] * len(seen.pruned)
        else:  # worse than nothing that is known: no more than that they were tried
            failed += seen.pruned
        kept = _best_and_newest(numbers, np.array(losses))
        return Observations(
            self._stack([self._rows[numbers[at]] for at in kept]),
            np.array([losses[at] for at in kept]),
            tuple(numbers[at] for at in kept),
            self._stack([self._rows[number] for number in failed[-N_NEWEST:]]),
            self._stack(running),
            np.array([log_seconds[at] for at in kept]),
            self._stack([self._rows[number] for number in seen.passed_over[-N_NEWEST:]]),
        )

    def _stack(self, rows: Sequence[Array]) -> Array:
        return np.stack(rows) if rows else np.zeros((0, len(self.coordinates.distributions)))


def _share(value: float, others: Array) -> float:
    if len(others) < _LEAST_COMPARED:
        return _PRUNED_QUANTILE
    if math.isnan(value):
        return 1.0
    n_better = int(np.searchsorted(others, value))
    between = max(n_better, 1) - 0.5  # the last that was better, and the next
    return min(between / (len(others) - 1), 1.0)


def _has_loss(trial: FrozenTrial) -> bool:
    if trial.state is not TrialState.COMPLETE or not trial.values:
        return False
    # Optuna 5: a trial is feasible if none of its constraints is above 0
    is_feasible = all(value <= 0.0 for value in trial.constraints.values())
    return is_feasible and math.isfinite(trial.values[0])


def _log_seconds(trial: FrozenTrial) -> float:
    took = trial.duration
    return math.nan if took is None else math.log(max(took.total_seconds(), _LEAST_S))


def _best_and_newest(numbers: Sequence[int], losses: Array) -> list[int]:
    """Places of the trials that are kept, in the order of their numbers."""
    by_number: list[int] = np.argsort(numbers, kind="stable").tolist()
    if len(numbers) <= N_BEST + N_NEWEST:
        return by_number
    best = set(np.argsort(losses, kind="stable")[:N_BEST].tolist())
    newest = [at for at in by_number if at not in best][-N_NEWEST:]
    chosen = best.union(newest)
    return [at for at in by_number if at in chosen]
