"""What a shell completes: ids and names that begin so, whatever the store's schema."""

from __future__ import annotations

from pathlib import Path

from autometa.storage.engine import check_exists, store_url
from autometa.storage.paths import default_store
from autometa.storage.read_only import answer

_N_OFFERED = 50  # more than a terminal shows at once helps nobody

# by noun: the table, the column that is completed, a word on what that is, and the order
_PLACES = {
    "study": ("autometa_study", "id", "min(name)", "max(created_at) DESC"),
    "table": ("autometa_table", "name", "min(target)", "name"),
    "prior": ("autometa_prior", "name", "min(kind)", "name"),
}


def names_that_begin(where: str | Path | None, noun: str, start: str) -> list[tuple[str, str]]:
    """Ids of studies, the newest first, or names of tables or priors, each with a word on it.

    Neither makes nor upgrades a store. Raises `StoreError` where it cannot be asked.
    """
    url = store_url(default_store() if where is None else where)
    check_exists(url)
    table, column, about, order = _PLACES[noun]
    text = start.replace("'", "''").replace("\0", "")
    found = answer(
        url,
        f"SELECT {column}, {about} FROM {table} "  # noqa: S608 - our names, and the user's in quotes
        f"WHERE substr({column}, 1, {len(start)}) = '{text}' "
        f"GROUP BY {column} ORDER BY {order} LIMIT {_N_OFFERED}",
    )
    return [(name, about) for name, about in found.rows]
