"""How messages and notes are worded: counts, names and cells, short enough for one line."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import polars as pl

MAX_CHARS = 40  # of a name or a cell in a message: a few of them still fit a line


def counted(n: int, word: str) -> str:
    """A number and its word: "1 row", "2,000 rows"."""
    return f"{n:,} {word}" if n == 1 else f"{n:,} {word}s"


def shortened(cell: object) -> str:
    """A cell as Python writes it, on one line and cut where it is long."""
    text = repr(cell.to_list() if isinstance(cell, pl.Series) else cell)
    return text if len(text) <= MAX_CHARS else f"{text[: MAX_CHARS - 3]}..."


def list_names(names: Sequence[str], n_shown: int = 5) -> str:
    """The first few names, and how many more there are."""
    shown = ", ".join(shortened(name) for name in names[:n_shown])
    return shown if len(names) <= n_shown else f"{shown} and {len(names) - n_shown:,} more"


def nearest_name(name: str, names: Sequence[str]) -> str:
    """A hint at the name that was probably meant, "" if there is none."""
    folded = [other for other in names if other.casefold() == name.strip().casefold()]
    close = folded or difflib.get_close_matches(name, names, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def first_line(error: Exception) -> str:
    """The gist of another library's error."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:120]
