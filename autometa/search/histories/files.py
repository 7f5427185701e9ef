"""A history as one file, to ship and to send: Parquet with one evaluation a row.

Columns: `task` (a number), `name`, `family`; `loss`, NaN where it failed; `cost_s`, where known;
`param:<name>` for each parameter, empty where it was not active; `trait:<name>` for each trait of
the task's description; `steps` and `losses` of the curve. A parameter's cells are whole numbers or
numbers if all its values are, else JSON. The card and the distributions are JSON in the file's
metadata, with a digest of all there is. Nothing in it is code; equal histories give equal bytes.

What is lost: losses, costs and traits are rounded to float32 (a relative error of 2^-24 = 6e-8);
curves are thinned to about four points an octave and rounded to 12 bits (2^-12 = 2.4e-4). A task
without evaluations is left out.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl
from optuna.distributions import (
    BaseDistribution,
    distribution_to_json,
    json_to_distribution,
)

from autometa.errors import HistoryError
from autometa.search.histories._base import History
from autometa.search.histories.cards import HistoryCard
from autometa.search.histories.rows import from_rows, to_rows

_MARK = "autometa_history"
_VERSION = 1
# what damaged bytes make polars raise; a panic of its own is no Exception
_DAMAGE = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError, TypeError)


def write_history(history: History, path: str | Path, card: HistoryCard) -> None:
    """Write the history's file; raises `HistoryError` if it cannot be written there."""
    frame = to_rows(history)
    facts: dict[str, Any] = {
        "version": _VERSION,
        "card": asdict(card),
        "distributions": {
            name: distribution_to_json(one) for name, one in history.distributions.items()
        },
    }
    facts["digest"] = _digest(frame, facts)
    buffer = io.BytesIO()
    frame.write_parquet(
        buffer,
        compression="zstd",
        compression_level=19,  # three times the seconds of the default for a tenth less
        statistics=False,
        metadata={_MARK: json.dumps(facts, sort_keys=True)},
    )
    try:
        Path(path).write_bytes(buffer.getvalue())
    except OSError as error:
        raise HistoryError(f"the history cannot be written to {path}: {error}") from error


def read_history(path: str | Path) -> tuple[History, HistoryCard]:
    """The history in a file and its card.

    Raises `HistoryError` if it is absent, of something else, damaged, or of a later version.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise HistoryError(f"there is no history to read at {path}: {error}") from error
    facts = _facts(content, path)
    try:
        frame = pl.read_parquet(io.BytesIO(content), parallel="none")
        if facts.pop("digest") != _digest(frame, facts):
            raise HistoryError("it is not what was written")
        history = from_rows(frame, _distributions(facts["distributions"]), facts["card"]["name"])
        return history, HistoryCard.of_facts(facts["card"])
    except (*_DAMAGE, KeyError) as error:
        said = " ".join(str(error).split())[:200]
        raise HistoryError(
            f"the history {path} is damaged: {said}; get another copy of it"
        ) from error


def _facts(content: bytes, path: str | Path) -> dict[str, Any]:
    try:
        text = pl.read_parquet_metadata(io.BytesIO(content))[_MARK]
        facts = json.loads(text)
        version = facts["version"]
    except (*_DAMAGE, KeyError) as error:
        raise HistoryError(
            f"{path} is no history: `autometa prior distill` and `write_history` make such files"
        ) from error
    if version != _VERSION:
        raise HistoryError(
            f"the history {path} is of version {version}, this autometa reads version {_VERSION}: "
            "install a later one, or make the history anew"
        )
    return dict(facts)


def _distributions(texts: Mapping[str, str]) -> dict[str, BaseDistribution]:
    return {name: json_to_distribution(text) for name, text in texts.items()}


def _digest(frame: pl.DataFrame, facts: Mapping[str, Any]) -> str:
    """SHA-256 of all cells and facts, however the file is written and compressed."""
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for column in frame:
        digest.update(f"{column.name}\n{column.dtype}\n".encode())
        cells = column
        if isinstance(column.dtype, pl.List):
            digest.update(column.list.len().fill_null(-1).cast(pl.Int64).to_numpy().tobytes())
            cells = column.explode().drop_nulls()
        digest.update(cells.is_null().to_numpy().tobytes())
        known = cells.drop_nulls()
        if known.dtype == pl.String:
            digest.update("\0".join(known.to_list()).encode())
        else:
            digest.update(known.to_numpy().tobytes())
    return digest.hexdigest()
