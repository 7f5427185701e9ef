"""Learners by name."""

from __future__ import annotations

import subprocess
import sys

import pytest

from autometa.errors import LearnerError
from autometa.learners import available_learners, find_learner
from autometa.learners._base import Learner


def test_names_lead_to_their_learners() -> None:
    """Every available name finds the learner that carries it."""
    for name in available_learners():
        learner = find_learner(name)
        assert isinstance(learner, Learner)
        assert learner.name == name


def test_an_unknown_name_is_the_users_to_mend() -> None:
    """An unknown learner is refused with the names that are known."""
    with pytest.raises(LearnerError, match="lightgbm"):
        find_learner("perceptron")


def test_importing_the_registry_loads_no_library() -> None:
    """Importing `autometa.learners` loads none of the libraries that learners stand on."""
    program = (
        "import sys, autometa.learners as a; a.available_learners(); "
        "heavy = {'torch', 'sklearn', 'lightgbm', 'catboost', 'scipy', 'pandas'}; "
        "sys.exit(' '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
