"""`CurvePruner`: gives up trials that curves of other tasks say will not win.

For anyone's Optuna study of one objective; only public parts of Optuna are used.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime

from optuna.pruners import BasePruner
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from autometa.errors import HistoryError
from autometa.search.curves.cautious import is_beaten
from autometa.search.curves.forecasts import CurveModel
from autometa.search.curves.learning import learn_curve_model
from autometa.search.curves.rehearsals import GRACE
from autometa.search.curves.standings import Standing
from autometa.search.curves.tracks import Track, full_length
from autometa.search.histories._base import History

_MAX_TRIALS = (
    256  # finished trials that a running one is compared with: the incumbent and the last
)
_Key = tuple[str, int, datetime | None]
_MAX_KEPT = 4 * _MAX_TRIALS  # tracks kept, of all studies that share the pruner


class CurvePruner(BasePruner):
    """Prunes a trial when its chance to end better than the best one is below a threshold.

    The chance is of a model learned from the curves in `history`, from their shapes alone, so
    metrics, steps and lengths may be others. Its threshold is the largest by which, on tasks that
    a model had not seen, the eventual best trial of a study was pruned with chance `risk`. Steps
    count as shares of the longest complete trial. The first complete trial is a bar at once, so a
    first trial that a prior proposes prunes from the second trial on.

    With less history than `learn_curve_model` asks for, a trial is pruned only if, from a quarter
    of the length on and after five complete trials, it is worse than their median and no complete
    trial fell as far after that step as it must to win: never where `MedianPruner` would not.

    Reports that are not finite tell nothing, unless a trial has no others: then it is hopeless.
    Raises `HistoryError` if `risk` is no chance.
    """

    def __init__(
        self,
        history: History | None = None,
        *,
        model: CurveModel | None = None,
        risk: float = 0.02,
        seed: int = 0,
    ) -> None:
        if not 0 < risk < 1:
            raise HistoryError(f"risk {risk} is no chance: give a number between 0 and 1")
        if model is None and history is not None:
            model = learn_curve_model(history, risk, seed)
        self.model = model
        self._tracks: dict[_Key, Track] = {}

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether to give the trial up. Of Optuna's contract."""
        if not trial.intermediate_values:
            return False
        states = (TrialState.COMPLETE, TrialState.PRUNED)
        finished = study.get_trials(deepcopy=False, states=states)
        is_loss = study.direction is not StudyDirection.MAXIMIZE
        best = _best(finished, is_loss)
        incumbent = None if best is None else self._track(study, best, is_loss)
        if best is None or incumbent is None:
            return False
        recent = [one for one in finished[-_MAX_TRIALS:] if one.number != best.number]
        found = [self._track(study, one, is_loss) for one in recent]
        tracks = [incumbent, *(track for track in found if track is not None)]
        running = Track.of_reports(trial.intermediate_values, _sign(is_loss), is_finished=False)
        if running is None:
            return trial.last_step is not None and trial.last_step >= GRACE * full_length(tracks)
        if self.model is None:
            return is_beaten(running, tracks, incumbent)
        standing = Standing.of(running, tracks, incumbent)
        return standing is not None and standing.chance(self.model) < self.model.threshold

    def _track(self, study: Study, trial: FrozenTrial, is_loss: bool) -> Track | None:
        """Of a finished trial; read once, since it does not change."""
        # the name alone may come again: in another storage, or after the study was deleted
        key = (study.study_name, trial.number, trial.datetime_start)
        kept = self._tracks.get(key)
        if kept is not None:
            return kept
        is_finished = trial.state is TrialState.COMPLETE
        track = Track.of_reports(trial.intermediate_values, _sign(is_loss), is_finished)
        if len(self._tracks) >= _MAX_KEPT:
            self._tracks.clear()  # rare, and safe while other threads read
        if track is not None:
            self._tracks[key] = track
        return track


def _best(trials: Sequence[FrozenTrial], is_loss: bool) -> FrozenTrial | None:
    """The best complete trial that has reports."""
    best, lowest = None, math.inf
    for trial in trials:
        if trial.state is not TrialState.COMPLETE or not trial.intermediate_values:
            continue
        loss = _sign(is_loss) * (math.inf if trial.value is None else trial.value)
        if loss < lowest:
            best, lowest = trial, loss
    return best


def _sign(is_loss: bool) -> float:
    return 1.0 if is_loss else -1.0
