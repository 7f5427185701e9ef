"""The only SQL: what is kept of tables, studies, trials, models and proposals.

Knows no torch, sklearn or optuna. Callers get frozen values, never rows or sessions.
"""

from autometa.storage.records import (
    ModelRecord,
    NetworkRecord,
    NewStudy,
    Owner,
    PriorRecord,
    Promotion,
    ProposalRecord,
    SampleRecord,
    StudyRecord,
    StudyStatus,
    StudySummary,
    TableRecord,
)
from autometa.storage.store import Store

__all__ = [
    "ModelRecord",
    "NetworkRecord",
    "NewStudy",
    "Owner",
    "PriorRecord",
    "Promotion",
    "ProposalRecord",
    "SampleRecord",
    "Store",
    "StudyRecord",
    "StudyStatus",
    "StudySummary",
    "TableRecord",
]
