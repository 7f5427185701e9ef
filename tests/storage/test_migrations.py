"""Schemas: the committed old databases open, the models match the migrations."""

from __future__ import annotations

import importlib.util
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

import autometa.storage
from autometa.errors import StoreError
from autometa.storage import Store, StudyStatus
from autometa.storage.engine import store_url
from autometa.storage.migrate import found_version
from autometa.storage.schema import PREFIX, SCHEMA_VERSION, VERSION_TABLE, Base

OLD = Path(__file__).with_name("old_databases")
MIGRATIONS = Path(autometa.storage.__file__).parent / "migrations"


def load_maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_old_database", OLD / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", sorted(path.name for path in OLD.glob("*.db")))
def test_an_old_database_opens_upgraded_and_whole(name: str, path: Path) -> None:
    """A store of every schema version there ever was opens with everything in it."""
    shutil.copy(OLD / name, path)
    with Store.open(path) as store:
        summary = store.studies()[0]
        assert tuple(store.trials(summary.id)) == load_maker().TRIALS
        assert (summary.table_name, summary.best_loss) == ("flowers", 0.5)
        assert summary.status is StudyStatus.FINISHED
        assert [model.path for model in store.models(summary.id)] == ["flowers.autometa"]
        assert [item.content for item in store.proposals(summary.id)] == [{"depth": 3}]
        assert store.check() == []


def test_a_file_is_copied_beside_itself_before_it_is_upgraded(path: Path) -> None:
    """The copy is of the old version and opens as such; it is made once, and never of new ones."""
    shutil.copy(OLD / "version_0001.db", path)
    Store.open(path).close()
    copy = path.with_name("store-schema-0001.db")
    assert found_version(store_url(copy)) == "0001"
    made_at = copy.stat().st_mtime_ns
    Store.open(path).close()
    assert [one.name for one in path.parent.glob("*-schema-*.db")] == [copy.name]
    shutil.copy(OLD / "version_0001.db", path)
    Store.open(path).close()
    assert copy.stat().st_mtime_ns == made_at
    with Store.open(copy) as store:
        assert tuple(store.trials(store.studies()[0].id)) == load_maker().TRIALS


def test_traits_of_old_tables_are_packed(path: Path) -> None:
    """A table that was described before traits were kept is compared as any other."""
    shutil.copy(OLD / "version_0002.db", path)
    with Store.open(path) as store:
        traits = store.traits(1)
        assert (traits.names, traits.values.tolist()) == (("log_n",), [[5.01]])


def test_every_schema_version_has_an_old_database() -> None:
    """A new migration cannot come without a database to upgrade from later."""
    revisions = ScriptDirectory(str(MIGRATIONS)).walk_revisions()
    assert {f"version_{script.revision}.db" for script in revisions} == {
        path.name for path in OLD.glob("*.db")
    }


def test_the_schema_version_is_the_newest_migration() -> None:
    """The version compared at open is the one alembic would upgrade to."""
    assert ScriptDirectory(str(MIGRATIONS)).get_current_head() == SCHEMA_VERSION


def test_models_and_migrations_agree(store: Store) -> None:
    """A store made by the migrations has the very tables that the models declare."""
    engine = create_engine(store.url)
    with engine.connect() as connection:
        options = {"version_table": VERSION_TABLE, "compare_type": True}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, Base.metadata) == []
    engine.dispose()


def test_all_tables_carry_the_prefix(store: Store, path: Path) -> None:
    """Nothing of ours can be taken for a table of Optuna's."""
    assert store.check() == []
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        names = {name for (name,) in rows}
    connection.close()
    assert all(name.startswith(PREFIX) for name in names)
    assert names >= set(Base.metadata.tables)


def test_a_newer_store_is_refused_and_left_alone(store: Store, database: str) -> None:
    """A store of a later version of autometa gives an error that says so."""
    engine = create_engine(store.url)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    engine.dispose()
    with pytest.raises(StoreError, match=r"newer autometa .*9999"):
        Store.open(database)


def test_foreign_tables_survive_the_migrations(database: str) -> None:
    """Tables that others keep in the same database, named as Optuna's, are not touched."""
    engine = create_engine(store_url(database))
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE trials (trial_id INTEGER)")
        connection.exec_driver_sql("CREATE TABLE alembic_version (version_num TEXT)")
        connection.exec_driver_sql("INSERT INTO alembic_version VALUES ('v3.2.0.a')")
    Store.open(database).close()
    with engine.connect() as connection:
        versions = connection.exec_driver_sql("SELECT * FROM alembic_version").all()
        assert [tuple(row) for row in versions] == [("v3.2.0.a",)]
        assert connection.exec_driver_sql("SELECT * FROM trials").all() == []
    engine.dispose()


OPEN = """
import sys, time
from autometa.storage import Store
while time.time() < float(sys.argv[2]):
    pass
with Store.open(sys.argv[1]) as store:
    problems = store.check()
print(problems, "alembic" in sys.modules, "optuna" in sys.modules, "torch" in sys.modules)
"""


def test_processes_that_open_a_new_store_at_once_all_succeed(database: str) -> None:
    """Only one creates the tables, the others wait for it."""
    at = str(time.time() + 1.5)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN, database, at], stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    for process in processes:
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        assert out.startswith("[]")


def test_opening_an_up_to_date_store_imports_nothing_heavy(store: Store, database: str) -> None:
    """No alembic for a store that needs no upgrade; no optuna and no torch ever."""
    store.close()
    done = subprocess.run(
        [sys.executable, "-c", OPEN, database, "0"], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["[]", "False", "False", "False"]
