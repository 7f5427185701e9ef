"""Tunable model families: each turns a config into a fitted model. `_base` states the contract."""

from autometa.learners.registry import available_learners, find_learner, import_library

__all__ = ["available_learners", "find_learner", "import_library"]
