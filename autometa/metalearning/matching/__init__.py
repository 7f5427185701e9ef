"""Matching: attention over a task's support rows, and over known tasks."""

from autometa.metalearning.matching.network import MatchingClassifier, MatchingNetwork
from autometa.metalearning.matching.task_attention import (
    TaskAttention,
    TaskEncoder,
    TaskProposal,
)

__all__ = [
    "MatchingClassifier",
    "MatchingNetwork",
    "TaskAttention",
    "TaskEncoder",
    "TaskProposal",
]
