"""Several learners' spaces as one Optuna space.

The parameter "learner" chooses among them; the settings of each are named "<learner>.<setting>"
and exist only in trials of that learner, which is what `TPESampler(group=True)` is made for.
"""

from __future__ import annotations

from collections.abc import Mapping

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from autometa.errors import LearnerError
from autometa.spaces import Config, Domain, Float, Int, Scalar, Space

LEARNER = "learner"


def suggest(trial: optuna.Trial, spaces: Mapping[str, Space]) -> tuple[str, dict[str, Scalar]]:
    """Choose a learner and its whole config in this trial."""
    learner = str(trial.suggest_categorical(LEARNER, list(spaces)))
    config: dict[str, Scalar] = {}
    for parameter in spaces[learner].parameters:
        if parameter.is_active(config):
            name = f"{learner}.{parameter.name}"
            config[parameter.name] = _suggest_value(trial, name, parameter.domain)
    return learner, config


def to_params(learner: str, config: Config) -> dict[str, Scalar]:
    """The Optuna parameters of a whole config, as for `Study.enqueue_trial`."""
    return {LEARNER: learner} | {f"{learner}.{name}": value for name, value in config.items()}


def from_params(
    params: Mapping[str, Scalar], spaces: Mapping[str, Space]
) -> tuple[str, dict[str, Scalar]]:
    """The learner and whole config of a trial's parameters.

    Raises `LearnerError` for an unknown learner or a setting outside its space.
    """
    learner = str(params.get(LEARNER))
    if learner not in spaces:
        raise LearnerError(f"unknown learner {learner!r}; known are {sorted(spaces)}")
    prefix = f"{learner}."
    config = {
        name.removeprefix(prefix): value
        for name, value in params.items()
        if name.startswith(prefix)
    }
    return learner, spaces[learner].complete(config)


def distributions(spaces: Mapping[str, Space]) -> dict[str, BaseDistribution]:
    """The Optuna distribution of every parameter, as for `optuna.create_trial`."""
    known: dict[str, BaseDistribution] = {LEARNER: CategoricalDistribution(list(spaces))}
    for learner, space in spaces.items():
        for parameter in space.parameters:
            known[f"{learner}.{parameter.name}"] = _distribution(parameter.domain)
    return known


def _suggest_value(trial: optuna.Trial, name: str, domain: Domain) -> Scalar:
    if isinstance(domain, Float):
        return trial.suggest_float(name, domain.low, domain.high, log=domain.log)
    if isinstance(domain, Int):
        return trial.suggest_int(name, domain.low, domain.high, log=domain.log)
    return trial.suggest_categorical(name, domain.options)


def _distribution(domain: Domain) -> BaseDistribution:
    if isinstance(domain, Float):
        return FloatDistribution(domain.low, domain.high, log=domain.log)
    if isinstance(domain, Int):
        return IntDistribution(domain.low, domain.high, log=domain.log)
    return CategoricalDistribution(domain.options)
