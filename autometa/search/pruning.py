"""Pruners: which trials to give up while they run.

They err on the side of letting a trial finish: a config near the best is worth its time even when
it does not win, because the ensemble is made of such.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from autometa.records import CurvePoint, TrialRecord, TrialState

# Shares of a typical curve's length at which a curve is looked at: before half of it a slow
# learning rate cannot be told from a bad one
CHECKPOINTS = (0.5, 0.75, 1.0, 1.5, 2.0)
SLOWNESS = 2.0  # a curve is compared with where others were in 1 / SLOWNESS of its steps


@dataclass(frozen=True, slots=True)
class NeverPolicy:
    """Finds no trial hopeless."""

    def is_hopeless_after_fold(self, kind: str, fold_losses: Sequence[float]) -> bool:
        """Never."""
        del kind, fold_losses
        return False

    def is_hopeless_in_fold(self, kind: str, curve: Sequence[CurvePoint]) -> bool:
        """Never."""
        del kind, curve
        return False


class NeverPrune(NeverPolicy):
    """The pruner that lets every trial finish; it is its own policy."""

    def policy(self, trials: Sequence[TrialRecord]) -> NeverPolicy:
        """The policy that finds no trial hopeless."""
        del trials
        return NeverPolicy()


_NEVER = NeverPolicy()


@dataclass(frozen=True, slots=True)
class CurveLimits:
    """What a curve of one learner on one fold must have reached.

    `losses[i]` is the limit from `CHECKPOINTS[i]` of `typical_steps` on.
    """

    typical_steps: float
    losses: tuple[float, ...]

    def is_exceeded(self, curve: Sequence[CurvePoint]) -> bool:
        """Whether the best loss so far is above the limit of the last checkpoint passed."""
        position = curve[-1].step / self.typical_steps
        passed = sum(position >= checkpoint for checkpoint in CHECKPOINTS)
        if not passed:
            return False
        return not min(point.loss for point in curve) <= self.losses[passed - 1]


@dataclass(frozen=True, slots=True)
class FoldStandard:
    """What one learner's trials have reached: its best trial, the middling ones, and the noise.

    `best` are the best trial's fold losses. `medians[k]` is the median over trials of the mean of
    the first k + 1 fold losses. `noise` is the standard deviation of one fold's difference between
    two trials around their mean difference.
    """

    best: tuple[float, ...]
    medians: tuple[float, ...]
    noise: float

    def is_missed(self, fold_losses: Sequence[float], n_noises: float) -> bool:
        """Whether the mean is behind the best trial's by more than noise, and below the median."""
        k = len(fold_losses)
        if not 0 < k < len(self.best):  # after the last fold there is no time left to save
            return False
        mean = float(np.mean(fold_losses))
        margin = n_noises * self.noise / k**0.5
        is_behind = not mean <= float(np.mean(self.best[:k])) + margin
        return is_behind and not mean <= self.medians[k - 1]


@dataclass(frozen=True, slots=True)
class FoldPolicy:
    """A snapshot of a study: what each learner's trials have reached, and its usual curves.

    Learners are compared with themselves only: the ensemble wants good models of every kind, and
    how much of the search a weak learner gets is the allocation's to say.
    """

    standards: Mapping[str, FoldStandard] = field(default_factory=dict)
    n_noises: float = 1.0
    limits: Mapping[tuple[str, int], CurveLimits] = field(default_factory=dict)

    def is_hopeless_after_fold(self, kind: str, fold_losses: Sequence[float]) -> bool:
        """Whether the trial misses its learner's standard."""
        standard = self.standards.get(kind)
        return standard is not None and standard.is_missed(fold_losses, self.n_noises)

    def is_hopeless_in_fold(self, kind: str, curve: Sequence[CurvePoint]) -> bool:
        """Whether the fold's curve is well above what the learner's other configs had by then."""
        if not curve:
            return False
        limits = self.limits.get((kind, curve[-1].fold))
        return limits is not None and limits.is_exceeded(
            [point for point in curve if point.fold == curve[-1].fold]
        )


@dataclass(frozen=True, slots=True)
class FoldPruner:
    """Prunes a trial that is behind its learner's best by more than noise and below its median.

    Within a fold it prunes a curve that, past half of the learner's usual length, is worse by
    `n_spreads` interquartile ranges than the median of the learner's curves in half as many steps.
    Nothing is pruned before `n_startup_trials` trials of the learner are complete.
    """

    n_startup_trials: int = 5  # as Optuna's MedianPruner
    n_noises: float = 2.0  # a twentieth of equals would be pruned if the median did not save them
    n_spreads: float = 3.0

    def policy(self, trials: Sequence[TrialRecord]) -> FoldPolicy | NeverPolicy:
        """A snapshot for the next trial."""
        tried = [trial for trial in trials if not trial.state.is_failure]
        standards: dict[str, FoldStandard] = {}
        for kind in sorted({trial.kind for trial in tried}):
            standard = self._standard([trial for trial in tried if trial.kind == kind])
            if standard is not None:
                standards[kind] = standard
        return FoldPolicy(standards, self.n_noises, self._limits(tried)) if standards else _NEVER

    def _standard(self, tried: Sequence[TrialRecord]) -> FoldStandard | None:
        """What one learner's trials have reached, once enough of them are complete."""
        complete = [
            trial
            for trial in tried
            if trial.state is TrialState.COMPLETE and np.isfinite(trial.fold_losses).all()
        ]
        if len(complete) < self.n_startup_trials:
            return None
        best = min(complete, key=lambda trial: (float(np.mean(trial.fold_losses)), trial.number))
        return FoldStandard(
            best.fold_losses,
            _medians([trial.fold_losses for trial in tried], len(best.fold_losses)),
            _noise([trial.fold_losses for trial in complete], best.fold_losses),
        )

    def _limits(self, trials: Sequence[TrialRecord]) -> dict[tuple[str, int], CurveLimits]:
        curves: dict[tuple[str, int], list[list[CurvePoint]]] = {}
        for trial in trials:
            # the last fold of a pruned trial was cut short, so its length is not typical
            n_whole = len(trial.fold_losses)
            by_fold: dict[int, list[CurvePoint]] = {}
            for point in trial.curve:
                by_fold.setdefault(point.fold, []).append(point)
            for fold, points in by_fold.items():
                if fold < n_whole:
                    curves.setdefault((trial.kind, fold), []).append(points)
        return {
            key: self._limits_of(found)
            for key, found in curves.items()
            if len(found) >= self.n_startup_trials
        }

    def _limits_of(self, curves: Sequence[Sequence[CurvePoint]]) -> CurveLimits:
        typical = float(np.median([curve[-1].step for curve in curves]))
        losses: list[float] = []
        for checkpoint in CHECKPOINTS:
            reached = [
                _best_until(curve, checkpoint / SLOWNESS * curve[-1].step) for curve in curves
            ]
            low, middle, high = np.quantile(reached, [0.25, 0.5, 0.75])
            losses.append(float(middle + self.n_spreads * (high - low)))
        return CurveLimits(max(typical, 1.0), tuple(losses))


def _best_until(curve: Sequence[CurvePoint], step: float) -> float:
    losses = [point.loss for point in curve if point.step <= step]
    return min(losses, default=curve[0].loss)


def _medians(fold_losses: Sequence[tuple[float, ...]], n_folds: int) -> tuple[float, ...]:
    """The median of the means of the first 1, 2, ... losses, over trials that got so far."""
    medians: list[float] = []
    for k in range(1, n_folds + 1):
        means = [float(np.mean(losses[:k])) for losses in fold_losses if len(losses) >= k]
        medians.append(float(np.median(means)))
    return tuple(medians)


def _noise(fold_losses: Sequence[tuple[float, ...]], best: tuple[float, ...]) -> float:
    """The middling deviation of one fold's difference to the best trial from their mean one."""
    deviations = [
        float(np.std(np.subtract(losses, best), ddof=1))
        for losses in fold_losses
        if len(losses) == len(best) > 1 and losses != best
    ]
    return float(np.median(deviations)) if deviations else 0.0
