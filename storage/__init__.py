"""The only SQL: what is kept of tables, studies, trials, models and proposals.

Knows no torch, sklearn or optuna. Callers get frozen values, never rows or sessions.
"""

from autometa.storage.records import (
    ModelRecord,
    NewStudy,
    Owner,
    ProposalRecord,
    StudyRecord,
    StudyStatus,
    StudySummary,
    TableRecord,
)
from autometa.storage.store import Store

__all__ = [
    "ModelRecord",
    "NewStudy",
    "Owner",
    "ProposalRecord",
    "Store",
    "StudyRecord",
    "StudyStatus",
    "StudySummary",
    "TableRecord",
]
