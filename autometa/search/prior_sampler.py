"""An Optuna sampler that begins where other tasks ended.

    study = optuna.create_study(sampler=PriorSampler(history))

In the order in which Optuna calls it, for each trial: the space it may speak of
(`infer_relative_search_space`), values of all settings in it (`sample_relative`), a value for each
setting that the space did not have (`sample_independent`), and the trial's end (`after_trial`).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from autometa.search.advisor import Advisor, AdvisorOptions
from autometa.search.coordinates import Coordinates
from autometa.search.explanations import ATTRIBUTE, Explanation
from autometa.search.histories._base import History
from autometa.search.matching import Match, match_spaces
from autometa.search.observations import Observer
from autometa.search.responses._base import Interpolation, Responses, uninformed
from autometa.search.responses.attention import Attention
from autometa.search.responses.learning import LearningOptions, is_telling, learn_responses
from autometa.spaces import Scalar

_log = logging.getLogger(__name__)

REJECTED_BELOW = 0.05
"""The weight below which the past is said to disagree."""


class PriorSampler(BaseSampler):
    """Samples by a history of other tasks, for one objective.

    `history` may be one, or responses learned from one before. `task` describes the new task by
    the same traits as past ones. `space` are the study's distributions; without it they are
    learned trial by trial. With no history, or none that knows a setting of the study, configs are
    chosen by the study's own trials alone: expected improvement by a Gaussian process, after some
    by chance. The same seed, trials and numbers give the same config, in whatever process it is
    asked for.
    """

    def __init__(
        self,
        history: History | Responses,
        *,
        space: Mapping[str, BaseDistribution] | None = None,
        task: Mapping[str, float] | None = None,
        seed: int = 0,
        options: AdvisorOptions | None = None,
        learning: LearningOptions | None = None,
    ) -> None:
        self._seed = seed
        self._space = dict(space) if space is not None else None
        self._options = options or AdvisorOptions()
        self._past = _Past.of(history, task or {}, learning)
        self._advised: _Advised | None = None
        self._drawn: dict[int, Mapping[str, Scalar]] = {}
        self._is_rejected = False
        self.match: Match | None = None
        """How the study's settings and the past's go together; None before the first trial."""

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """All settings that are known: those of `space`, or of the study's trials so far."""
        self._raise_error_if_multi_objective(study)
        return dict(self._space) if self._space is not None else _space_of(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """A whole config. What its conditions rule out is left out."""
        self._raise_error_if_multi_objective(study)
        advised = self._advised_for(search_space)
        if advised is None:
            return {}
        config = self._choose(advised, study, trial)
        self._drawn[trial.number] = config
        return {name: value for name, value in config.items() if name in search_space}

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """A setting's value in the config chosen for the trial, else one by chance."""
        self._raise_error_if_multi_objective(study)
        config = self._drawn.get(trial.number, {})
        return _nearest(param_name, param_distribution, config, self._rng(trial, param_name))

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Forget what was drawn for the trial."""
        self._drawn.pop(trial.number, None)

    def reseed_rng(self) -> None:
        """Change nothing: trials differ by their numbers, in whatever process they are asked."""

    def _choose(self, advised: _Advised, study: Study, trial: FrozenTrial) -> dict[str, Scalar]:
        coordinates = advised.advisor.coordinates
        fixed = _fixed_columns(trial, coordinates)
        if fixed and coordinates.is_whole(fixed):
            return {}  # all was enqueued: there is nothing to choose
        seen = advised.observer.observe(study, trial.number)
        choice = advised.advisor.choose(seen, self._rng(trial), fixed)
        self._say_if_rejected(choice.explanation)
        _keep(study, trial, _in_direction(choice.explanation, study))
        return coordinates.config(choice.row)

    def _say_if_rejected(self, why: Explanation) -> None:
        is_rejected = why.prior_weight is not None and why.prior_weight < REJECTED_BELOW
        if is_rejected and not self._is_rejected:
            _log.warning(
                "the past disagrees with what this study observes: its weight is %.3f from now on",
                why.prior_weight,
            )
        self._is_rejected = is_rejected

    def _advised_for(self, search_space: Mapping[str, BaseDistribution]) -> _Advised | None:
        """The advisor for this space; the past's own space until the study's is known.

        None if nothing is known of either.
        """
        past = self._past
        known = search_space or ({} if past is None else past.responses.axes.distributions)
        if not known:
            return None
        space = dict(sorted(known.items()))  # in one order, however the study came to know it
        if self._advised is None or self._advised.space != space:
            self._advised = self._advise(past, space)
        return self._advised

    def _advise(self, past: _Past | None, space: Mapping[str, BaseDistribution]) -> _Advised:
        if past is not None:
            self.match = match_spaces(past.responses.axes.distributions, space)
            if self.match.matched:
                _log.info("%s", self.match.sentence)
            else:
                _log.warning("the history is not used: %s", self.match.sentence)
                past = None
        if past is None:
            past = _Past.nothing(space)
        advisor = Advisor(past.responses, past.interpolation, past.weights, space, self._options)
        return _Advised(space, advisor, Observer(advisor.coordinates))

    def _rng(self, trial: FrozenTrial, name: str = "") -> np.random.Generator:
        return np.random.default_rng([self._seed, trial.number, *name.encode()])


@dataclass(frozen=True, slots=True, eq=False)
class _Past:
    """What was learned of past tasks, and the attention of this one to them."""

    responses: Responses
    interpolation: Interpolation
    weights: np.ndarray[Any, np.dtype[np.float64]]

    @classmethod
    def of(
        cls,
        history: History | Responses,
        task: Mapping[str, float],
        learning: LearningOptions | None,
    ) -> _Past | None:
        """None if there is nothing to learn from."""
        if isinstance(history, History):
            if not is_telling(history):
                return None
            history = learn_responses(history, learning)
        interpolation = Interpolation.of(history.kernel, history.anchors)
        return cls(history, interpolation, Attention.learn(history).weights(task))

    @classmethod
    def nothing(cls, space: Mapping[str, BaseDistribution]) -> _Past:
        """A past that tells nothing of this space."""
        responses = uninformed(space)
        interpolation = Interpolation.of(responses.kernel, responses.anchors)
        return cls(responses, interpolation, np.ones(1))


@dataclass(frozen=True, slots=True, eq=False)
class _Advised:
    """An advisor and the space it is for."""

    space: Mapping[str, BaseDistribution]
    advisor: Advisor
    observer: Observer


def _space_of(study: Study, asking: FrozenTrial) -> dict[str, BaseDistribution]:
    """The settings of the study's trials so far, each as the newest trial had it."""
    found: dict[str, BaseDistribution] = {}
    for trial in study.get_trials(deepcopy=False):
        if trial.number != asking.number:
            found.update(trial.distributions)
    return found


def _fixed_columns(trial: FrozenTrial, coordinates: Coordinates) -> dict[int, float]:
    """The columns of settings that were enqueued for this trial, and their values."""
    fixed = trial.system_attrs.get("fixed_params")  # where `Study.enqueue_trial` keeps them
    if not isinstance(fixed, dict):
        return {}
    row = coordinates.of([fixed])[0]
    return {column: float(value) for column, value in enumerate(row) if not np.isnan(value)}


def _nearest(
    name: str,
    distribution: BaseDistribution,
    config: Mapping[str, Scalar],
    rng: np.random.Generator,
) -> Scalar:
    """The config's value, or the nearest that the distribution has, or one by chance."""
    one = Coordinates({name: distribution}, {})
    row = one.settle(one.of([config]))
    if np.isnan(row).any():
        row = one.draw(1, rng)
    return one.config(row[0])[name]


def _in_direction(why: Explanation, study: Study) -> Explanation:
    """With expected values as the study's objective has them."""
    if study.direction is not StudyDirection.MAXIMIZE or why.expected is None:
        return why
    low, high = why.high, why.low
    return Explanation(
        why.origin,
        why.entry,
        why.tasks,
        -why.expected,
        None if low is None else -low,
        None if high is None else -high,
        why.better_than,
        why.prior_weight,
    )


def _keep(study: Study, trial: FrozenTrial, why: Explanation) -> None:
    """Keep the explanation with the trial.

    A sampler is given a copy of the trial and no public way to write to it; Optuna's own samplers
    write through the study's storage, and so does this one, as far as there is one.
    """
    storage = getattr(study, "_storage", None)
    trial_id = getattr(trial, "_trial_id", None)
    if storage is not None and trial_id is not None:
        storage.set_trial_user_attr(trial_id, ATTRIBUTE, why.as_attribute())
