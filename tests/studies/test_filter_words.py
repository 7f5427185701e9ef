"""Words that narrow a list: what is written is what is meant, and what cannot be is one line."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autometa.errors import OptionError
from autometa.records import TrialState
from autometa.spaces import Scalar
from autometa.storage.filters import Filters
from autometa.storage.records import StudyStatus
from autometa.storage.setting_filters import OPERATORS, SettingFilter
from autometa.studies.filter_words import read_filters, read_moment, read_setting

names = st.text(min_size=1, max_size=20).filter(
    lambda name: name == name.strip() and not set(name) & set('<>=!"')
)
spaces = st.sampled_from(["", " ", "  "])
numbers = st.integers(-(2**63) + 1, 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)


@given(names, st.sampled_from(OPERATORS), numbers | st.booleans() | st.none(), spaces)
def test_a_comparison_is_read_as_written(
    name: str, operator: str, value: Scalar, space: str
) -> None:
    """Numbers, true, false and null come back; an order of what has none is refused."""
    text = f"{name}{space}{operator}{space}{json.dumps(value)}"
    if operator not in ("=", "!=") and (value is None or isinstance(value, bool)):
        with pytest.raises(OptionError, match="neither less nor more"):
            read_setting(text)
        return
    read = read_setting(text)
    assert read == SettingFilter(name, operator, value)
    assert type(read.value) is type(value)


@given(names, st.sampled_from(OPERATORS), st.text(max_size=20), st.sampled_from("'\""))
def test_a_value_in_quotes_is_a_text(name: str, operator: str, value: str, quote: str) -> None:
    """Whatever stands in quotes is a text, numbers and words of JSON as well."""
    read = read_setting(f"{name}{operator}{quote}{value}{quote}")
    assert read == SettingFilter(name, operator, value)


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text does anything else."""
    with contextlib.suppress(OptionError):
        read = read_setting(text)
        assert read.operator in OPERATORS
        assert text.strip().startswith(read.name)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a=1", 1),
        ("a==1", 1),
        ("a=+1", 1),
        ("a=1e-3", 0.001),
        ("a=.5", 0.5),
        ("a=TRUE", True),
        ("a=none", None),
        ("a=1_000", "1_000"),
        ("a=nan", "nan"),
        ("a=inf", "inf"),
        ("a=standard", "standard"),
        ("a=two words", "two words"),
        ("a=b=c", "b=c"),
        ("a=99999999999999999999", 1e20),
    ],
)
def test_a_bare_value_is_what_it_looks_like(text: str, value: Scalar) -> None:
    """A number if it is one, true, false or null if it says so, a text otherwise."""
    read = read_setting(text)
    assert read == SettingFilter("a", "=", value)
    assert type(read.value) is type(value)


@pytest.mark.parametrize(
    "text", ["", "a", "<1", "a<", "a=", "a<true", "a>=null", '"a"=1', "a<1e999"]
)
def test_what_compares_nothing_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match="--param"):
        read_setting(text)


def test_moments() -> None:
    """A span counts back from now; a date is of here, and keeps its own zone if it has one."""
    now = datetime(2026, 5, 31, 12, tzinfo=UTC)
    assert read_moment("7d", now) == now - timedelta(days=7)
    assert read_moment("12h", now) == now - timedelta(hours=12)
    assert read_moment(" 30 m", now) == now - timedelta(minutes=30)
    assert read_moment("2w", now) == now - timedelta(days=14)
    assert read_moment("2026-05-31T10:00+02:00") == datetime(2026, 5, 31, 8, tzinfo=UTC)
    assert read_moment("2026-05-31") == datetime(2026, 5, 31).astimezone()
    assert read_moment(now) == now
    assert read_moment(None) is None


@pytest.mark.parametrize("given_", ["yesterday", "7", "d", "2026-13-01", "99999999999d", ""])
def test_no_moment_is_one_line(given_: str) -> None:
    with pytest.raises(OptionError, match="--since"):
        read_moment(given_)


def test_names_are_lists_of_texts_or_texts_with_commas() -> None:
    """`"a,b"`, `["a", "b"]` and both together are the same; metrics have other people's names."""
    filters = read_filters(
        {
            "table": " churn* ",
            "learner": ["network,forests", "linear"],
            "metric": "AUC,neg_log_loss",
            "state": "complete,out-of-memory",
            "status": ["finished"],
            "param": "depth>=3",
        }
    )
    assert filters == Filters(
        table="churn*",
        learners=("network", "forests", "linear"),
        metrics=("roc_auc", "log_loss"),
        states=(TrialState.COMPLETE, TrialState.OUT_OF_MEMORY),
        statuses=(StudyStatus.FINISHED,),
        settings=(SettingFilter("depth", ">=", 3),),
    )
    assert read_filters({"learner": None, "param": ()}).is_empty


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"state": "done"}, "complete, pruned"),
        ({"status": "done"}, "running, finished"),
        ({"table": " "}, "--table is empty"),
    ],
)
def test_unknown_words_name_the_known(words: dict[str, str], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        read_filters(words)  # type: ignore[arg-type] # of known keys, which only this list shows
