"""Studies of other tools as the past of a new study: they may help it, and never break it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl
import pytest

from autometa.errors import StoreError
from autometa.priors._base import ConfigsRequest
from autometa.records import TrialRecord, TrialState
from autometa.search.shipped import shipped_responses
from autometa.spaces import Config
from autometa.storage import ModelRecord, NewStudy, Store, TableRecord
from autometa.studies.kin import Newcomer
from autometa.studies.moving.csv_trials import CsvColumns
from autometa.studies.moving.importing import import_csv
from autometa.studies.options import TuneOptions
from autometa.studies.own_past import OwnPast, find_own_past
from autometa.studies.proposers import choose_proposers
from autometa.studies.setting import Setting, make_setting
from autometa.tables.description import DESCRIPTION_VERSION
from autometa.tables.preparation import TableOptions
from tests.studies.small_tables import mixed_frame

OPTIONS = TuneOptions(table=TableOptions(target="price"))
COLUMNS = CsvColumns("task", loss="loss", learner="learner")
GOOD: Config = {"features": "plain", "scaling": "quantile", "most_levels": 3, "smoothing": 77.0}


@pytest.fixture(name="setting", scope="module")
def fixture_setting() -> Setting:
    return make_setting(mixed_frame(), OPTIONS)


@pytest.fixture(name="store")
def fixture_store(tmp_path: Path, setting: Setting) -> Path:
    """A store that knows a table just like the setting's."""
    path = tmp_path / "store.db"
    with Store.open(path) as store:
        table = TableRecord("a" * 64, "twin", 90, 4, "price", "regression", 0, setting.description)
        store.add_table(table)
        assert table.description_version == DESCRIPTION_VERSION
    return path


def _csv(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    pl.DataFrame(rows, infer_schema_length=None).write_csv(path)
    return path


def _own(store: Path, setting: Setting) -> OwnPast:
    responses = shipped_responses()
    assert responses is not None
    newcomer = Newcomer(setting.description, "regression", 90)
    with Store.open(store) as opened:
        return find_own_past(opened, newcomer, responses)


def _first(own: OwnPast, setting: Setting) -> list[Config]:
    request = ConfigsRequest(setting.description, setting.table.schema.target, setting.spaces)
    found = choose_proposers(OPTIONS, own).configs.propose_configs(request)
    return [setting.spaces[one.learner].complete(one.config) for one in found]


def test_a_table_of_theirs_is_like_no_table(store: Path, setting: Setting) -> None:
    """Nothing describes it in our traits, so no study learns from it unasked."""
    rows = [{"task": "x", "learner": "linear", "loss": at, "smoothing": at + 1} for at in range(8)]
    import_csv(_csv(store.with_name("e.csv"), rows), store, COLUMNS)
    assert not _own(store, setting).similarities


def test_evaluations_of_a_known_table_help_tables_like_it(store: Path, setting: Setting) -> None:
    """What won there, with settings of a learner of ours, is among the first that are tried."""
    rows: list[Mapping[str, object]] = [
        {
            "task": "x",
            "learner": "linear",
            "loss": 5.0 + at,
            "features": "curves",
            "n_knots": 4 + at,
        }
        for at in range(7)
    ]
    rows.append({"task": "x", "learner": "linear", "loss": 0.1, **GOOD})
    won = setting.spaces["linear"].complete(GOOD)
    assert won not in _first(_own(store, setting), setting)
    import_csv(_csv(store.with_name("e.csv"), rows), store, COLUMNS, table="twin")
    own = _own(store, setting)
    assert list(own.similarities.values()) == [pytest.approx(1.0)]
    assert won in _first(own, setting)


def test_what_others_found_takes_the_place_of_no_model(store: Path, setting: Setting) -> None:
    """Of a table with a study of ours its members are tried, however new an import is."""
    config = setting.spaces["linear"].complete(GOOD)
    with Store.open(store) as opened:
        study = opened.start_study(NewStudy("a" * 64, "twin", "k", "rmse", 0, "3-fold"))
        for number in range(4):
            trial = TrialRecord(number, "linear", config, TrialState.COMPLETE, 1.0 + number)
            opened.add_trial(study.id, trial)
        member = {"trial": 0, "weight": 1.0, "learner": "linear", "score": 1.0}
        opened.add_model(ModelRecord(study.id, "model", {}, (member,)))
    rows = [{"task": "x", "learner": "linear", "loss": at, "smoothing": at + 1} for at in range(4)]
    import_csv(_csv(store.with_name("e.csv"), rows), store, COLUMNS, table="twin")
    assert [one.config for one in _own(store, setting).proven] == [config]


def test_learners_and_settings_that_we_have_not_break_nothing(
    store: Path, setting: Setting
) -> None:
    """Unknown learners, values of other kinds and out of range: no config is proposed of them."""
    rows = [
        row
        for at in range(9)
        for row in (
            {"task": "x", "learner": "svm", "loss": 0.001 * at, "kernel": "rbf"},
            {"task": "x", "learner": "linear", "loss": 0.01 * at, "scaling": "odd", "new": at},
            {"task": "x", "learner": "lightgbm", "loss": 0.02 * at, "num_leaves": -at},
            {"task": "y", "learner": None, "loss": 0.1 * at, "kernel": "lin"},
        )
    ]
    import_csv(_csv(store.with_name("e.csv"), rows), store, COLUMNS, table="twin")
    own = _own(store, setting)
    assert len(own.similarities) == 2
    assert _first(own, setting)  # each complete, within the learners' spaces


def test_a_table_that_may_be_several_is_refused(store: Path) -> None:
    """As everywhere, the start of a fingerprint tells them apart."""
    with Store.open(store) as opened:
        opened.add_table(TableRecord("b" * 64, "twin", 90, 4, "y", "regression", 0))
    rows: list[dict[str, object]] = [{"task": "x", "learner": "linear", "loss": 1.0, "a": 1}]
    path = _csv(store.with_name("e.csv"), rows)
    with pytest.raises(StoreError, match="several tables"):
        import_csv(path, store, COLUMNS, table="twin")
    assert import_csv(path, store, COLUMNS, table="bbbbbb").tallies["trials"].n_new == 1
