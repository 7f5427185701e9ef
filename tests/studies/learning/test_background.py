"""Learning after a study: only when asked for, when there is something to learn, and nicely."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import psutil
import pytest

import autometa
from autometa.errors import OptionError
from autometa.storage import Store
from autometa.studies.learning.background import (
    LEARNED_FROM,
    is_automatic,
    is_due,
    log_file,
    start_in_background,
)
from autometa.studies.learning.plans import open_plan
from autometa.studies.priors_in_use import runs_folder
from tests.studies.learning.sampled_stores import add_tables
from tests.studies.small_tables import mixed_frame


def test_it_has_to_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AUTOMETA_LEARN", raising=False)
    assert not is_automatic(None)
    assert is_automatic("auto")
    monkeypatch.setenv("AUTOMETA_LEARN", "auto")
    assert is_automatic(None)
    assert not is_automatic("never")
    monkeypatch.setenv("AUTOMETA_LEARN", "sometimes")
    with pytest.raises(OptionError, match="auto or never"):
        is_automatic(None)
    with pytest.raises(OptionError, match="--learn is auto or never"):
        autometa.tune(mixed_frame(), learn="sometimes")


def test_it_is_due_with_a_quarter_more_tables_or_a_run_to_go_on_with(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    add_tables(path, 4)
    with Store.open(path) as store:
        assert not is_due(store)
        add_tables(path, 1, first=4)
        assert is_due(store)
        store.remembered.choose(LEARNED_FROM, 5)
        assert not is_due(store)
        add_tables(path, 1, first=5)
        assert not is_due(store)
        open_plan(runs_folder(store), {}, {})
        assert is_due(store)
        add_tables(path, 1, first=6)
        assert is_due(store)


def test_a_process_of_its_own_learns_with_the_lowest_priority(tmp_path: Path) -> None:
    """Here from shuffled targets, of which there is nothing to learn."""
    path = tmp_path / "s.db"
    add_tables(path, 6, is_shuffled=True)
    with Store.open(path) as store:
        pid = start_in_background(store)
        assert pid is not None
        process = psutil.Process(pid)
        priorities: set[int] = set()
        end = time.monotonic() + 200
        with contextlib.suppress(psutil.NoSuchProcess):  # it ends between two looks
            while process.is_running() and time.monotonic() < end:
                priorities.add(int(process.nice()))
                time.sleep(0.05)
        assert 19 in priorities
        assert "nothing was learned" in log_file(store).read_text()
        assert store.remembered.choice(LEARNED_FROM) == 6
        assert not is_due(store)
        assert start_in_background(store) is None
