"""What a collection tries: which tables, in which order, how much of each, and which configs.

Each table is prepared, split and scored as `tune` does it in a hurry: with the fewest folds. The
first trials are those that a study would begin with, by the learners' publications and the prior;
then come configs spread over the learners' spaces. All of it follows from the options alone.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import TypedDict

import numpy as np

from autometa.errors import OptionError
from autometa.priors._base import ConfigsRequest, ProposedConfig
from autometa.priors.off import DefaultConfigs
from autometa.priors.proposer.configs import StartConfigs
from autometa.search.pruning import NeverPolicy
from autometa.search.spread import spread_configs
from autometa.studies.budget import parse_seconds
from autometa.studies.evaluation import WorkUnit
from autometa.studies.options import TuneOptions
from autometa.studies.setting import Setting, setting_of
from autometa.studies.table_folders import HALVES, ListedTable

ORIGIN = "spread"
"""Where the configs come from that are no defaults, in the words of trials."""

_LEAST_ROWS = 50


class CollectWords(TypedDict):
    """What may be asked of a collection, in the words of the command line."""

    tables: Path
    manifest: Path
    half: str
    store: str | None
    rows: int
    configs: int
    time: str
    trial_time: str
    learners: Sequence[str]
    seed: int
    workers: int


@dataclass(frozen=True, slots=True)
class CollectOptions:
    """Which tables, how much of each, which configs, and for how long.

    Of each learner `n_configs` of the spread are tried, after what a study begins with.
    `trial_s` is what one trial may take. `seed` chooses rows, splits, configs and the order of the
    tables. With no workers trials run in this process.
    """

    tables: Path
    manifest: Path
    half: str = "all"
    store: str | None = None
    n_rows: int = 1000
    n_configs: int = 16
    time_s: float | None = None
    trial_s: float = 15.0
    learners: tuple[str, ...] = ()
    seed: int = 0
    n_workers: int = 1

    def __post_init__(self) -> None:
        """Refuse what cannot be collected."""
        if self.half not in HALVES:
            raise OptionError(f"half {self.half!r} is unknown: give one of {', '.join(HALVES)}")
        if self.n_rows < _LEAST_ROWS:
            raise OptionError(f"--rows is {self.n_rows}: give {_LEAST_ROWS} or more")
        if self.n_configs < 0:
            raise OptionError(f"--configs is {self.n_configs}: give 0 or more")
        if self.n_workers < 0:
            raise OptionError(f"--workers is {self.n_workers}: give 0 or more")

    @classmethod
    def of(cls, words: CollectWords) -> CollectOptions:
        """From the words of the command line."""
        return cls(
            tables=words["tables"],
            manifest=words["manifest"],
            half=words["half"],
            store=words["store"],
            n_rows=words["rows"],
            n_configs=words["configs"],
            time_s=parse_seconds(words["time"]),
            trial_s=parse_seconds(words["trial_time"]),
            learners=tuple(words["learners"]),
            seed=words["seed"],
            n_workers=words["workers"],
        )

    def study_options(self, one: ListedTable) -> TuneOptions:
        """What a `tune` of the table would be asked."""
        return TuneOptions(
            table=one.options,
            time_s=self.time_s,
            seed=self.seed,
            n_jobs=self.n_workers,
            learners=self.learners,
            store=self.store,
        )


def order_tables(listed: Sequence[ListedTable], seed: int) -> list[ListedTable]:
    """By chance, but one table of each family before the second of any, and kinds in turn."""
    rng = np.random.default_rng((seed, 1))
    shuffled = [listed[at] for at in rng.permutation(len(listed))]
    n_of_family: dict[str, int] = defaultdict(int)
    rounds: dict[int, dict[str, list[ListedTable]]] = defaultdict(lambda: defaultdict(list))
    for one in shuffled:
        rounds[n_of_family[one.family]][one.kind].append(one)
        n_of_family[one.family] += 1
    return [
        one
        for _, by_kind in sorted(rounds.items())
        for turn in zip_longest(*(by_kind[kind] for kind in sorted(by_kind)))
        for one in turn
        if one is not None
    ]


def read_setting(one: ListedTable, options: CollectOptions) -> Setting:
    """The setting of a table's sample, as `tune` would have it in a hurry: with the fewest folds.

    Its key is of these trials alone: no `tune` goes on with them. Raises `AutometaError`.
    """
    raw = one.read(options.tables)
    n = raw.frame.height
    if n > options.n_rows:
        rng = np.random.default_rng((options.seed, 2))
        raw = replace(raw, frame=raw.frame[np.sort(rng.choice(n, options.n_rows, replace=False))])
    setting = setting_of(raw, options.study_options(one), planned_s=0.0)
    key = f"collect within {options.trial_s} s: {setting.key}"
    return replace(setting, key=hashlib.sha256(key.encode()).hexdigest())


def plan_trials(setting: Setting, options: CollectOptions) -> list[WorkUnit]:
    """The trials of the table, what a study tries first and then the spread. Without a workspace.

    Of the spread they go config by config, and of each all learners.
    """
    first = _first_configs(setting)
    known = {(one.learner, tuple(sorted(one.config.items()))) for one in first}
    chosen = [
        (learner, spread_configs(learner, space, options.n_configs + 1, options.seed)[1:])
        for learner, space in setting.spaces.items()
    ]
    spread = [
        ProposedConfig(learner, configs[at], ORIGIN)
        for at in range(options.n_configs)
        for learner, configs in chosen
    ]
    return [
        _unit(number, one)
        for number, one in enumerate((*first, *spread))
        if number < len(first) or (one.learner, tuple(sorted(one.config.items()))) not in known
    ]


def _first_configs(setting: Setting) -> Sequence[ProposedConfig]:
    """Those of a study that has the prior's networks and no past: published ones, defaults."""
    request = ConfigsRequest(setting.description, setting.table.schema.target, setting.spaces)
    return StartConfigs(DefaultConfigs()).propose_configs(request)


def _unit(number: int, one: ProposedConfig) -> WorkUnit:
    return WorkUnit(
        workspace=Path(),
        number=number,
        learner=one.learner,
        config=one.config,
        origin=one.origin,
        policy=NeverPolicy(),
    )
