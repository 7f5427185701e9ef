"""The curve model in `autometa tune`: a snapshot that workers ask while they train a fold.

After folds the standards of `FoldPolicy` decide. Within a fold a curve is compared with those that
the learner's other configs had on the same fold, at their best so far, since that is what is kept
of a fit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from autometa.records import CurvePoint, TrialRecord
from autometa.search.curves.forecasts import CurveModel
from autometa.search.curves.standings import Standing
from autometa.search.curves.tracks import Track
from autometa.search.pruning import FoldPolicy, FoldPruner, NeverPolicy

_MAX_TRACKS = (
    64  # of a learner and fold, the best and the last: a snapshot travels with each trial
)


@dataclass(frozen=True, slots=True)
class CurvePolicy:
    """A snapshot of a study: what each learner's trials have reached, and their curves.

    A fold's curve is hopeless if the model says so and it is worse than the median of the
    learner's curves at that step, as a config near the best is worth its time to the ensemble.
    """

    model: CurveModel
    folds: FoldPolicy | NeverPolicy = field(default_factory=NeverPolicy)
    tracks: Mapping[tuple[str, int], tuple[Track, ...]] = field(default_factory=dict)

    def is_hopeless_after_fold(self, kind: str, fold_losses: Sequence[float]) -> bool:
        """Whether the trial misses its learner's standard."""
        return self.folds.is_hopeless_after_fold(kind, fold_losses)

    def is_hopeless_in_fold(self, kind: str, curve: Sequence[CurvePoint]) -> bool:
        """Whether the fold's curve will hardly end better than the learner's best one."""
        tracks = self.tracks.get((kind, curve[-1].fold)) if curve else None
        running = _track([point for point in curve if point.fold == curve[-1].fold])
        if not tracks or running is None:
            return False
        # the best is first: see `LearnedFoldPruner`
        standing = Standing.of(replace(running, is_finished=False), tracks, tracks[0])
        if standing is None:
            return False
        is_worse = float(standing.partial.now[0, 0]) > float(np.median(standing.others))
        return is_worse and standing.chance(self.model) < self.model.threshold


@dataclass(frozen=True, slots=True)
class LearnedFoldPruner:
    """`FoldPruner`, but that a curve model judges curves within a fold."""

    model: CurveModel
    folds: FoldPruner = field(default_factory=FoldPruner)

    def policy(self, trials: Sequence[TrialRecord]) -> CurvePolicy:
        """A snapshot for the next trial."""
        tried = [trial for trial in trials if not trial.state.is_failure]
        found: dict[tuple[str, int], list[Track]] = {}
        for trial in tried:
            for fold in range(len(trial.fold_losses)):  # the last of a pruned trial was cut short
                track = _track([point for point in trial.curve if point.fold == fold])
                if track is not None:
                    found.setdefault((trial.kind, fold), []).append(track)
        enough = self.folds.n_startup_trials
        kept = {key: _kept(tracks) for key, tracks in found.items() if len(tracks) >= enough}
        return CurvePolicy(self.model, self.folds.policy(trials), kept)


def _track(points: Sequence[CurvePoint]) -> Track | None:
    """The best loss so far at each step."""
    by_step = {point.step: point.loss for point in points}
    track = Track.of_reports(by_step, 1.0, is_finished=True)
    if track is None:
        return None
    return replace(track, losses=np.minimum.accumulate(track.losses))


def _kept(tracks: Sequence[Track]) -> tuple[Track, ...]:
    """The one that ended best, then the last of the others."""
    best = min(range(len(tracks)), key=lambda at: tracks[at].last)
    others = [track for at, track in enumerate(tracks) if at != best]
    return (tracks[best], *others[1 - _MAX_TRACKS :])
