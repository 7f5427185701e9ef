"""`GainStopper`: ends a study that the next trials are hardly going to better.

Two faces: `autometa tune` asks `reason_to_stop`, and an Optuna study takes it as a callback.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from autometa.errors import HistoryError
from autometa.records import TrialRecord, TrialState
from autometa.search.histories._base import History
from autometa.search.stoppers.gains import GainModel, figures, spreads
from autometa.search.stoppers.learning import HORIZON, MAX_LOSS, learn_gain_model, traces_of
from autometa.search.stopping import PatienceStopper

Array = NDArray[np.float64]

ATTRIBUTE = "autometa:why_stopped"  # the study's user attribute with the reason
_MAX_TRIALS = 1000  # looked at: the gain to come does not hang on how the first of more did
_FALLBACK = PatienceStopper()  # where nothing was learned


class GainStopper:
    """Stops when the expected gain over the next `horizon` trials is not worth them.

    That is: below `noise`, the standard error of a trial's score, or below a share of the spread
    of the study's losses (from the best to the worst but a tenth) that cost `max_loss` of the
    range of losses on past tasks left out. `noise` is taken from fold losses where trials have
    them. Give a `history`, traces of past studies by task (losses, lower is better, in order), or
    a `model`. With fewer than five tasks it is as patient as `PatienceStopper`.

    Pruned trials count as trials without gain, failed ones not at all. Raises `HistoryError` for
    what is out of range.
    """

    def __init__(
        self,
        history: History | None = None,
        *,
        traces: Sequence[Sequence[Array]] = (),
        model: GainModel | None = None,
        horizon: int = HORIZON,
        min_trials: int = 20,
        max_loss: float = MAX_LOSS,
        noise: float | None = None,
        seed: int = 0,
    ) -> None:
        if horizon < 1 or min_trials < 2 or not 0 < max_loss < 1 or not (noise or 0) >= 0:
            raise HistoryError(
                "a stopper needs horizon >= 1, min_trials >= 2, max_loss between 0 and 1 and "
                f"noise >= 0, not {horizon}, {min_trials}, {max_loss} and {noise}"
            )
        past = [*traces, *(traces_of(history, seed) if history is not None else ())]
        self.model = model or learn_gain_model(past, max_loss, horizon)
        self.min_trials = min_trials
        self.noise = noise

    def __call__(self, study: Study, trial: FrozenTrial) -> None:
        """Stop an Optuna study of one objective, and keep why in its attributes."""
        del trial
        reason = self._reason_of(study)
        if reason is not None:
            study.set_user_attr(ATTRIBUTE, reason)
            study.stop()

    def reason_to_stop(self, trials: Sequence[TrialRecord]) -> str | None:
        """The expected gain and what it is below of; None to go on."""
        if self.model is None:
            return _FALLBACK.reason_to_stop(trials)
        tried = sorted(
            (trial for trial in trials if not trial.state.is_failure),
            key=lambda trial: trial.number,
        )
        noise = _noise_of(tried) if self.noise is None else self.noise
        return self._reason(np.array([_loss(trial) for trial in tried]), noise)

    def _reason_of(self, study: Study) -> str | None:
        sign = -1.0 if study.direction is StudyDirection.MAXIMIZE else 1.0
        states = (OptunaState.COMPLETE, OptunaState.PRUNED)
        losses = [
            sign * trial.value
            if trial.state is OptunaState.COMPLETE and trial.value is not None
            else math.inf
            for trial in study.get_trials(deepcopy=False, states=states)
        ]
        if self.model is None:
            records = [
                TrialRecord(at, "", {}, TrialState.COMPLETE, loss)
                for at, loss in enumerate(losses)
            ]
            return _FALLBACK.reason_to_stop(records)
        return self._reason(np.array(losses), self.noise or 0.0)

    def _reason(self, losses: Array, noise: float) -> str | None:
        if len(losses) > _MAX_TRIALS:
            first = losses[: 1 - _MAX_TRIALS].min()
            losses = np.concatenate([[first], losses[1 - _MAX_TRIALS :]])
        if self.model is None or len(losses) < self.min_trials:
            return None
        if np.isfinite(losses).sum() < 2:
            return None
        spread = float(spreads(losses[None])[0])
        if spread <= 0:
            return None
        gain = float(self.model.gains(figures(losses[None]))[0]) * spread
        said = f"expected gain over the next {self.model.horizon} trials {_short(gain)} is below "
        if gain < noise:
            return f"{said}the fold noise {_short(noise)}"
        small = self.model.threshold * spread
        if gain < small:
            return f"{said}{_short(small)}, {self.model.threshold:.2g} of the losses' spread"
        return None


def _loss(trial: TrialRecord) -> float:
    is_known = trial.state is TrialState.COMPLETE and trial.loss is not None
    return float(trial.loss) if is_known and trial.loss is not None else math.inf


def _noise_of(tried: Sequence[TrialRecord]) -> float:
    """The standard error of the mean over folds of a trial's difference to the best trial."""
    complete = [trial for trial in tried if trial.state is TrialState.COMPLETE]
    best = min(complete, key=_loss, default=None)
    if best is None or len(best.fold_losses) < 2:
        return 0.0
    n_folds = len(best.fold_losses)
    deviations = [
        float(np.std(np.subtract(trial.fold_losses, best.fold_losses), ddof=1))
        for trial in complete
        if len(trial.fold_losses) == n_folds and trial.number != best.number
    ]
    return float(np.median(deviations)) / n_folds**0.5 if deviations else 0.0


def _short(value: float) -> str:
    return f"{value:.2g}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.3g}"
