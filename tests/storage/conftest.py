"""A store in a real database, and values to put into it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from autometa.storage import NewStudy, Store, TableRecord


@pytest.fixture(name="table")
def fixture_table() -> TableRecord:
    return TableRecord("f" * 64, "flowers", 150, 4, "kind", "multiclass", 3, {"log_n": 5.01})


@pytest.fixture(name="new_study")
def fixture_new_study(table: TableRecord) -> NewStudy:
    key, options = "k" * 64, {"time_s": 60.0}
    return NewStudy(
        table.fingerprint, "flowers", key, "log_loss", 0, "cv5", options, workspace="workspace"
    )


@pytest.fixture(name="store")
def fixture_store(database: str, table: TableRecord) -> Iterator[Store]:
    with Store.open(database) as store:
        store.add_table(table)
        yield store


@pytest.fixture(name="study_id")
def fixture_study_id(store: Store, new_study: NewStudy) -> str:
    return store.start_study(new_study).id
