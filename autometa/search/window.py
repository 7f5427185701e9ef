"""A bounded view of a study's trials, so that asking costs no more at 5,000 trials than at 250.

The Parzen estimator splits trials into the best and the rest. Optuna's `gamma` takes the best
tenth, at most 25: from 250 trials on the best are 25 whatever is left out of the rest, so a window
of the best 25 and the newest others keeps that density exactly and thins only the other.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any, cast

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

N_BEST = 25  # the cap in Optuna's default gamma
N_TRIALS = 250  # where a tenth of the trials reaches that cap


def bounded(study: Study, n_trials: int = N_TRIALS) -> Study:
    """The study as seen by a sampler: itself while small, else with `n_trials` finished trials."""
    trials = study.get_trials(deepcopy=False)
    finished = [trial for trial in trials if trial.state.is_finished()]
    if len(finished) <= n_trials:
        return study
    complete = [trial for trial in finished if trial.state is TrialState.COMPLETE]
    best = sorted(complete, key=lambda trial: trial.value or 0.0)[:N_BEST]
    kept = {trial.number for trial in best}
    others = [trial.number for trial in finished if trial.number not in kept]
    kept.update(others[-(n_trials - len(kept)) :])
    chosen = [trial for trial in trials if trial.number in kept or not trial.state.is_finished()]
    return cast(Study, _Window(study, chosen))


class _Window:
    """A study to whom only some of its trials are known; all else is the study's own."""

    def __init__(self, study: Study, trials: list[FrozenTrial]) -> None:
        self._study = study
        self._trials = trials

    def __getattr__(self, name: str) -> Any:
        return getattr(self._study, name)

    def get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """The known trials in these states, never copied: samplers only read them."""
        return [trial for trial in self._trials if states is None or trial.state in states]

    def _get_trials(
        self,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
        use_cache: bool = False,
    ) -> list[FrozenTrial]:
        """What Optuna's own samplers call; were it renamed, they would see all trials again."""
        return self.get_trials(deepcopy, states)
