"""A user's own SELECT on the store."""

from __future__ import annotations

from pathlib import Path

from autometa.errors import OptionError
from autometa.storage import Store
from autometa.storage.read_only import Answer


def ask_sql(store: str | Path | None, query: str, limit: int = 0) -> Answer:
    """What a SELECT gives, at most `limit` rows (0: all).

    Raises `StoreError` without a store, and for what the store cannot answer or would be changed
    by.
    """
    if limit < 0:
        raise OptionError(f"-n {limit}: give how many, or 0 for all")
    with Store.open(store, is_made=False) as opened:
        return opened.sql(query, limit or None)
