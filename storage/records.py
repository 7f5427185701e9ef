"""The values that callers give to the store and get from it; a trial is `autometa.records`'.

Times are timezone-aware and UTC.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from autometa.records import TrialState


def utc_now() -> datetime:
    """The present moment."""
    return datetime.now(UTC)


def new_id() -> str:
    """A short random name: 8 letters a-z and digits 2-7.

    40 bits: among 10,000 studies two share one with a chance of 5e-5 (n^2 / 2^41).
    """
    return base64.b32encode(secrets.token_bytes(5)).decode("ascii").lower()


class StudyStatus(StrEnum):
    """How far a study is."""

    RUNNING = "running"
    FINISHED = "finished"
    INTERRUPTED = "interrupted"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Owner:
    """The run that holds a study: `started_at` tells its process from a later one of the same pid.

    `token` tells it from other runs in the same process.
    """

    host: str
    pid: int
    started_at: float
    token: str | None = None


@dataclass(frozen=True, slots=True)
class TableRecord:
    """A table as history remembers it; `fingerprint` is the SHA-256 of its contents.

    `description` holds metafeatures, computed as of `description_version`. `column_names` is None
    if they are not kept.
    """

    fingerprint: str
    name: str
    n_rows: int
    n_columns: int
    target: str
    kind: str
    n_classes: int
    description: Mapping[str, float] = field(default_factory=dict[str, float])
    description_version: int = 1
    created_at: datetime = field(default_factory=utc_now)
    column_names: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class NewStudy:
    """A study about to start. Runs with the same `key` are comparable: one resumes the other."""

    table: str
    name: str
    key: str
    metric: str
    seed: int
    split: str
    options: Mapping[str, object] = field(default_factory=dict[str, object])
    baseline_loss: float | None = None
    workspace: str | None = None
    autometa_version: str = ""


@dataclass(frozen=True, slots=True)
class StudyRecord:
    """A study. `table` is the table's fingerprint, `owner` the process that runs it."""

    id: str
    table: str
    name: str
    key: str
    metric: str
    seed: int
    split: str
    options: Mapping[str, object]
    status: StudyStatus
    baseline_loss: float | None
    best_loss: float | None
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None
    owner: Owner | None
    heartbeat_at: datetime | None
    workspace: str | None
    autometa_version: str


@dataclass(frozen=True, slots=True)
class StudySummary:
    """A line of the list of studies; `best_loss` is the best of its complete trials so far.

    A study whose process is gone shows as interrupted, whatever it managed to write.
    """

    id: str
    name: str
    table: str
    table_name: str
    metric: str
    status: StudyStatus
    n_trials: Mapping[TrialState, int]
    best_loss: float | None
    baseline_loss: float | None
    created_at: datetime
    duration_s: float


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """A saved model: where it lies, its scores by name, its members in the study's words."""

    study_id: str
    path: str
    scores: Mapping[str, float | None] = field(default_factory=dict[str, float | None])
    members: tuple[Mapping[str, object], ...] = ()
    id: str = field(default_factory=new_id)
    created_at: datetime = field(default_factory=utc_now)


@dataclass(frozen=True, slots=True)
class ProposalRecord:
    """What a prior proposed for a study: a kind ("config", "start", ...) and its content."""

    study_id: str
    kind: str
    content: Mapping[str, object]
    origin: str
    created_at: datetime = field(default_factory=utc_now)


@dataclass(frozen=True, slots=True)
class NetworkRecord:
    """The best network of a study, fine-tuned by trial `number`.

    `content` is a safetensors file, `facts` say what its inputs are.
    """

    study_id: str
    number: int
    facts: Mapping[str, object]
    content: bytes
    created_at: datetime = field(default_factory=utc_now)


@dataclass(frozen=True, slots=True)
class SampleRecord:
    """Some rows of a table as a Parquet file, and the options its columns are read with."""

    table: str
    n_rows: int
    options: Mapping[str, object]
    content: bytes
    created_at: datetime = field(default_factory=utc_now)


@dataclass(frozen=True, slots=True)
class PriorRecord:
    """A prior made from the store: `digest` is the SHA-256 of its file, `content` the file.

    `parent` is the digest of the prior it was made from; `card` says what it was trained on,
    `gates` how it fared beside the one then in use. Lists leave `content` out: it is empty there.
    """

    digest: str
    name: str
    kind: str
    parent: str | None
    card: Mapping[str, object]
    gates: Mapping[str, object]
    content: bytes = field(default=b"", repr=False)
    created_at: datetime = field(default_factory=utc_now)


@dataclass(frozen=True, slots=True)
class Promotion:
    """Since `created_at` the prior of `digest` is in use; None is the one that comes with us."""

    kind: str
    digest: str | None
    reason: str
    created_at: datetime = field(default_factory=utc_now)
