"""The store's own history: tasks of comparable trials, and what pruned trials are worth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from autometa.records import CurvePoint, TrialRecord, TrialState
from autometa.spaces import Config
from autometa.storage import NewStudy, Store, TableRecord
from autometa.studies.histories import read_store

CONFIGS: dict[str, Config] = {
    "neighbors": {"metric": "euclidean", "relevance": 0.5},
    "linear": {"scaling": "robust"},
}
FLOWERS = TableRecord("f" * 64, "flowers", 150, 4, "kind", "multiclass", 3, {"log_rows": 5.0})
PRICES = TableRecord("a" * 64, "prices", 90, 2, "price", "regression", 0, {"log_rows": 4.5})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store.db") as opened:
        opened.add_table(FLOWERS)
        opened.add_table(PRICES)
        yield opened


def trial(
    number: int,
    loss: float | None,
    state: TrialState = TrialState.COMPLETE,
    folds: Sequence[float] = (),
    curves: Sequence[dict[int, float]] = (),
    learner: str = "neighbors",
) -> TrialRecord:
    return TrialRecord(
        number=number,
        learner=learner,
        config=CONFIGS.get(learner, {}),
        state=state,
        loss=loss,
        fold_losses=tuple(folds),
        curve=tuple(
            CurvePoint(fold, step, value)
            for fold, points in enumerate(curves)
            for step, value in points.items()
        ),
        duration_s=float(number),
    )


def add(
    store: Store,
    trials: Sequence[TrialRecord],
    table: TableRecord = FLOWERS,
    metric: str = "log_loss",
    seed: int = 0,
    key: str = "k",
) -> str:
    new = NewStudy(table.fingerprint, table.name, key * 64, metric, seed, "3-fold")
    study_id = store.start_study(new).id
    for one in trials:
        store.add_trial(study_id, one)
    return study_id


def test_comparable_trials_are_one_task(store: Store) -> None:
    """Two runs of one table, metric, splits and seed are one task; whatever differs, another."""
    add(store, [trial(0, 0.5), trial(1, 0.25, learner="linear")])
    add(store, [trial(0, 0.75)], key="j")
    add(store, [trial(0, 9.0)], PRICES, metric="rmse")
    flowers, prices = read_store(store).tasks
    assert (flowers.name, flowers.family, prices.name) == ("flowers", "flowers", "prices")
    assert flowers.description == {"log_rows": 5.0}
    np.testing.assert_array_equal(flowers.losses, [0.5, 0.25, 0.75])
    assert flowers.costs_s is not None
    np.testing.assert_array_equal(flowers.costs_s, [0.0, 1.0, 0.0])
    assert [dict(config) for config in flowers.configs[:2]] == [
        {"learner": "neighbors", "neighbors.metric": "euclidean", "neighbors.relevance": 0.5},
        {"learner": "linear", "linear.scaling": "robust"},
    ]
    add(store, [trial(0, 0.1)], seed=1)
    add(store, [trial(0, 0.9)], metric="accuracy")
    tasks = read_store(store).tasks
    assert len({task.name for task in tasks}) == len(tasks) == 4
    assert [task.family for task in tasks].count("flowers") == 3


def test_distributions_are_the_learners_own(store: Store) -> None:
    """All settings for tables of any shape, and of the learners that were tried no others."""
    add(store, [trial(0, 0.5), trial(1, 0.5, learner="linear")])
    found = read_store(store).distributions
    assert found["neighbors.relevance"] == FloatDistribution(0.0, 2.0)
    assert found["neighbors.most_levels"] == IntDistribution(2, 100, log=True)
    learners = found["learner"]
    assert isinstance(learners, CategoricalDistribution)
    assert set(learners.choices) == {"neighbors", "linear"}
    assert not [name for name in found if name.startswith("network")]


def test_learners_that_are_gone_are_told_by_their_values(store: Store) -> None:
    """A learner that no longer exists keeps its trials."""
    add(store, [trial(0, 0.5), trial(1, 0.5, learner="oracle")])
    learners = read_store(store).distributions["learner"]
    assert learners == CategoricalDistribution(["neighbors", "oracle"])


@pytest.mark.parametrize("state", [one for one in TrialState if one.is_failure])
def test_failures_have_no_loss(store: Store, state: TrialState) -> None:
    """However a trial failed, it is kept as one that did, with what it cost."""
    add(store, [trial(0, 0.5), trial(1, None, state)])
    (task,) = read_store(store).tasks
    np.testing.assert_array_equal(task.losses, [0.5, np.nan])
    assert task.costs_s is not None
    np.testing.assert_array_equal(task.costs_s, [0.0, 1.0])


def test_trials_pruned_after_a_fold_are_judged_by_its_mean(store: Store) -> None:
    """After two folds at 0.5 a trial is between those at 0.4 and 0.6, and so is its loss."""
    add(
        store,
        [
            trial(0, 0.41, folds=(0.3, 0.5, 0.4)),
            trial(1, 0.61, folds=(0.6, 0.6, 0.6)),
            trial(2, None, TrialState.PRUNED, folds=(0.4, 0.6)),
        ],
    )
    (task,) = read_store(store).tasks
    np.testing.assert_allclose(task.losses, [0.41, 0.61, 0.51])
    assert task.costs_s is not None
    assert np.isnan(task.costs_s[2])


def test_trials_pruned_in_a_fold_are_judged_by_their_learners_curves(store: Store) -> None:
    """At step 2 the trial is behind its learner's other; another learner's curve says nothing."""
    pruned = TrialState.PRUNED
    add(
        store,
        [
            trial(0, 0.4, folds=(0.4,), curves=[{1: 9.0, 2: 5.0, 3: 4.0}]),
            trial(1, 99.0, folds=(9.0,), curves=[{1: 99.0, 2: 99.0}], learner="linear"),
            trial(2, None, pruned, curves=[{1: 9.0, 2: 7.0}]),
            trial(3, None, pruned, curves=[{1: 0.1}], learner="oracle"),
        ],
    )
    (task,) = read_store(store).tasks
    # the oracle's trial has none to be compared with
    np.testing.assert_array_equal(task.losses, [0.4, 99.0, 0.4])


def test_curves_are_the_mean_of_finished_folds(store: Store) -> None:
    """A fold that stopped early stays at its best; one that was not finished does not count."""
    whole = [{1: 1.0, 2: 0.5, 3: 0.25}, {1: 3.0, 2: 1.0, 4: 2.0}]
    add(
        store,
        [
            trial(0, 0.5, folds=(0.5, 0.5), curves=whole),
            trial(1, None, TrialState.PRUNED, folds=(0.5,), curves=[{1: 4.0}, {1: 8.0}]),
            trial(2, 0.5, folds=(0.5, 0.5), curves=[{2: 1.0, 3: 2.0}, {3: 4.0}]),
            trial(3, 0.5, folds=(0.5, 0.5)),
        ],
    )
    (task,) = read_store(store).tasks
    first, second, third, fourth = task.curves
    assert first is not None
    np.testing.assert_array_equal(first.steps, [1, 2, 3, 4])
    np.testing.assert_array_equal(first.losses, [2.0, 0.75, 0.625, 1.125])
    assert second is not None
    np.testing.assert_array_equal(second.losses, [4.0])
    assert third is not None
    np.testing.assert_array_equal((third.steps, third.losses), [[3.0], [3.0]])
    assert fourth is None
    assert read_store(store, has_curves=False).tasks[0].curves == ()


def test_studies_can_be_left_out(store: Store) -> None:
    """The study that is going on is none of its own past; an empty store has no past at all."""
    assert read_store(store).tasks == ()
    study_id = add(store, [trial(0, 0.5)])
    add(store, [trial(0, 0.75)], key="j")
    (task,) = read_store(store, without_studies=frozenset({study_id})).tasks
    np.testing.assert_array_equal(task.losses, [0.75])
