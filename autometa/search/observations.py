"""What a study has found out so far, as arrays: losses, failures, and what is still running.

Axes: n trials with a loss, f failures, r running trials, P settings.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from autometa.search.coordinates import Array, Coordinates

# beyond these a factor costs more than another trial tells; the best lead, the newest follow
N_BEST, N_NEWEST = 100, 150

# a pruned trial was worse than most, and nobody knows by how much
_PRUNED_QUANTILE = 0.75


@dataclass(frozen=True, slots=True, eq=False)
class Observations:
    """Rows (n, P) with losses (n,), rows of failures (f, P) and of running trials (r, P).

    `numbers` (n,) are the trials'. A trial that is not feasible counts as a failure.
    """

    rows: Array
    losses: Array
    numbers: tuple[int, ...]
    failed: Array
    running: Array

    @property
    def n_known(self) -> int:
        """How many trials have a loss."""
        return len(self.losses)

    def is_taken(self, rows: Array) -> NDArray[np.bool_]:
        """Which rows (N, P) were tried or are being tried."""
        taken = {key for some in (self.rows, self.failed, self.running) for key in keys_of(some)}
        return np.array([key in taken for key in keys_of(rows)], dtype=bool)


def keys_of(rows: Array) -> list[bytes]:
    """For each row (P,) of several the same bytes if it makes the same config."""
    alike = np.round(np.where(np.isnan(rows), -1.0, rows), 9)
    return [row.tobytes() for row in alike]


@dataclass(slots=True)
class Observer:
    """Reads a study's trials, each only once."""

    coordinates: Coordinates
    _rows: dict[int, Array]

    @classmethod
    def of(cls, coordinates: Coordinates) -> Observer:
        """One that has read nothing yet."""
        return cls(coordinates, {})

    def observe(self, study: Study, asking: int) -> Observations:
        """All trials but the one that is `asking`, or of many the best and the newest."""
        sign = -1.0 if study.direction is StudyDirection.MAXIMIZE else 1.0
        known: list[tuple[FrozenTrial, float]] = []
        pruned: list[FrozenTrial] = []
        failed: list[FrozenTrial] = []
        running: list[FrozenTrial] = []
        for trial in study.get_trials(deepcopy=False):
            if trial.number == asking or trial.state is TrialState.WAITING:
                continue
            if trial.state is TrialState.RUNNING:
                if trial.params:
                    running.append(trial)
            elif trial.state is TrialState.PRUNED:
                pruned.append(trial)
            elif _has_loss(trial):
                known.append((trial, sign * float(trial.values[0])))
            elif trial.params:
                failed.append(trial)
        if known and pruned:
            middling = float(np.quantile([loss for _, loss in known], _PRUNED_QUANTILE))
            known += [(trial, middling) for trial in pruned if trial.params]
        kept = _best_and_newest(known)
        return Observations(
            self._stack([trial for trial, _ in kept]),
            np.array([loss for _, loss in kept]),
            tuple(trial.number for trial, _ in kept),
            self._stack(failed[-N_NEWEST:]),
            self._stack(running, keep=False),
        )

    def _stack(self, trials: Sequence[FrozenTrial], keep: bool = True) -> Array:
        rows = [self._row(trial, keep) for trial in trials]
        return np.stack(rows) if rows else np.zeros((0, len(self.coordinates.distributions)))

    def _row(self, trial: FrozenTrial, keep: bool) -> Array:
        row = self._rows.get(trial.number) if keep else None
        if row is None:
            row = self.coordinates.of([trial.params])[0]
            if keep:
                self._rows[trial.number] = row
        return row


def _has_loss(trial: FrozenTrial) -> bool:
    if trial.state is not TrialState.COMPLETE or not trial.values:
        return False
    # Optuna 5: a trial is feasible if none of its constraints is above 0
    is_feasible = all(value <= 0.0 for value in trial.constraints.values())
    return is_feasible and math.isfinite(trial.values[0])


def _best_and_newest(known: list[tuple[FrozenTrial, float]]) -> list[tuple[FrozenTrial, float]]:
    if len(known) <= N_BEST + N_NEWEST:
        return known
    order = np.argsort([loss for _, loss in known], kind="stable")
    best = set(order[:N_BEST].tolist())
    newest = [at for at in range(len(known)) if at not in best][-N_NEWEST:]
    return [known[at] for at in sorted(best | set(newest))]
