"""What a history's file says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Self

from autometa._version import __version__
from autometa.errors import HistoryError
from autometa.search.histories._base import History
from autometa.search.spaces import LEARNER


@dataclass(frozen=True, slots=True)
class HistoryCard:
    """What a history was made from.

    `half` says which half of the families it was made from, so that figures can be reported on
    tables of the other; `families` are those of its tasks, a task without one being its own.
    `n_rows` of each table were drawn at most, with `seed`, where that is known.
    """

    name: str
    source: str
    made_on: str
    autometa_version: str
    n_tasks: int
    n_evaluations: int
    tasks: tuple[str, ...]
    families: tuple[str, ...]
    learners: tuple[str, ...] = ()
    half: str = "all"
    n_rows: int | None = None
    seed: int | None = None

    @classmethod
    def of(
        cls,
        history: History,
        name: str,
        *,
        half: str = "all",
        n_rows: int | None = None,
        seed: int | None = None,
        made_on: str | None = None,
    ) -> Self:
        """The card of a history made today, or on the day that is said."""
        learners = {
            str(config[LEARNER])
            for task in history.tasks
            for config in task.configs
            if LEARNER in config
        }
        return cls(
            name=name,
            source=history.source,
            made_on=made_on or datetime.now(UTC).date().isoformat(),
            autometa_version=__version__,
            n_tasks=len(history.tasks),
            n_evaluations=history.n_evaluations,
            tasks=tuple(task.name for task in history.tasks),
            families=tuple(sorted({task.family or task.name for task in history.tasks})),
            learners=tuple(sorted(learners)),
            half=half,
            n_rows=n_rows,
            seed=seed,
        )

    @classmethod
    def of_facts(cls, facts: Mapping[str, Any]) -> Self:
        """The card from JSON; raises `HistoryError` if it has other entries than a card."""
        if set(facts) != {one.name for one in fields(cls)}:
            raise HistoryError("its card has other entries than a card has")
        values: dict[str, Any] = dict(facts)
        values |= {name: tuple(facts[name]) for name in ("tasks", "families", "learners")}
        return cls(**values)
