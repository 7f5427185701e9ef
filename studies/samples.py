"""Some rows of a table as the store keeps them: for meta-training, and without any name.

Columns are called `c0`, `c1`, ...; categories and classes are numbers in the order of their
labels; numbers, dates and free text stay what they are. So a sample is read as the table was, and
a learner that sees no names takes the one for the other.
"""

from __future__ import annotations

import hashlib
from io import BytesIO

import numpy as np
import polars as pl

from autometa.errors import TableError
from autometa.priors.proposer.rows import draw_rows
from autometa.storage.records import SampleRecord
from autometa.tables._base import Kind, Target, TaskKind
from autometa.tables.schema import Column, Schema
from autometa.tables.table import Table

_MOST_BYTES = 4 * 2**20  # of long texts and very many columns fewer rows are kept
_MOST_CELLS = 2_000_000
_TARGET, _WEIGHT = "target", "weight"


def take_sample(table: Table, fingerprint: str, n_rows: int) -> SampleRecord:
    """At most `n_rows` rows of a table, evenly over its values or classes.

    Which they are follows from the fingerprint.
    """
    seed = int(hashlib.sha256(fingerprint.encode()).hexdigest()[:8], 16)
    rng = np.random.default_rng(seed)
    n_rows = max(1, min(n_rows, _MOST_CELLS // max(1, table.frame.width)))
    while True:
        part = table.take(np.sort(draw_rows(table.target, n_rows, rng)))
        content = _as_parquet(part)
        if len(content) <= _MOST_BYTES or len(part) == 1:
            break
        n_rows = len(part) // 2
    options = {"schema": _without_names(table.schema).to_json()}
    return SampleRecord(fingerprint, len(part), options, content)


def read_sample(record: SampleRecord, name: str) -> Table:
    """The rows as a table, its columns of the kinds that they had.

    Raises `TableError` if they do not fit together: a store may come from elsewhere.
    """
    try:
        schema = Schema.from_json(dict(record.options["schema"]))  # type: ignore[call-overload]
        frame = pl.read_parquet(BytesIO(record.content))
        target = frame[_TARGET].to_numpy()
        weights = frame[_WEIGHT].to_numpy() if _WEIGHT in frame.columns else None
    except (KeyError, TypeError, ValueError, pl.exceptions.PolarsError) as error:
        raise TableError(f"the rows kept of {name} cannot be read: {error}") from error
    kind = schema.target.kind
    is_code = kind.is_classification
    if is_code:
        fits = target.dtype == np.int64 and 0 <= target.min() <= target.max() < (
            schema.target.n_classes
        )
    else:
        fits = target.dtype == np.float64 and bool(np.isfinite(target).all())
    if not fits:
        raise TableError(f"the rows kept of {name} have a target that is none of its classes")
    return Table(name, schema.conform(frame), target, schema, weights)


def _without_names(schema: Schema) -> Schema:
    columns = tuple(Column(f"c{place}", one.kind) for place, one in enumerate(schema.used))
    kind = schema.target.kind
    classes = tuple(str(place) for place in range(schema.target.n_classes))
    target = Column(_TARGET, Kind.CATEGORY if kind.is_classification else Kind.NUMBER)
    weight = None if schema.weight is None else _WEIGHT
    return Schema(columns, Target(_TARGET, TaskKind(kind), classes), target, weight)


def _as_parquet(table: Table) -> bytes:
    columns = [
        _coded(table.frame[column.name], column.kind).alias(f"c{place}")
        for place, column in enumerate(table.schema.used)
    ]
    columns.append(pl.Series(_TARGET, table.target))
    if table.weights is not None:
        columns.append(pl.Series(_WEIGHT, table.weights))
    buffer = BytesIO()
    pl.DataFrame(columns).write_parquet(buffer, compression="zstd")
    return buffer.getvalue()


def _coded(column: pl.Series, kind: Kind) -> pl.Series:
    """Categories as numbers in the order of their labels, written so that they sort alike."""
    if kind is not Kind.CATEGORY:
        return column
    codes = column.rank("dense").cast(pl.Int64) - 1
    width = len(str(codes.max() or 0))
    return codes.cast(pl.String).str.zfill(width)
