"""Looking back: the studies and trials a store holds, as values for whoever shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from autometa.errors import StoreError
from autometa.records import TrialRecord
from autometa.search.explanations import Explanation
from autometa.storage import Store
from autometa.storage.engine import store_url
from autometa.storage.paths import default_store
from autometa.storage.records import ModelRecord, StudyRecord
from autometa.studies.questions import newest_study
from autometa.studies.reasons import read_explanations


@dataclass(frozen=True, slots=True)
class StudyView:
    """A study with everything kept of it; `reasons` tell why a trial has its config."""

    study: StudyRecord
    trials: tuple[TrialRecord, ...]
    models: tuple[ModelRecord, ...]
    reasons: Mapping[int, Explanation] = field(default_factory=dict[int, Explanation])

    def find_trial(self, number: int) -> TrialRecord:
        """The trial of this number. Raises `StoreError` if the study has none."""
        for trial in self.trials:
            if trial.number == number:
                return trial
        raise StoreError(
            f"study {self.study.id} has no trial {number}; "
            f"see `autometa trials list {self.study.id} -n 0`"
        )


def view_study(store: str | Path | None, prefix: str | None) -> StudyView:
    """The study whose id begins with `prefix`, the newest for None. Raises without a store."""
    with Store.open(store, is_made=False) as opened:
        if prefix is None:
            prefix = newest_study(opened)
        study = opened.find_study(prefix)
        return StudyView(
            study,
            tuple(opened.trials(study.id)),
            tuple(opened.models(study.id)),
            read_explanations(opened.proposals(study.id)),
        )


def store_place(store: str | Path | None) -> str:
    """Where the store is: a file's path, or a URL without its password. Opens nothing."""
    url = store_url(store or default_store())
    if url.get_backend_name() == "sqlite" and url.database:
        return url.database
    return url.render_as_string(hide_password=True)


def ranked(trials: tuple[TrialRecord, ...]) -> list[TrialRecord]:
    """Complete trials by their loss, then the others in the order they were tried."""

    def rank(trial: TrialRecord) -> tuple[bool, float, int]:
        return trial.loss is None, trial.loss or 0.0, trial.number

    return sorted(trials, key=rank)
