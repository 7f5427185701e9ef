"""The Optuna study in the driver's memory: the one place that asks and tells.

Only the driver asks and tells, so the study in progress needs no database: each finished trial is
written once, to our store and to Optuna's own tables beside it (`trial_mirror`).
"""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import fmean

import optuna
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from autometa.priors._base import ProposedConfig
from autometa.records import TrialRecord, TrialState
from autometa.search.explanations import ATTRIBUTE, Explanation, explain
from autometa.search.observations import PASSED_OVER
from autometa.search.spaces import LEARNER, distributions, suggest, to_params
from autometa.spaces import Config, Space

_SEARCH = "search"


@dataclass(frozen=True, slots=True)
class Asked:
    """A config to try next; `is_repeated` if the study has asked for it before."""

    number: int
    learner: str
    config: Config
    origin: str
    is_repeated: bool = False


class Asker:
    """Asks for configs and tells how they did, over the joint space of all learners.

    `history` are the trials of an earlier run of the same study; `first` are tried before the
    sampler is asked, except those that the history has tried.
    """

    def __init__(
        self,
        spaces: Mapping[str, Space],
        sampler: BaseSampler,
        first: Sequence[ProposedConfig],
        history: Sequence[TrialRecord] = (),
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._spaces = spaces
        self._study = optuna.create_study(direction="minimize", sampler=sampler)
        self._waiting: dict[int, optuna.Trial] = {}
        self._why: dict[int, Explanation] = {}
        for record in _without_gaps(history):
            lost = optuna.trial.create_trial(state=OptunaState.FAIL)
            self._study.add_trial(lost if record is None else self.frozen(record))
        self._tried = {_key(record.learner, record.config) for record in history}
        self._reserve: dict[str, deque[ProposedConfig]] = defaultdict(deque)
        for proposed in first:
            if proposed.is_reserve:
                self._reserve[proposed.learner].append(proposed)
            else:
                self._enqueue(proposed)

    def _enqueue(self, proposed: ProposedConfig) -> bool:
        """Whether the config was new and is the next to be tried."""
        is_new = _key(proposed.learner, proposed.config) not in self._tried
        if is_new:
            self._study.enqueue_trial(
                to_params(proposed.learner, proposed.config),
                user_attrs={"origin": proposed.origin}
                | ({ATTRIBUTE: dict(proposed.why)} if proposed.why else {}),
            )
        return is_new

    @property
    def next_number(self) -> int:
        """The number the next trial will have."""
        return len(self._study.get_trials(deepcopy=False)) - self._n_enqueued()

    def _n_enqueued(self) -> int:
        return len(self._study.get_trials(deepcopy=False, states=(OptunaState.WAITING,)))

    @property
    def has_proposed(self) -> bool:
        """Whether a config proposed first is still to be tried."""
        return self._n_enqueued() > 0

    def ask(self, learner: str | None = None) -> Asked:
        """The next config: one proposed first if any is left, else the sampler's for `learner`.

        Before the sampler's come those that are in reserve for the learner. Without `learner` the
        sampler chooses that as well.
        """
        if learner is not None and not self.has_proposed and not self._take_from_reserve(learner):
            self._study.enqueue_trial({LEARNER: learner})
        trial = self._study.ask()
        chosen, config = suggest(trial, self._spaces)
        self._waiting[trial.number] = trial
        # what the sampler wrote while it suggested, the trial's own copy does not have
        attributes = self._study.get_trials(deepcopy=False)[trial.number].user_attrs
        origin = attributes.get("origin", _SEARCH)
        if (why := explain(attributes)) is not None:
            self._why[trial.number], origin = why, str(why.origin)
        asked = Asked(
            trial.number,
            chosen,
            config,
            origin,
            is_repeated=_key(chosen, config) in self._tried,
        )
        self._tried.add(_key(chosen, config))
        return asked

    def _take_from_reserve(self, learner: str) -> bool:
        reserve = self._reserve[learner]
        while reserve:
            if self._enqueue(reserve.popleft()):
                return True
        return False

    def why(self, number: int) -> Explanation | None:
        """Why the trial has its config; None if nothing was learned that would say."""
        return self._why.get(number)

    def discard(self, number: int) -> None:
        """Take back a config that was asked for and will not be tried."""
        trial = self._waiting.pop(number)
        trial.set_user_attr(PASSED_OVER, value=True)  # else samplers take it for a failure
        self._study.tell(trial, state=OptunaState.FAIL)

    def tell(self, record: TrialRecord) -> None:
        """Tell how a trial ended."""
        trial = self._waiting.pop(record.number)
        for step, loss in _running_means(record.fold_losses).items():
            trial.report(loss, step)
        value = record.loss if record.state is TrialState.COMPLETE else None
        self._study.tell(trial, value, state=_optuna_state(record.state))

    def frozen(self, record: TrialRecord) -> FrozenTrial:
        """A finished trial as Optuna keeps it."""
        params = to_params(record.learner, record.config)
        known = distributions(self._spaces)
        why = self.why(record.number)
        frozen = optuna.trial.create_trial(
            params=params,
            distributions={name: known[name] for name in params},
            state=_optuna_state(record.state),
            value=record.loss if record.state is TrialState.COMPLETE else None,
            intermediate_values=_running_means(record.fold_losses),
            user_attrs={"origin": record.origin, "state": record.state.value}
            | ({} if why is None else {ATTRIBUTE: why.as_attribute()}),
        )
        begun = datetime.fromtimestamp(record.started_at)
        frozen.datetime_start = begun
        frozen.datetime_complete = begun + timedelta(seconds=record.duration_s)
        return frozen


def _key(learner: str, config: Config) -> str:
    return json.dumps([learner, dict(config)], sort_keys=True)


def _running_means(fold_losses: Sequence[float]) -> dict[int, float]:
    """The mean of the first folds, after each of them: what trials are compared by."""
    return {at: fmean(fold_losses[: at + 1]) for at in range(len(fold_losses))}


def _optuna_state(state: TrialState) -> OptunaState:
    known = {TrialState.COMPLETE: OptunaState.COMPLETE, TrialState.PRUNED: OptunaState.PRUNED}
    return known.get(state, OptunaState.FAIL)


def _without_gaps(history: Sequence[TrialRecord]) -> list[TrialRecord | None]:
    """The records by number, with None for numbers that were lost in flight."""
    by_number = {record.number: record for record in history}
    return [by_number.get(number) for number in range(max(by_number, default=-1) + 1)]
