"""What is remembered of tables beyond their description, as far as the user lets it be."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Engine, delete, select, update

from autometa.storage.encoding import from_json, to_json
from autometa.storage.engine import overwrite_deleted, reading, writing
from autometa.storage.records import NetworkRecord, SampleRecord, utc_now
from autometa.storage.schema import (
    EmbeddingRow,
    NetworkRow,
    SampleRow,
    SettingRow,
    StudyRow,
    TableRow,
)
from autometa.storage.upserts import add_unless_known, put_row


class Remembered:
    """Samples, embeddings and networks of tables, and the choices of what to keep.

    As `Store.remembered`; each call is one transaction. All but choices go with their table.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add_sample(self, sample: SampleRecord) -> None:
        """Keep rows of a table that was added before, in place of what was kept of it."""
        values = {
            "table_fingerprint": sample.table,
            "n_rows": sample.n_rows,
            "options": to_json(dict(sample.options)),
            "content": sample.content,
            "created_at": sample.created_at,
        }
        with writing(self._engine) as connection:
            overwrite_deleted(connection)
            put_row(connection, SampleRow, values)

    def sample(self, table: str) -> SampleRecord | None:
        """The rows kept of the table of this fingerprint."""
        query = select(*SampleRow.__table__.c).where(SampleRow.table_fingerprint == table)
        with reading(self._engine) as connection:
            row = connection.execute(query).first()
        return None if row is None else _sample(row)

    def sampled_tables(self) -> list[str]:
        """The fingerprints of the tables that rows are kept of, the oldest first."""
        query = select(SampleRow.table_fingerprint)
        ordered = query.order_by(SampleRow.created_at, SampleRow.table_fingerprint)
        with reading(self._engine) as connection:
            return list(connection.execute(ordered).scalars())

    def drop_samples(self) -> int:
        """Delete all rows of all tables, and say of how many tables there were some."""
        with writing(self._engine) as connection:
            overwrite_deleted(connection)
            return connection.execute(delete(SampleRow)).rowcount

    def drop_sample(self, table: str) -> None:
        """Delete the rows kept of the table of this fingerprint."""
        with writing(self._engine) as connection:
            overwrite_deleted(connection)
            connection.execute(delete(SampleRow).where(SampleRow.table_fingerprint == table))

    def drop_column_names(self) -> int:
        """Delete the columns' names of all tables, and say of how many there were some."""
        with writing(self._engine) as connection:
            overwrite_deleted(connection)
            has_names = TableRow.column_names.is_not(None)
            dropped = connection.execute(
                update(TableRow).where(has_names).values(column_names=None)
            )
            return dropped.rowcount

    def add_embedding(self, table: str, prior_digest: str, vector: Sequence[float]) -> None:
        """Keep the embedding (W,) of a table by a prior; a known one stays."""
        values = {
            "table_fingerprint": table,
            "prior_digest": prior_digest,
            "vector": to_json([float(one) for one in vector]),
            "created_at": utc_now(),
        }
        with writing(self._engine) as connection:
            add_unless_known(connection, EmbeddingRow, values)

    def embeddings(self, prior_digest: str) -> dict[str, tuple[float, ...]]:
        """The embeddings (W,) by a prior, by the fingerprints of the tables."""
        query = select(EmbeddingRow.table_fingerprint, EmbeddingRow.vector)
        with reading(self._engine) as connection:
            rows = connection.execute(query.where(EmbeddingRow.prior_digest == prior_digest))
            return {fingerprint: tuple(from_json(vector)) for fingerprint, vector in rows}

    def add_network(self, network: NetworkRecord) -> None:
        """Keep the best network of a study, in place of the one before."""
        values = {
            "study_id": network.study_id,
            "number": network.number,
            "facts": to_json(dict(network.facts)),
            "content": network.content,
            "created_at": network.created_at,
        }
        with writing(self._engine) as connection:
            put_row(connection, NetworkRow, values)

    def networks(self, of_tables: Collection[str]) -> dict[str, list[NetworkRecord]]:
        """The networks of the studies of tables, by the tables' fingerprints, newest first."""
        query = (
            select(StudyRow.table_fingerprint, *NetworkRow.__table__.c)
            .join(StudyRow, StudyRow.id == NetworkRow.study_id)
            .where(StudyRow.table_fingerprint.in_(of_tables))
            .order_by(NetworkRow.created_at.desc())
        )
        found: dict[str, list[NetworkRecord]] = {}
        with reading(self._engine) as connection:
            for row in connection.execute(query):
                found.setdefault(row.table_fingerprint, []).append(_network(row))
        return found

    def choose(self, name: str, value: object) -> None:
        """Keep a choice for the whole store, in place of the one before."""
        with writing(self._engine) as connection:
            put_row(connection, SettingRow, {"name": name, "value": to_json(value)})

    def choice(self, name: str) -> Any:
        """What was chosen for the whole store; None if nothing was."""
        query = select(SettingRow.value).where(SettingRow.name == name)
        with reading(self._engine) as connection:
            value = connection.execute(query).scalar()
        return None if value is None else from_json(value)


def _sample(row: Any) -> SampleRecord:
    return SampleRecord(
        row.table_fingerprint, row.n_rows, from_json(row.options), row.content, row.created_at
    )


def _network(row: Any) -> NetworkRecord:
    return NetworkRecord(
        row.study_id, row.number, from_json(row.facts), row.content, row.created_at
    )
