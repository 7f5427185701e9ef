"""The views: documents say what they are, they say what records say, old stores get them."""

from __future__ import annotations

import re
import shutil
import sqlite3
from pathlib import Path

import pytest

from autometa.metrics import CLASSIFICATION_METRICS, REGRESSION_METRICS
from autometa.records import TrialRecord, TrialState
from autometa.spaces import Scalar
from autometa.storage import NewStudy, PriorRecord, Promotion, Store, TableRecord
from autometa.storage.schema import SCHEMA_VERSION
from autometa.storage.views import VIEWS

PAGE = (Path(__file__).parents[2] / "docs" / "store.md").read_text("utf-8")
OLD = Path(__file__).with_name("old_databases")


def views_of(path: Path) -> dict[str, str]:
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'view'")
        found = dict(rows.fetchall())
    connection.close()
    return found


def test_the_document_lists_every_view_with_its_columns(store: Store) -> None:
    """docs/store.md is the promise, and the views keep it: names, in this order, and no other."""
    section = PAGE.split("## Asking in SQL")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(autometa_\w+)` \|[^|]*\| (.*) \|$", section, re.MULTILINE)
    promised = {name: tuple(re.findall(r"`(\w+)`", columns)) for name, columns in rows}
    assert promised == {name: store.sql(f"SELECT * FROM {name}").names for name in VIEWS}


def test_the_document_s_query_runs(store: Store) -> None:
    """The example of docs/store.md is answered."""
    queries = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
    assert len(queries) == 1
    assert store.sql(queries[0]).rows == ()


def test_a_change_of_a_view_comes_with_a_schema_version(store: Store, path: Path) -> None:
    """Stores of this schema version have these very views: another would need a migration."""
    assert views_of(path) == views_of(OLD / f"version_{SCHEMA_VERSION}.db")


@pytest.mark.parametrize("name", sorted(one.name for one in OLD.glob("*.db")))
def test_an_old_store_gets_the_views(name: str, store: Store, path: Path, tmp_path: Path) -> None:
    """Upgraded, a store of any version has them as a new one has."""
    old = tmp_path / name
    shutil.copy(OLD / name, old)
    Store.open(old).close()
    assert views_of(old) == views_of(path)


def test_scores_are_in_the_metrics_own_sign(store: Store) -> None:
    """A loss of each metric is shown as the score that the metric itself makes of it."""
    metrics = {**CLASSIFICATION_METRICS, **REGRESSION_METRICS}
    for name in metrics:
        new = NewStudy("f" * 64, "t", "k", name, 0, "cv5", baseline_loss=2.0)
        study = store.start_study(new)
        trial = TrialRecord(0, "linear", {}, TrialState.COMPLETE, 0.25, (0.5,))
        store.add_trial(study.id, trial)
    for view, column, loss in (
        ("trials", "score", 0.25),
        ("folds", "score", 0.5),
        ("studies", "baseline_score", 2.0),
    ):
        rows = store.sql(f"SELECT metric, {column} FROM autometa_{view}").rows
        assert dict(rows) == {name: metric.from_loss(loss) for name, metric in metrics.items()}
    assert set(store.sql("SELECT score FROM autometa_studies").rows) == {(None,)}


def test_settings_and_moments_are_asked_for_in_sql(
    store: Store, study_id: str, path: Path
) -> None:
    """A setting is taken out of its config; a moment that is not known is NULL."""
    for number, began in enumerate((0.0, 1_800_000_000.25)):
        config: dict[str, Scalar] = {"learning_rate": 0.5, "start": "own"}
        store.add_trial(
            study_id, TrialRecord(number, "network", config, TrialState.FAILED, started_at=began)
        )
    asked = "CAST(config ->> 'learning_rate' AS REAL), config ->> 'start', started_at"
    rows = store.sql(f"SELECT {asked} FROM autometa_trials ORDER BY number").rows
    assert rows == ((0.5, "own", None), (0.5, "own", "2027-01-15 08:00:00.250000"))


def test_the_prior_in_use_is_the_last_promoted(store: Store) -> None:
    """One of each kind is, none before the first promotion, none after a return to ours."""

    def in_use() -> list[str]:
        rows = store.sql("SELECT name FROM autometa_priors WHERE is_in_use ORDER BY name").rows
        return [name for (name,) in rows]

    for name, kind in (("a", "networks"), ("b", "networks"), ("c", "curves")):
        store.priors.add(PriorRecord(name * 64, name, kind, None, {}, {}, b"x"))
    assert in_use() == []
    for name, kind in (("a", "networks"), ("c", "curves"), ("b", "networks")):
        store.priors.promote(Promotion(kind, name * 64, "better"))
    assert in_use() == ["b", "c"]
    store.priors.promote(Promotion("networks", None, "back"))
    assert in_use() == ["c"]


def test_no_view_holds_a_file(store: Store) -> None:
    """Nothing of a view is binary, whatever the tables behind it hold."""
    store.add_table(TableRecord("e" * 64, "other", 1, 1, "y", "binary", 2))
    store.priors.add(PriorRecord("a" * 64, "a", "networks", None, {}, {}, b"x"))
    for name in VIEWS:
        assert not any(
            isinstance(v, bytes) for row in store.sql(f"SELECT * FROM {name}").rows for v in row
        )
