"""The space of a scenario as a user would write it in Optuna: define-by-run, parents first.

Axes: N configs, P parameters, D features.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from autometa.search.conditions import Condition, find_conditions
from autometa.search.coordinates import Coordinates
from autometa.spaces import Config, Scalar

Array = NDArray[np.float64]
_LEAST_BESIDE = 5  # configs with a choice, to tell that something is constant beside it
Numeric = FloatDistribution | IntDistribution


@dataclass(frozen=True, slots=True, eq=False)
class SearchSpace:
    """Distributions, a parent before its children, and the conditions of the latter.

    `grids` are the values, in order, of numbers that were evaluated at these only; a study asks
    for the place of a value in its grid.
    """

    distributions: Mapping[str, BaseDistribution]
    conditions: Mapping[str, Condition] = field(default_factory=dict[str, Condition])
    grids: Mapping[str, tuple[float, ...]] = field(default_factory=dict[str, tuple[float, ...]])

    def suggest(self, trial: optuna.Trial) -> dict[str, Scalar]:
        """A config from a trial, as a define-by-run objective asks for it."""
        config: dict[str, Scalar] = {}
        for name, distribution in self.distributions.items():
            if name not in self.conditions or self.conditions[name].holds(config):
                config[name] = _suggest(trial, name, distribution)
        return config

    def fitted(self, config: Config) -> dict[str, Scalar]:
        """A config of the tables as a study has it: its settings only, places on grids."""
        return {
            name: self._fitted(name, distribution, config[name])
            for name, distribution in self.distributions.items()
            if name in config
        }

    def places(self, configs: Sequence[Config]) -> Array:
        """Configs as rows (N, P): shares of ranges, codes of choices, NaN where inactive."""
        return Coordinates(self.distributions, {}).of(configs)

    def features(self, configs: Sequence[Config]) -> Array:
        """Configs as points (N, D) of the unit cube; two choices are at distance 1.

        What is inactive is in the middle.
        """
        places = self.places(configs)
        blocks: list[Array] = []
        for column, distribution in enumerate(self.distributions.values()):
            place = places[:, column : column + 1]
            if isinstance(distribution, CategoricalDistribution):
                codes = np.arange(len(distribution.choices))
                blocks.append((place == codes) / math.sqrt(2.0))
            else:
                blocks.append(np.nan_to_num(place, nan=0.5))
        return np.hstack(blocks) if blocks else np.zeros((len(configs), 0))

    def distances(self, one: Config, places: Array) -> Array:
        """Gower's distances (N,) of a config to rows of `places`; a lacking setting counts 1."""
        mine = self.places([one])[0]
        is_choice = [isinstance(d, CategoricalDistribution) for d in self.distributions.values()]
        gaps = np.abs(places - mine)
        gaps = np.where(np.array(is_choice), gaps > 0.0, gaps)
        lacks, rows_lack = np.isnan(mine), np.isnan(places)
        gaps = np.where(lacks & rows_lack, 0.0, np.where(lacks ^ rows_lack, 1.0, gaps))
        total: Array = gaps.sum(axis=1)
        return total

    def _fitted(self, name: str, distribution: BaseDistribution, value: Scalar) -> Scalar:
        grid = self.grids.get(name)
        if grid is None or not _is_number(value):
            return _fitted(distribution, value)
        return int(np.abs(np.array(grid) - _number(value)).argmin())


def space_of_grid(configs: Sequence[Config]) -> SearchSpace:
    """The space of configs on a grid: of a number the places of its values, in order."""
    values = values_of(configs)
    grids = {
        name: tuple(sorted(map(_number, known)))
        for name, known in values.items()
        if all(_is_number(value) for value in known)
    }
    distributions = {
        name: IntDistribution(0, len(grids[name]) - 1)
        if name in grids
        else CategoricalDistribution(sorted(known, key=str))
        for name, known in values.items()
    }
    # told from configs as a study has them: a parent may be a number, and is its place then
    flat = SearchSpace(distributions, grids=grids)
    conditions = find_conditions([flat.fitted(config) for config in configs])
    return SearchSpace(_parents_first(distributions, conditions), conditions, grids)


def space_of_configs(
    distributions: Mapping[str, BaseDistribution], configs: Sequence[Config]
) -> SearchSpace:
    """The space of these distributions, its conditions told by what configs lack."""
    flat = SearchSpace(distributions)
    conditions = find_conditions([flat.fitted(config) for config in configs])
    return SearchSpace(_parents_first(distributions, conditions), conditions)


def read_space(path: Path, names: Sequence[str]) -> dict[str, BaseDistribution]:
    """The distributions of these parameters in a ConfigSpace JSON file; others are left out."""
    listed = json.loads(path.read_text())["hyperparameters"]
    return {one["name"]: _of_json(one) for one in listed if one["name"] in names}


def values_of(configs: Sequence[Config]) -> dict[str, list[Scalar]]:
    """The distinct values of each parameter that has more than one."""
    names = list(dict.fromkeys(name for config in configs for name in config))
    found = {
        name: list({(type(c[name]), c[name]): c[name] for c in configs if name in c}.values())
        for name in names
    }
    return {name: values for name, values in found.items() if len(values) > 1}


def without_idle(configs: Sequence[Config]) -> list[dict[str, Scalar]]:
    """Configs without what does nothing beside a choice: a value that is constant only there.

    A full grid is tried at one value of a setting that another setting switches off.
    """
    values = values_of(configs)
    idle: dict[tuple[str, Scalar], set[str]] = {}
    for parent, options in values.items():
        if not all(isinstance(option, str | bool) for option in options):
            continue
        for option in options:
            chosen = [config for config in configs if config.get(parent) == option]
            if len(chosen) < _LEAST_BESIDE:
                continue
            beside = values_of(chosen)
            idle[parent, option] = set(values) - set(beside) - {parent}
    for parent, options in values.items():  # constant beside every option: of other reasons
        shared = [idle[parent, option] for option in options if (parent, option) in idle]
        everywhere = set.intersection(*shared) if shared else set[str]()
        for option in options:
            if (parent, option) in idle:
                idle[parent, option] -= everywhere
    return [
        {
            name: value
            for name, value in config.items()
            if name in values
            and not any(
                name in idle.get((parent, option), ()) for parent, option in config.items()
            )
        }
        for config in configs
    ]


def _suggest(trial: optuna.Trial, name: str, distribution: BaseDistribution) -> Scalar:
    if isinstance(distribution, FloatDistribution):
        low, high = distribution.low, distribution.high
        return trial.suggest_float(name, low, high, step=distribution.step, log=distribution.log)
    if isinstance(distribution, IntDistribution):
        low, high = distribution.low, distribution.high
        return trial.suggest_int(name, low, high, step=distribution.step, log=distribution.log)
    return trial.suggest_categorical(name, cast(CategoricalDistribution, distribution).choices)


def _fitted(distribution: BaseDistribution, value: Scalar) -> Scalar:
    if isinstance(distribution, CategoricalDistribution):
        return value
    known = cast(Numeric, distribution)
    inside = min(max(_number(value), known.low), known.high)  # ends may be rounded in a table
    return round(inside) if isinstance(known, IntDistribution) else float(inside)


def _parents_first(
    distributions: Mapping[str, BaseDistribution], conditions: Mapping[str, Condition]
) -> dict[str, BaseDistribution]:
    def depth(name: str) -> int:
        return 1 + depth(conditions[name].parent) if name in conditions else 0

    return {name: distributions[name] for name in sorted(distributions, key=depth)}


def _is_number(value: Scalar) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(value: Scalar) -> float:
    return float(cast(float, value))


def _of_json(one: Mapping[str, Any]) -> BaseDistribution:
    if one["type"] == "uniform_float":
        return FloatDistribution(one["lower"], one["upper"], log=one["log"])
    if one["type"] == "uniform_int":
        return IntDistribution(one["lower"], one["upper"], log=one["log"])
    return CategoricalDistribution(one.get("choices") or one.get("sequence") or [one.get("value")])
