"""Studies side by side: may they be compared, what was asked otherwise, what came of it, when."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from autometa.errors import OptionError
from autometa.records import TrialRecord, TrialState
from autometa.storage import Store
from autometa.storage.records import StudyRecord

# what a run writes down of itself that is not a choice of the user's
_NO_CHOICES = frozenset({"started_at", "is_fresh", "seed", "metric"})
# seconds after the start of a study: steps that a person would ask for
_MOMENTS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 36000, 86400)
_N_MOMENTS = 5


@dataclass(frozen=True, slots=True)
class ComparedStudy:
    """A study with its trials, by number.

    Seconds count from the start of the study; a pause between two runs counts too.
    """

    study: StudyRecord
    trials: tuple[TrialRecord, ...]

    @property
    def scored(self) -> list[tuple[float, TrialRecord]]:
        """The trials that have a loss to be compared, with it, the best first."""
        found = [
            (trial.loss, trial)
            for trial in self.trials
            if trial.state is TrialState.COMPLETE
            and trial.loss is not None
            and not math.isnan(trial.loss)
        ]
        return sorted(found, key=lambda pair: (pair[0], pair[1].number))

    @property
    def best(self) -> TrialRecord | None:
        """The trial of the least loss, the earliest of equal ones."""
        return next((trial for _, trial in self.scored), None)

    @property
    def best_loss(self) -> float | None:
        """Its loss."""
        return None if self.best is None else self.best.loss

    @property
    def time_to_best_s(self) -> float | None:
        """When the best trial was done."""
        return None if self.best is None else self.done_s(self.best)

    @property
    def took_s(self) -> float | None:
        """When the last trial was done."""
        times = [one for one in map(self.done_s, self.trials) if one is not None]
        return max(times, default=None)

    def done_s(self, trial: TrialRecord) -> float | None:
        """When a trial was done; None if its start is not known."""
        if not trial.started_at:
            return None
        ended = trial.started_at + trial.duration_s
        return max(ended - self.study.created_at.timestamp(), 0.0)

    def loss_at(self, moment_s: float) -> float | None:
        """The least loss of what was done by then."""
        for loss, trial in self.scored:
            done_s = self.done_s(trial)
            if done_s is not None and done_s <= moment_s:
                return loss
        return None

    def loss_of(self, learner: str) -> float | None:
        """The least loss of a learner's trials."""
        return next((loss for loss, trial in self.scored if trial.learner == learner), None)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Studies side by side; `reasons` say why their scores cannot be compared, if they cannot.

    `cautions` say what else may make a difference between them.
    """

    studies: tuple[ComparedStudy, ...]
    reasons: tuple[str, ...]
    cautions: tuple[str, ...]

    @property
    def choices(self) -> dict[str, tuple[object, ...]]:
        """What was asked for otherwise, a value for each study; None where nothing was said."""
        return _differing([_choices(one.study) for one in self.studies])

    @property
    def best_settings(self) -> dict[str, tuple[object, ...]]:
        """Where the best configs differ, a value for each study; None where there is none."""
        bests = [one.best for one in self.studies]
        return _differing(
            [{} if best is None else {"learner": best.learner, **best.config} for best in bests]
        )

    @property
    def learners(self) -> list[str]:
        """Every learner that has a score in one of them."""
        return sorted({trial.learner for one in self.studies for _, trial in one.scored})

    @property
    def moments_s(self) -> tuple[float, ...]:
        """A few moments within the longest of them, from its first seconds to near its end."""
        longest = max((one.took_s or 0.0 for one in self.studies), default=0.0)
        within = [moment for moment in _MOMENTS if moment < longest]
        last = len(within) - 1
        chosen = {round(last * n / (_N_MOMENTS - 1)) for n in range(_N_MOMENTS)} if within else ()
        return tuple(within[at] for at in sorted(chosen))


def compare_studies(store: str | Path | None, prefixes: Sequence[str]) -> Comparison:
    """The studies whose ids begin so, side by side, in this order.

    Raises `StoreError` without a store or a study, `OptionError` for less than two studies.
    """
    with Store.open(store, is_made=False) as opened:
        records = [opened.find_study(prefix) for prefix in prefixes]
        if len({record.id for record in records}) < max(len(records), 2):
            raise OptionError("give two studies or more, each once: `autometa studies` lists them")
        studies = tuple(
            ComparedStudy(
                record,
                tuple(opened.trials(record.id, has_curves=False)),
            )
            for record in records
        )
    return Comparison(studies, tuple(_reasons(studies)), tuple(_cautions(studies)))


def _reasons(studies: Sequence[ComparedStudy]) -> Iterator[str]:
    """Why a score of one says nothing of a score of another."""
    if _differs(studies, lambda one: one.study.table):
        has_one_name = not _differs(studies, lambda one: one.study.name)
        yield (
            "they are of different versions of the table"
            if has_one_name
            else ("they are of different tables")
        )
    if _differs(studies, lambda one: one.study.metric):
        yield "their metrics differ"
    if _differs(studies, lambda one: one.study.split):
        yield "they are scored on other rows: their splits differ"


def _cautions(studies: Sequence[ComparedStudy]) -> Iterator[str]:
    """What makes small differences of scores say little."""
    if _differs(studies, lambda one: one.study.seed):
        yield "their seeds differ, and so the rows of their splits"
    if _differs(studies, lambda one: one.study.autometa_version):
        yield "other versions of autometa made them"


def _differs(studies: Sequence[ComparedStudy], of: Callable[[ComparedStudy], object]) -> bool:
    return len({of(one) for one in studies}) > 1


def _choices(study: StudyRecord) -> dict[str, object]:
    return {name: one for name, one in study.options.items() if name not in _NO_CHOICES}


def _differing(values: Sequence[Mapping[str, object]]) -> dict[str, tuple[object, ...]]:
    names = dict.fromkeys(name for one in values for name in one)
    rows = {name: tuple(one.get(name) for one in values) for name in names}
    return {name: row for name, row in rows.items() if any(one != row[0] for one in row)}
