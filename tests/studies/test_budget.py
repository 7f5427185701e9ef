"""Budgets: words become seconds and megabytes, nonsense becomes a clear error."""

import time

import pytest

from autometa.errors import OptionError
from autometa.studies.budget import Deadline, parse_megabytes, parse_seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("60s", 60),
        ("10m", 600),
        ("2h", 7200),
        ("1h30m", 5400),
        ("90", 90),
        (5, 5),
        ("1.5 min", 90),
    ],
)
def test_times_are_read_as_people_write_them(text: str | float, seconds: float) -> None:
    """Every usual way to write a duration gives its seconds."""
    assert parse_seconds(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "soon", "10x", "-5s", "0", 0, float("inf"), "5s later"])
def test_times_that_mean_nothing_are_refused(text: str | float) -> None:
    """A duration that is not one is an error a user can mend."""
    with pytest.raises(OptionError):
        parse_seconds(text)


@pytest.mark.parametrize(
    ("text", "megabytes"), [("800M", 800), ("4G", 4096), ("4gb", 4096), (512, 512)]
)
def test_sizes_are_read_as_people_write_them(text: str | float, megabytes: float) -> None:
    """Every usual way to write a size gives its megabytes."""
    assert parse_megabytes(text) == pytest.approx(megabytes)


@pytest.mark.parametrize("text", ["", "much", "0", "-1G", "4K"])
def test_sizes_that_mean_nothing_are_refused(text: str) -> None:
    """A size that is not one is an error a user can mend."""
    with pytest.raises(OptionError):
        parse_megabytes(text)


def test_deadlines_pass_and_can_be_moved_forward() -> None:
    """A deadline is over once its moment has come; without a limit it never is."""
    assert Deadline(time.monotonic() - 1).is_over()
    assert not Deadline.after(60).is_over()
    assert Deadline.after(60).earlier(61).is_over()
    assert Deadline.after(None).left_s() == float("inf")
