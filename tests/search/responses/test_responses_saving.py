"""Responses in files."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from autometa.errors import HistoryError
from autometa.search.responses._base import Responses
from autometa.search.responses.learning import LearningOptions, learn_responses
from autometa.search.responses.saving import read_responses, write_responses
from tests.search.past_tasks import bowls


@cache
def _responses() -> Responses:
    return learn_responses(bowls(4, 20), LearningOptions(least_anchors=8, most_anchors=16))


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    """Arrays come back to float32, and settings, configs, tasks and descriptions as they were."""
    path = tmp_path / "responses.safetensors"
    write_responses(_responses(), path)
    found, known = read_responses(path), _responses()
    for name in ("anchors", "means", "spread", "regrets"):
        np.testing.assert_allclose(
            getattr(found, name), getattr(known, name), rtol=1e-6, atol=1e-7
        )
    np.testing.assert_allclose(found.kernel.scales, known.kernel.scales, rtol=1e-6)
    assert found.axes == known.axes
    assert found.pool == known.pool
    assert found.tasks == known.tasks


def test_equal_responses_give_equal_bytes(tmp_path: Path) -> None:
    """Written twice, the file is the same."""
    for name in ("one", "other"):
        write_responses(_responses(), tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 nothing of ours", b"\x80\x04N."])
def test_what_is_not_ours_is_refused(tmp_path: Path, content: bytes) -> None:
    """Foreign files, a pickle among them, are an error that names the file."""
    path = tmp_path / "other"
    path.write_bytes(content)
    with pytest.raises(HistoryError, match="other"):
        read_responses(path)


def test_a_file_that_is_absent_is_said_to_be(tmp_path: Path) -> None:
    """The path is in the message."""
    with pytest.raises(HistoryError, match="nowhere"):
        read_responses(tmp_path / "nowhere")


def test_arrays_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    """A task more than there are responses is damage, not a crash later on."""
    known = _responses()
    path = tmp_path / "damaged"
    write_responses(replace(known, tasks=(*known.tasks, known.tasks[0])), path)
    with pytest.raises(HistoryError, match="damaged"):
        read_responses(path)
