"""Optuna's own look at the tables that it shares a database with."""

from collections.abc import Generator
from contextlib import contextmanager

from optuna.storages import RDBStorage


@contextmanager
def as_optuna_opens(url: str) -> Generator[RDBStorage]:
    """Optuna's storage, let go of afterwards."""
    storage = RDBStorage(url)
    try:
        yield storage
    finally:
        storage.remove_session()
        storage.engine.dispose()
