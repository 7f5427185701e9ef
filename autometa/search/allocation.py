"""Which learner the next config is for: shares of time by how near each came to the best.

A sampler left to choose the learner settles on the one that leads early and tunes it to the last
digit, while the ensemble gains from good models of other kinds. So each learner has a weight that
falls with the distance of its best loss from the best of all, and the learner that is furthest
behind its share goes next (deficit scheduling).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from autometa.records import TrialRecord, TrialState

# a learner this part of the way from the best loss back to the baseline's has weight 1 / e
NEARNESS = 0.05
# no learner is given up: with more trials it may yet catch up
LEAST_WEIGHT = 0.03
# A trial counts at least this part of what one of a learner takes on average: the hundredth of a
# quick learner gains less than the tenth of a slow one, however little it takes
LEAST_COST = 0.5


@dataclass(frozen=True, slots=True)
class Allocation:
    """Chooses learners.

    `cost` is what a trial spent: its seconds, or a guess that is the same in every run where
    studies must be reproducible.
    """

    learners: Sequence[str]
    baseline_loss: float
    cost: Callable[[TrialRecord], float]

    def choose(
        self,
        trials: Sequence[TrialRecord],
        extra: Mapping[str, float] | None = None,
        without: Container[str] = (),
    ) -> str | None:
        """The learner furthest behind its share; None if `without` leaves none.

        `extra` is what each spends beyond the finished trials.
        """
        weights = self.weights(trials)
        costs: dict[str, list[float]] = {learner: [] for learner in self.learners}
        for trial in trials:
            if trial.learner in costs:
                costs[trial.learner].append(self.cost(trial))
        means = [fmean(one) for one in costs.values() if one]
        least = LEAST_COST * fmean(means) if means else 0.0
        spent = {learner: sum(max(cost, least) for cost in one) for learner, one in costs.items()}
        for learner, cost in (extra or {}).items():
            spent[learner] += cost
        candidates = [learner for learner in self.learners if learner not in without]
        return min(candidates, key=lambda name: spent[name] / weights[name], default=None)

    def weights(self, trials: Sequence[TrialRecord]) -> dict[str, float]:
        """The share each learner has earned, 1 for the leader."""
        best = dict.fromkeys(self.learners, math.inf)
        for trial in trials:
            is_known = trial.learner in best and trial.loss is not None
            if is_known and trial.state is TrialState.COMPLETE:
                best[trial.learner] = min(best[trial.learner], trial.loss or 0.0)
        leader = min(best.values())
        if not math.isfinite(leader):
            return dict.fromkeys(self.learners, 1.0)
        unit = NEARNESS * max(abs(self.baseline_loss - leader), 1e-12)
        return {
            learner: max(math.exp(-(loss - leader) / unit), LEAST_WEIGHT)
            for learner, loss in best.items()
        }
