"""What a new study takes from the user's own ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from autometa.errors import OptionError, StoreError
from autometa.priors._base import ConfigsRequest
from autometa.records import TrialRecord, TrialState
from autometa.search.responses.extending import extend
from autometa.search.shipped import shipped_responses
from autometa.spaces import Config
from autometa.storage import NewStudy, Store, TableRecord
from autometa.studies.kin import Newcomer
from autometa.studies.options import TuneOptions
from autometa.studies.own_past import OwnPast, choose_own_past, find_own_past, said_of
from autometa.studies.proposers import choose_proposers
from autometa.studies.setting import Setting, make_setting
from autometa.tables.preparation import TableOptions
from tests.studies.small_tables import mixed_frame

ODD: Config = {"features": "plain", "scaling": "quantile", "most_levels": 3, "smoothing": 77.0}


@pytest.fixture(scope="module")
def setting() -> Setting:
    return make_setting(mixed_frame(), TuneOptions(table=TableOptions(target="price")))


def _add(store: Store, setting: Setting, name: str, mark: str, distance: float = 0.0) -> str:
    """A study of a table like the setting's, on which an odd linear model was by far the best."""
    description = {key: value + distance for key, value in setting.description.items()}
    store.add_table(TableRecord(mark * 64, name, 90, 4, "y", "regression", 0, description))
    study = store.start_study(NewStudy(mark * 64, name, mark, "rmse", 7, "3-fold"))
    space = setting.spaces["linear"]
    for number in range(8):
        others: Config = {"features": "curves", "scaling": "robust", "n_knots": 4 + number}
        config = space.complete(ODD if number == 3 else others)
        loss = 0.1 if number == 3 else 5.0 + number
        store.add_trial(
            study.id, TrialRecord(number, "linear", config, TrialState.COMPLETE, loss, (loss,))
        )
    return study.id


def test_tables_of_one_name_have_their_own_similarity(tmp_path: Path, setting: Setting) -> None:
    """Every folder has a train.csv."""
    with Store.open(tmp_path / "store.db") as store:
        _add(store, setting, "train", "a")
        _add(store, setting, "train", "b", distance=1.0)
        own = _find(store, setting)
    near, far = sorted(own.similarities.values(), reverse=True)
    assert near == pytest.approx(1.0)
    assert far < 0.9


def test_a_table_without_traits_is_like_none(tmp_path: Path, setting: Setting) -> None:
    """Nothing is known of it, which is no likeness."""
    with Store.open(tmp_path / "store.db") as store:
        store.add_table(TableRecord("a" * 64, "blank", 90, 4, "y", "regression", 0, {}))
        study = store.start_study(NewStudy("a" * 64, "blank", "a", "rmse", 7, "3-fold"))
        store.add_trial(study.id, TrialRecord(0, "linear", {}, TrialState.COMPLETE, 1.0))
        assert not _find(store, setting).similarities


def _newcomer(setting: Setting) -> Newcomer:
    return Newcomer(setting.description, "regression", 90, 10.0)


def _find(store: Store, setting: Setting, **more: str) -> OwnPast:
    responses = shipped_responses()
    assert responses is not None
    return find_own_past(store, _newcomer(setting), responses, **more)  # type: ignore[arg-type]


def test_the_nearest_tables_are_taken_with_their_similarity(
    tmp_path: Path, setting: Setting
) -> None:
    """1 for the same traits, less for others; a store without tables has nothing."""
    with Store.open(tmp_path / "store.db") as store:
        assert not _find(store, setting).history.tasks
        _add(store, setting, "twin", "a")
        _add(store, setting, "stranger", "b", distance=1.0)
        own = _find(store, setting)
    assert own.similarities["twin"] == pytest.approx(1.0)
    assert own.similarities["stranger"] < 0.9
    assert {task.name for task in own.history.tasks} == {"twin", "stranger"}


def test_what_won_on_the_twin_is_tried_first(tmp_path: Path, setting: Setting) -> None:
    """Its config comes among the first, which without it does not, and the study says so."""
    with Store.open(tmp_path / "store.db") as store:
        _add(store, setting, "twin", "a")
        own = _find(store, setting)
    options = TuneOptions(table=TableOptions(target="price"))
    request = ConfigsRequest(setting.description, setting.table.schema.target, setting.spaces)
    first = choose_proposers(options, own).configs.propose_configs(request)
    won = setting.spaces["linear"].complete(ODD)
    assert won in [one.config for one in first[:3]]
    assert won not in [
        one.config for one in choose_proposers(options).configs.propose_configs(request)
    ]
    said = said_of(first, own)
    assert said is not None
    assert "from twin (similarity 1.00)" in said
    assert first[0].config == won
    assert [one.is_reserve for one in first[:5]] == [False] * 5
    assert all(one.is_reserve for one in first if one.origin == "default")


def test_responses_of_more_tasks_follow_their_losses(tmp_path: Path, setting: Setting) -> None:
    """The task that was added tells its own order of configs, and the others keep theirs."""
    responses = shipped_responses()
    assert responses is not None
    with Store.open(tmp_path / "store.db") as store:
        _add(store, setting, "twin", "a")
        own = _find(store, setting)
    more = own.extend(responses)
    assert more.n_tasks == responses.n_tasks + 1
    np.testing.assert_array_equal(more.means[:-1], responses.means)
    assert more.tasks[-1].name == "twin"
    assert more.pool[: len(responses.pool)] == responses.pool


def test_what_failed_is_no_config_worth_trying(tmp_path: Path, setting: Setting) -> None:
    """However few others a task has."""
    responses = shipped_responses()
    assert responses is not None
    with Store.open(tmp_path / "store.db") as store:
        study = _add(store, setting, "twin", "a")
        failed = setting.spaces["linear"].complete({"features": "plain", "scaling": "robust"})
        for number in range(8, 11):
            store.add_trial(study, TrialRecord(number, "linear", failed, TrialState.FAILED))
        own = _find(store, setting)
    (task,) = own.history.tasks
    few = replace(task, configs=task.configs[-6:], losses=task.losses[-6:], costs_s=None)
    assert np.isnan(few.losses).sum() == 3
    more = extend(responses, replace(own.history, tasks=(few,)))
    assert len(more.pool) - len(responses.pool) <= 3


def test_the_options_say_whose_past(tmp_path: Path, setting: Setting) -> None:
    """By default the store's, for counted trials none, else a study's, another store's or none."""
    options = TuneOptions(time_s=10.0)

    def names(
        wanted: TuneOptions, store: Store, without: frozenset[str] = frozenset()
    ) -> set[str]:
        return set(choose_own_past(wanted, store, _newcomer(setting), without).similarities)

    with Store.open(tmp_path / "other.db") as other:
        _add(other, setting, "theirs", "c")
    with Store.open(tmp_path / "store.db") as store:
        twin = _add(store, setting, "twin", "a")
        far = _add(store, setting, "far", "b", distance=2.0)
        assert names(options, store) == {"twin", "far"}
        assert names(options, store, frozenset((twin,))) == {"far"}
        assert names(replace(options, warm_start="none"), store) == set()
        assert names(replace(options, warm_start=far[:6]), store) == {"far"}
        assert names(replace(options, warm_start=str(tmp_path / "other.db")), store) == {"theirs"}
        counted = TuneOptions(n_trials=5)
        assert names(counted, store) == set()
        assert names(replace(counted, warm_start=twin), store) == {"twin"}
        with pytest.raises(StoreError, match="neither a store that is there nor a study"):
            names(replace(options, warm_start="nowhere"), store)
    for words in ({"use_prior": False}, {"use_past": False}):
        with pytest.raises(OptionError, match="--from"):
            TuneOptions(warm_start="none", **words)  # type: ignore[arg-type]  # of one type
