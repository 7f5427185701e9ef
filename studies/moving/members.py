"""Rows of one kind as a Parquet file, and back: equal rows give equal bytes.

The columns are those of `autometa.storage.moving.kinds`; what is JSON in the store is JSON here.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import polars as pl

from autometa.errors import HistoryError
from autometa.storage.moving.kinds import Kind, Row, Value

_TYPES: dict[Value, pl.DataType] = {
    Value.TEXT: pl.String(),
    Value.JSON: pl.String(),
    Value.WHOLE: pl.Int64(),
    Value.NUMBER: pl.Float64(),
    Value.MOMENT: pl.Datetime("us", "UTC"),
    Value.BYTES: pl.Binary(),
}
# what damaged bytes make polars raise; a panic of its own is no Exception
_DAMAGE = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError, TypeError)


def to_bytes(kind: Kind, rows: Sequence[Row]) -> bytes:
    """The rows in their order as a Parquet file."""
    columns = [
        pl.Series(name, [row[name] for row in rows], dtype=_TYPES[value])
        for name, value in kind.columns.items()
    ]
    buffer = io.BytesIO()
    pl.DataFrame(columns).write_parquet(
        buffer, compression="zstd", compression_level=3, statistics=False
    )
    return buffer.getvalue()


def from_bytes(kind: Kind, content: bytes) -> list[Row]:
    """The rows of a Parquet file.

    Raises `HistoryError` if its columns are others, or a cell is empty that may not be.
    """
    try:
        frame = pl.read_parquet(io.BytesIO(content))
    except _DAMAGE as error:
        raise HistoryError(f"its {kind.name} cannot be read: it is damaged") from error
    expected = {name: _TYPES[value] for name, value in kind.columns.items()}
    if dict(frame.schema) != expected:
        raise HistoryError(f"its {kind.name} have other columns than they should")
    for name in kind.columns:
        if name not in kind.empty and frame[name].null_count():
            raise HistoryError(f"its {kind.name} have an empty {name!r}")
    return frame.to_dicts()
