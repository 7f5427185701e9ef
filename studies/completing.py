"""What a shell may complete with, from the store; nothing where there is none."""

from __future__ import annotations

from pathlib import Path

from autometa.errors import AutometaError
from autometa.storage.completing import names_that_begin


def offered(store: str | Path | None, noun: str, start: str) -> list[tuple[str, str]]:
    """Ids or names that begin with `start`, each with a word on what it is.

    Fails in silence: nobody has asked anything yet.
    """
    try:
        return names_that_begin(store, noun, start)
    except AutometaError:
        return []
