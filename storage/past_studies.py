"""Whole studies in bulk, for what learns from all of them: few queries, however many studies."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, select

from autometa.records import TrialRecord
from autometa.storage import study_rows, trial_rows
from autometa.storage.encoding import from_json
from autometa.storage.records import StudyRecord, TableRecord
from autometa.storage.schema import CurveRow, TrialRow

_N_TOGETHER = 50  # studies read at once: 5,000 trials with curves of a hundred points are 100 MB


@dataclass(frozen=True, slots=True)
class FoldCurve:
    """The learning curve of one fold: losses on its stop rows, one after each of its steps."""

    fold: int
    steps: tuple[int, ...]
    losses: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class PastStudy:
    """A study with its table and trials; `curves` are by trial number, in the order of folds.

    The trials' own `curve` is empty: as points one by one it would take ten times the time.
    """

    study: StudyRecord
    table: TableRecord
    trials: tuple[TrialRecord, ...]
    curves: Mapping[int, tuple[FoldCurve, ...]] = field(
        default_factory=dict[int, tuple[FoldCurve, ...]]
    )


def select_past_studies(connection: Connection, has_curves: bool) -> Iterator[PastStudy]:
    """Every study that has trials, the oldest first."""
    tables = study_rows.select_tables(connection)
    studies = study_rows.select_studies(connection)
    for start in range(0, len(studies), _N_TOGETHER):
        together = studies[start : start + _N_TOGETHER]
        trials = trial_rows.select_trials_of(connection, [study.id for study in together])
        curves = _select_curves(connection, together) if has_curves else {}
        for study in together:
            if study.id in trials:
                of_study = curves.get(study.id, {})
                yield PastStudy(study, tables[study.table], tuple(trials[study.id]), of_study)


def _select_curves(
    connection: Connection, studies: Sequence[StudyRecord]
) -> dict[str, dict[int, tuple[FoldCurve, ...]]]:
    """The curves by study and trial number."""
    of_trial: dict[tuple[str, int], list[FoldCurve]] = defaultdict(list)
    query = (
        select(TrialRow.study_id, TrialRow.number, CurveRow.fold, CurveRow.steps, CurveRow.losses)
        .join(CurveRow, CurveRow.trial_id == TrialRow.id)
        .where(TrialRow.study_id.in_([study.id for study in studies]))
        .order_by(CurveRow.trial_id, CurveRow.fold)
    )
    for study_id, number, fold, steps, losses in connection.execute(query):
        curve = FoldCurve(fold, tuple(from_json(steps)), tuple(from_json(losses)))
        of_trial[study_id, number].append(curve)
    found: dict[str, dict[int, tuple[FoldCurve, ...]]] = defaultdict(dict)
    for (study_id, number), curves in of_trial.items():
        found[study_id][number] = tuple(curves)
    return found
