"""Whole studies in bulk: everything the single queries give, in the same order."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

from autometa.records import CurvePoint, TrialRecord, TrialState
from autometa.storage import NewStudy, Store, StudyStatus, TableRecord
from autometa.storage.past_studies import CurvePoints


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


def as_curves(points: CurvePoints) -> dict[int, tuple[CurvePoint, ...]]:
    found: dict[int, tuple[CurvePoint, ...]] = {}
    columns = (points.numbers, points.folds, points.steps, points.losses)
    for number, *point in zip(*(column.tolist() for column in columns), strict=True):
        found[number] = (*found.get(number, ()), CurvePoint(*point))
    return found


def test_bulk_is_what_single_queries_give(
    store: Store, new_study: NewStudy, table: TableRecord
) -> None:
    """More studies than are read at once, trials added out of order, and one study without any."""
    ids = [store.start_study(replace(new_study, seed=seed)).id for seed in range(45)]
    for number in (2, 0, 1):
        for study_id in ids[:-1]:
            store.add_trial(study_id, trial(number))
    found = list(store.past_studies())
    assert [past.study.id for past in found] == ids[:-1]
    for past in found:
        assert past.table == table
        assert past.study == store.find_study(past.study.id)
        assert list(past.trials) == store.trials(past.study.id, has_curves=False)
        assert as_curves(past.points) == {
            one.number: one.curve for one in store.trials(past.study.id) if one.curve
        }


def test_numbers_come_back_to_the_last_bit(store: Store, study_id: str) -> None:
    """Losses of any size, and those that are no number, are what the trial itself gives."""
    losses = (0.1 + 0.2, 5e-324, 1.7976931348623157e308, math.inf, -math.inf, 1 / 3)
    curve = tuple(CurvePoint(0, step, loss) for step, loss in enumerate((*losses, math.nan)))
    store.add_trial(study_id, replace(trial(0), curve=curve))
    (past,) = store.past_studies()
    assert past.points.losses[:-1].tolist() == list(losses)
    assert math.isnan(past.points.losses[-1])
    assert past.points.steps.tolist() == list(range(7))


def test_without_curves_there_are_none(store: Store, study_id: str) -> None:
    """Curves are read only where they are asked for."""
    store.add_trial(study_id, trial(0))
    (past,) = store.past_studies(has_curves=False)
    assert as_curves(past.points) == {}
    assert past.trials == (replace(trial(0), curve=()),)


def test_an_empty_store_has_no_past(store: Store) -> None:
    """A table alone is no study."""
    assert list(store.past_studies()) == []


def test_only_studies_of_the_tables_that_are_named(
    store: Store, new_study: NewStudy, table: TableRecord
) -> None:
    """All tables are listed; of those that are not named nothing is read."""
    other = replace(table, fingerprint="a" * 64, name="other")
    store.add_table(other)
    for number, mark in enumerate((table.fingerprint, other.fingerprint, other.fingerprint)):
        study = store.start_study(replace(new_study, table=mark, seed=number))
        store.add_trial(study.id, trial(0))
    assert {one.name for one in store.tables()} == {table.name, "other"}
    found = list(store.past_studies(of_tables=(other.fingerprint,)))
    assert [past.study.seed for past in found] == [1, 2]
    assert list(store.past_studies(of_tables=())) == []


def test_what_is_read_in_bulk_is_written_in_bulk(
    store: Store, new_study: NewStudy, tmp_path: Path
) -> None:
    """Studies that another store gives come back from this one as they were, with their tables."""
    other_table = TableRecord("a" * 64, "other", 20, 2, "y", "binary", 2, {"log_n": 3.0})
    with Store.open(tmp_path / "elsewhere.db") as elsewhere:
        elsewhere.add_table(other_table)
        for seed in range(3):
            study = elsewhere.start_study(replace(new_study, table="a" * 64, seed=seed))
            for number in range(seed):
                elsewhere.add_trial(study.id, trial(number))
            elsewhere.finish_study(study.id, StudyStatus.FINISHED, best_loss=0.5)
        pasts = [
            replace(past, trials=tuple(elsewhere.trials(past.study.id)))
            for past in elsewhere.past_studies()
        ]
    store.add_past_studies(pasts)
    found = [
        replace(past, trials=tuple(store.trials(past.study.id)), points=pasts[at].points)
        for at, past in enumerate(store.past_studies())
    ]
    assert found == pasts
    assert store.check() == []
    store.add_trial(pasts[0].study.id, trial(9))  # rows added one by one go on after them
    assert len(store.trials(pasts[0].study.id)) == 2
