"""A store from which a prior was learned, once for all tests that look at it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from autometa.studies.learning.learn import LearnOptions, learn_prior
from autometa.studies.learning.results import Learned
from tests.studies.learning.sampled_stores import SMALL, add_tables


@pytest.fixture(name="learned_once", scope="session")
def fixture_learned_once(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Learned]:
    path = tmp_path_factory.mktemp("learned") / "store.db"
    add_tables(path, 8)
    return path, learn_prior(LearnOptions(path, recipe=SMALL))


@pytest.fixture(name="learned")
def fixture_learned(learned_once: tuple[Path, Learned], tmp_path: Path) -> tuple[Path, Learned]:
    """A store of one's own that is like it, and what came of learning from it."""
    path = tmp_path / "store.db"
    shutil.copy(learned_once[0], path)
    return path, learned_once[1]
