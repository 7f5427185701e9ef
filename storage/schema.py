"""The tables of the store. Every change here needs a migration: see `docs/store.md`.

All names start with `autometa_`: Optuna's tables, which have no prefix, may lie in the same
database, and nothing here refers to them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from autometa.storage.encoding import from_json, pack_traits

PREFIX = "autometa_"
VERSION_TABLE = "autometa_alembic_version"
SCHEMA_VERSION = "0003"  # the newest migration; a test compares the two


class UtcDateTime(TypeDecorator[datetime]):
    """A moment, kept as UTC without a zone because SQLite knows none; aware in Python."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To the database. A naive time is a bug: nobody knows what moment it means."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"the time {value} has no time zone")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """From the database."""
        return None if value is None else value.replace(tzinfo=UTC)


# SQLite counts rows by itself only in a column declared INTEGER
RowId = BigInteger().with_variant(Integer(), "sqlite")
Hash = String(64)  # SHA-256 in hexadecimal
Name = String(255)


class Base(DeclarativeBase):
    """All tables of the store."""


def _packed_traits(context: Any) -> bytes:
    """The traits of the table that is inserted."""
    return pack_traits(from_json(context.get_current_parameters()["description"]))


class TableRow(Base):
    """A table that was tuned: found again by its fingerprint."""

    __tablename__ = "autometa_table"

    fingerprint: Mapped[str] = mapped_column(Hash, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    n_rows: Mapped[int] = mapped_column(BigInteger)
    n_columns: Mapped[int]
    target: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Name)
    n_classes: Mapped[int]
    description: Mapped[str] = mapped_column(Text)
    description_version: Mapped[int]
    # the description's numbers once more, for `traits.py`; who renews one renews the other
    traits: Mapped[bytes] = mapped_column(LargeBinary, default=_packed_traits)
    column_names: Mapped[str | None] = mapped_column(Text)  # a JSON list, if it may be kept
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class StudyRow(Base):
    """One tuning run of one table, and the run of a process that holds it now."""

    __tablename__ = "autometa_study"

    id: Mapped[str] = mapped_column(String(16), primary_key=True)
    table_fingerprint: Mapped[str] = mapped_column(
        ForeignKey("autometa_table.fingerprint"), index=True
    )
    name: Mapped[str] = mapped_column(Text)
    key: Mapped[str] = mapped_column(Hash, index=True)
    options: Mapped[str] = mapped_column(Text)
    metric: Mapped[str] = mapped_column(Name)
    seed: Mapped[int] = mapped_column(BigInteger)
    split: Mapped[str] = mapped_column(Name)
    status: Mapped[str] = mapped_column(Name)
    baseline_loss: Mapped[float | None] = mapped_column(Double)
    best_loss: Mapped[float | None] = mapped_column(Double)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    owner_host: Mapped[str | None] = mapped_column(Name)
    owner_pid: Mapped[int | None] = mapped_column(BigInteger)
    owner_started_at: Mapped[float | None] = mapped_column(Double)
    owner_token: Mapped[str | None] = mapped_column(Name)
    heartbeat_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    workspace: Mapped[str | None] = mapped_column(Text)
    autometa_version: Mapped[str] = mapped_column(Name)


class TrialRow(Base):
    """One evaluated config. `n_folds` and `n_curves` let `check` find a trial torn apart."""

    __tablename__ = "autometa_trial"
    __table_args__ = (
        UniqueConstraint("study_id", "number", name="uq_autometa_trial_number"),
        # what lists are filtered and sorted by: a million trials are passed over in 0.1 s
        Index(
            "ix_autometa_trial_facts",
            *("study_id", "learner", "state", "loss", "started_at"),
            postgresql_include=["id"],  # an index of SQLite's always has it
        ),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    study_id: Mapped[str] = mapped_column(ForeignKey("autometa_study.id", ondelete="CASCADE"))
    number: Mapped[int]
    learner: Mapped[str] = mapped_column(Name)
    config: Mapped[str] = mapped_column(Text)
    config_hash: Mapped[str] = mapped_column(Hash)
    state: Mapped[str] = mapped_column(Name)
    loss: Mapped[float | None] = mapped_column(Double)
    duration_s: Mapped[float] = mapped_column(Double)
    predict_s: Mapped[float] = mapped_column(Double)
    peak_memory_mb: Mapped[float] = mapped_column(Double)
    n_steps: Mapped[int | None] = mapped_column(BigInteger)
    origin: Mapped[str] = mapped_column(Name)
    error: Mapped[str | None] = mapped_column(Text)
    # seconds since 1970, not a DateTime: comes back to the last bit, which microseconds would not
    started_at: Mapped[float] = mapped_column(Double)
    n_folds: Mapped[int]
    n_curves: Mapped[int]


class FoldRow(Base):
    """The loss of one fold of a trial; NULL where it was not a number."""

    __tablename__ = "autometa_fold"

    trial_id: Mapped[int] = mapped_column(
        RowId, ForeignKey("autometa_trial.id", ondelete="CASCADE"), primary_key=True
    )
    fold: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    loss: Mapped[float | None] = mapped_column(Double)


class CurveRow(Base):
    """The learning curve of one fold of a trial: two JSON lists of the same length."""

    __tablename__ = "autometa_curve"

    trial_id: Mapped[int] = mapped_column(
        RowId, ForeignKey("autometa_trial.id", ondelete="CASCADE"), primary_key=True
    )
    fold: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    steps: Mapped[str] = mapped_column(Text)
    losses: Mapped[str] = mapped_column(Text)


class ModelRow(Base):
    """A model that a study saved."""

    __tablename__ = "autometa_model"

    id: Mapped[str] = mapped_column(String(16), primary_key=True)
    study_id: Mapped[str] = mapped_column(
        ForeignKey("autometa_study.id", ondelete="CASCADE"), index=True
    )
    path: Mapped[str] = mapped_column(Text)
    scores: Mapped[str] = mapped_column(Text)
    members: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ProposalRow(Base):
    """What a prior proposed for a study, in the order proposed."""

    __tablename__ = "autometa_proposal"
    __table_args__ = (Index("ix_autometa_proposal_study_id", "study_id"),)

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    study_id: Mapped[str] = mapped_column(ForeignKey("autometa_study.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(Name)
    content: Mapped[str] = mapped_column(Text)
    origin: Mapped[str] = mapped_column(Name)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class NetworkRow(Base):
    """The best network of a study, fine-tuned: where one of a table like it may start.

    `content` is a safetensors file, `facts` say what its inputs are.
    """

    __tablename__ = "autometa_network"

    study_id: Mapped[str] = mapped_column(
        ForeignKey("autometa_study.id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int]
    facts: Mapped[str] = mapped_column(Text)
    content: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class SampleRow(Base):
    """Some rows of a table, as a Parquet file: what meta-training of weights needs."""

    __tablename__ = "autometa_sample"

    table_fingerprint: Mapped[str] = mapped_column(
        ForeignKey("autometa_table.fingerprint", ondelete="CASCADE"), primary_key=True
    )
    n_rows: Mapped[int]
    options: Mapped[str] = mapped_column(Text)
    content: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class EmbeddingRow(Base):
    """A table's embedding by one prior: numbers (W,) as a JSON list."""

    __tablename__ = "autometa_embedding"

    table_fingerprint: Mapped[str] = mapped_column(
        ForeignKey("autometa_table.fingerprint", ondelete="CASCADE"), primary_key=True
    )
    prior_digest: Mapped[str] = mapped_column(Hash, primary_key=True)
    vector: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class PriorRow(Base):
    """A prior made from this store, found again by the SHA-256 of its file.

    `parent` is the digest of the prior it was made from, `card` what it was trained on, `gates`
    how it fared beside the one in use, all JSON.
    """

    __tablename__ = "autometa_prior"

    digest: Mapped[str] = mapped_column(Hash, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Name)
    parent: Mapped[str | None] = mapped_column(Hash)
    card: Mapped[str] = mapped_column(Text)
    gates: Mapped[str] = mapped_column(Text)
    content: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class PromotionRow(Base):
    """Since when a prior is the one in use; without a digest it is the one that comes with us."""

    __tablename__ = "autometa_promotion"

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    kind: Mapped[str] = mapped_column(Name)
    digest: Mapped[str | None] = mapped_column(ForeignKey("autometa_prior.digest"))
    reason: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class SettingRow(Base):
    """A choice of the user for the whole store, as JSON."""

    __tablename__ = "autometa_setting"

    name: Mapped[str] = mapped_column(Name, primary_key=True)
    value: Mapped[str] = mapped_column(Text)
