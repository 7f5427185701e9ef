"""Whole studies in bulk: everything the single queries give, in the same order."""

from __future__ import annotations

from dataclasses import replace

from autometa.records import CurvePoint, TrialRecord, TrialState
from autometa.storage import NewStudy, Store, TableRecord
from autometa.storage.past_studies import FoldCurve


def trial(number: int) -> TrialRecord:
    curve = tuple(CurvePoint(fold, step, 1 / step) for fold in (0, 1) for step in (1, 2, 10))
    return TrialRecord(
        number=number,
        learner="linear",
        config={"scaling": "robust", "strength": 0.25},
        state=TrialState.PRUNED if number % 2 else TrialState.COMPLETE,
        loss=None if number % 2 else 0.5 + number,
        fold_losses=(0.5, float(number)),
        curve=curve if number < 2 else (),
    )


def test_bulk_is_what_single_queries_give(
    store: Store, new_study: NewStudy, table: TableRecord
) -> None:
    """More studies than are read at once, trials added out of order, and one study without any."""
    ids = [store.start_study(replace(new_study, seed=seed)).id for seed in range(60)]
    for number in (2, 0, 1):
        for study_id in ids[:-1]:
            store.add_trial(study_id, trial(number))
    found = list(store.past_studies())
    assert [past.study.id for past in found] == ids[:-1]
    for past in found:
        assert past.table == table
        assert past.study == store.find_study(past.study.id)
        assert list(past.trials) == store.trials(past.study.id, has_curves=False)
        assert past.curves == dict.fromkeys(
            (0, 1), tuple(FoldCurve(fold, (1, 2, 10), (1.0, 0.5, 0.1)) for fold in (0, 1))
        )


def test_without_curves_there_are_none(store: Store, study_id: str) -> None:
    """Curves are read only where they are asked for."""
    store.add_trial(study_id, trial(0))
    (past,) = store.past_studies(has_curves=False)
    assert past.curves == {}
    assert past.trials == (replace(trial(0), curve=()),)


def test_an_empty_store_has_no_past(store: Store) -> None:
    """A table alone is no study."""
    assert list(store.past_studies()) == []
