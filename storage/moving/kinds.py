"""What of a store's rows is shared: the kinds of rows, their columns, and what tells them apart.

The columns are the store's own, but for those that mean something on one machine only: the numbers
that a database counts rows with, paths, leases, and what can be computed anew. Promotions and
choices are no history: they stay at home whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from autometa.storage.schema import (
    Base,
    CurveRow,
    EmbeddingRow,
    FoldRow,
    ModelRow,
    NetworkRow,
    PriorRow,
    ProposalRow,
    SampleRow,
    StudyRow,
    TableRow,
    TrialRow,
)

Row = dict[str, Any]


class Value(StrEnum):
    """What a column holds."""

    TEXT = "text"
    JSON = "json"
    WHOLE = "whole number"
    NUMBER = "number"
    MOMENT = "moment"
    BYTES = "bytes"


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """A kind of rows: its columns in their order, and those that tell one row from another.

    Cells of the columns in `empty` may be empty. Proposals have nothing that tells them apart:
    those of one key are one thing, several rows of it.
    """

    name: str
    row: type[Base]
    key: tuple[str, ...]
    columns: Mapping[str, Value]
    empty: frozenset[str] = field(default_factory=frozenset[str])

    @property
    def own(self) -> tuple[str, ...]:
        """The columns that are of the row's own table in the database."""
        names = self.row.__table__.c.keys()
        return tuple(name for name in self.columns if name in names)

    def key_of(self, row: Row) -> tuple[Any, ...]:
        """What tells this row from others."""
        return tuple([row[name] for name in self.key])  # half the time of a generator


_T, _J, _W = Value.TEXT, Value.JSON, Value.WHOLE
_N, _M, _B = Value.NUMBER, Value.MOMENT, Value.BYTES

# fmt: off
TABLES = Kind("tables", TableRow, ("fingerprint",), {
    "fingerprint": _T, "name": _T, "n_rows": _W, "n_columns": _W, "target": _T, "kind": _T,
    "n_classes": _W, "description": _J, "description_version": _W, "column_names": _J,
    "created_at": _M,
}, frozenset({"column_names"}))
EMBEDDINGS = Kind("embeddings", EmbeddingRow, ("table_fingerprint", "prior_digest"), {
    "table_fingerprint": _T, "prior_digest": _T, "vector": _J, "created_at": _M,
})
SAMPLES = Kind("samples", SampleRow, ("table_fingerprint",), {
    "table_fingerprint": _T, "n_rows": _W, "options": _J, "content": _B, "created_at": _M,
})
STUDIES = Kind("studies", StudyRow, ("id",), {
    "id": _T, "table_fingerprint": _T, "name": _T, "key": _T, "options": _J, "metric": _T,
    "seed": _W, "split": _T, "status": _T, "baseline_loss": _N, "best_loss": _N,
    "created_at": _M, "updated_at": _M, "finished_at": _M, "autometa_version": _T,
}, frozenset({"baseline_loss", "best_loss", "finished_at"}))
TRIALS = Kind("trials", TrialRow, ("study_id", "number"), {
    "study_id": _T, "number": _W, "learner": _T, "config": _J, "state": _T, "loss": _N,
    "duration_s": _N, "predict_s": _N, "peak_memory_mb": _N, "n_steps": _W, "origin": _T,
    "error": _T, "started_at": _N, "n_folds": _W, "n_curves": _W,
}, frozenset({"loss", "n_steps", "error"}))
FOLDS = Kind("folds", FoldRow, ("study_id", "number", "fold"), {
    "study_id": _T, "number": _W, "fold": _W, "loss": _N,
}, frozenset({"loss"}))
CURVES = Kind("curves", CurveRow, ("study_id", "number", "fold"), {
    "study_id": _T, "number": _W, "fold": _W, "steps": _J, "losses": _J,
})
PROPOSALS = Kind("proposals", ProposalRow, ("study_id", "created_at", "kind"), {
    "study_id": _T, "created_at": _M, "kind": _T, "content": _J, "origin": _T,
})
MODELS = Kind("models", ModelRow, ("id",), {
    "id": _T, "study_id": _T, "scores": _J, "members": _J, "created_at": _M,
})
NETWORKS = Kind("networks", NetworkRow, ("study_id",), {
    "study_id": _T, "number": _W, "facts": _J, "content": _B, "created_at": _M,
})
PRIORS = Kind("priors", PriorRow, ("digest",), {
    "digest": _T, "name": _T, "kind": _T, "parent": _T, "card": _J, "gates": _J, "content": _B,
    "created_at": _M,
}, frozenset({"parent"}))
# fmt: on

OF_STUDIES = (STUDIES, TRIALS, FOLDS, CURVES, PROPOSALS, MODELS, NETWORKS)
OF_TABLES = (TABLES, EMBEDDINGS, SAMPLES)
KINDS: Mapping[str, Kind] = MappingProxyType(
    {kind.name: kind for kind in (PRIORS, *OF_TABLES, *OF_STUDIES)}
)


@dataclass(frozen=True, slots=True)
class Part:
    """Rows that belong together, by their kinds: priors, tables, or whole studies."""

    rows: Mapping[str, list[Row]]

    def of(self, kind: Kind) -> list[Row]:
        """Its rows of a kind."""
        return self.rows.get(kind.name, [])
