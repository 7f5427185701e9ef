"""What holds for all tests, and the databases that those of the store run in.

What asks for a `database` runs in SQLite and in PostgreSQL, unless it also names the file's
`path`: then it is about SQLite alone.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from autometa.studies.benchmarks.storing._servers import Server, running_server

# a busy machine makes any example slow: no test asserts a duration
settings.register_profile("autometa", deadline=None)
settings.load_profile("autometa")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run in each database what is not about one."""
    names = metafunc.fixturenames
    if "database" in names and "path" not in names:
        metafunc.parametrize("database", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture(name="postgresql", scope="session")
def fixture_postgresql() -> Iterator[Server]:
    """A server for all tests that ask for one, started by the first of them."""
    with running_server(is_durable=False) as server:
        yield server


@pytest.fixture(name="path")
def fixture_path(tmp_path: Path) -> Path:
    """The file of a SQLite database."""
    return tmp_path / "store.db"


@pytest.fixture(name="database")
def fixture_database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a store may be made: a path, or the URL of an empty database."""
    if getattr(request, "param", "sqlite") == "sqlite":
        return str(tmp_path / "store.db")
    server: Server = request.getfixturevalue("postgresql")
    return server.make_database()
