"""What of a value is shared, and that it stays as it is when it is shared once more."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autometa.storage.moving.sharing import shared_error, shared_options, without_places

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(alphabet="aZ/\\:~. 1é"),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@pytest.mark.parametrize(
    "text",
    [
        "/home/ann/churn.csv",
        "read from /tmp",
        "~/models/churn",
        r"C:\Users\ann",
        "C:/Users/ann",
        r"\\server\share",
        "postgresql://ann:secret@host/db",
        "file:///etc/passwd",
    ],
)
def test_places_are_not_shared(text: str) -> None:
    """Paths, drives, shares and URLs, also in the middle of a sentence, at any depth."""
    assert without_places({"a": [text, {"b": text}]}) == {"a": ["", {"b": ""}]}


@pytest.mark.parametrize("text", ["km/h", "1/2", "rows / columns", "3-fold", "ratio: a", "a.b"])
def test_other_texts_are(text: str) -> None:
    """A stroke alone is no path."""
    assert without_places([text]) == [text]


@given(JSON)
def test_shared_values_are_shared_as_they_are(value: object) -> None:
    """So that a history that went through several hands is the same."""
    once = without_places(value)
    assert without_places(once) == once


@pytest.mark.parametrize(
    ("error", "shared"),
    [
        ("ValueError: could not convert 'Smith' to float (encoder.py:12)", "ValueError"),
        ("torch.OutOfMemoryError: no memory", "torch.OutOfMemoryError"),
        ("the worker died on ann's laptop", None),
        (None, None),
    ],
)
def test_of_an_error_its_kind_is_shared(error: str | None, shared: str | None) -> None:
    """What it said may quote a cell."""
    assert shared_error(error) == shared
    assert shared_error(shared) == shared


def test_options_keep_numbers_and_few_words() -> None:
    """Others name files, databases and columns; a clock tells since when a machine runs."""
    options = '{"metric":"rmse","n_trials":3,"output":"m","started_at":9.5,"store":"db","x":true}'
    kept = '{"metric":"rmse","n_trials":3,"x":true}'
    assert shared_options(options) == kept
    assert shared_options(kept) == kept
