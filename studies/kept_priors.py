"""The priors there are, as a list that is narrowed and sorted as the others are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from autometa.errors import OptionError
from autometa.studies.filter_words import ListWords, read_moment
from autometa.studies.learning.choosing import PriorView, list_priors

HOW_ONE_COMES = "none of them is your own yet: `autometa prior learn` makes one from your studies"


def find_priors(store: str | Path | None, words: ListWords) -> list[PriorView]:
    """The store's priors and the one that comes with us, the newest first.

    Of the words `since`, `n` and `sort` count. Raises `OptionError` for what they cannot mean, and
    `StoreError` without a store that was named.
    """
    since, sort = read_moment(words.get("since")), words.get("sort") or "-made"
    name = sort.removeprefix("-")
    if name not in _KEYS:
        raise OptionError(f"--sort {sort!r}: give one of {', '.join(_KEYS)}, or -made ...")
    views = [view for view in list_priors(store) if since is None or made_at(view) >= since]
    views.sort(key=_KEYS[name], reverse=sort.startswith("-"))
    return views[: words.get("n", 0) or None]


def made_at(view: PriorView) -> datetime:
    """When it was made, or kept in this store."""
    if view.record is not None:
        return view.record.created_at
    return datetime.fromisoformat(str(view.card["made_at"])).astimezone(UTC)


_KEYS: Mapping[str, Callable[[PriorView], Any]] = {"made": made_at, "name": lambda view: view.name}
