"""Dates as numbers: hand-computed parts, and only those that tell training rows apart."""

from __future__ import annotations

import datetime as dt
import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autometa.tables.date_parts import PARTS, DateEncoder

MOMENTS = st.datetimes(dt.datetime(1600, 1, 1), dt.datetime(2900, 1, 1))


def dates(*moments: dt.datetime | None) -> pl.Series:
    return pl.Series("d", moments, dtype=pl.Datetime("us"))


def test_parts_are_those_of_a_calendar() -> None:
    """Half past six on Wednesday, 31 January 2024, 30.27 days after the first date."""
    first = dt.datetime(2024, 1, 1)
    moment = dt.datetime(2024, 1, 31, 6, 30)
    encoder = DateEncoder(DateEncoder.fit(dates(first)).origin_us, PARTS)
    parts = dict(zip(PARTS, encoder.encode(dates(moment))[0], strict=True))
    turn = 2 * np.pi * 31 / 365.2425
    day = 2 * np.pi * 6.5 / 24
    expected = {"elapsed_days": 30 + 6.5 / 24, "year": 2024, "month": 1, "day": 31, "weekday": 3}
    expected |= {"hour": 6.5, "year_sin": np.sin(turn), "year_cos": np.cos(turn)}
    expected |= {"day_sin": np.sin(day), "day_cos": np.cos(day)}
    assert parts == pytest.approx(expected)


def test_a_circle_is_kept_once_it_closes() -> None:
    """The year is a circle after a year of dates, the day after a day of times."""
    day = dt.datetime(2024, 1, 1)
    hours = DateEncoder.fit(dates(*(day + dt.timedelta(hours=i) for i in range(12))))
    assert hours.parts == ("elapsed_days", "hour")
    days = DateEncoder.fit(dates(*(day + dt.timedelta(hours=7 * i) for i in range(12))))
    assert {"day_sin", "day_cos"} <= set(days.parts)
    assert "year_sin" not in days.parts
    years = DateEncoder.fit(dates(*(day + dt.timedelta(days=40 * i) for i in range(12))))
    assert {"year_sin", "year_cos", "year"} <= set(years.parts)
    assert not {"hour", "day_sin"} & set(years.parts)


def test_without_dates_only_elapsed_time_is_left() -> None:
    """A column of missing cells has one part, and missing values."""
    encoder = DateEncoder.fit(dates(None, None))
    assert encoder.suffixes == (":elapsed_days",)
    assert np.isnan(encoder.encode(dates(None))).all()


@given(st.lists(MOMENTS | st.none(), min_size=1), st.lists(MOMENTS | st.none(), min_size=1))
def test_any_dates_are_numbers(
    training: list[dt.datetime | None], new: list[dt.datetime | None]
) -> None:
    """Parts are finite, missing where the date is, in order of time, and survive being saved."""
    encoder = DateEncoder.fit(dates(*training))
    state = json.loads(json.dumps(encoder.to_state()[0]))
    parts = DateEncoder.from_state(state, {}).encode(dates(*new))
    np.testing.assert_array_equal(parts, encoder.encode(dates(*new)))
    assert parts.shape == (len(new), len(encoder.suffixes))
    is_missing = np.array([moment is None for moment in new])
    assert np.isfinite(parts[~is_missing]).all()
    assert np.isnan(parts[is_missing]).all()
    order = sorted((m, elapsed) for m, elapsed in zip(new, parts[:, 0], strict=True) if m)
    assert (np.diff([elapsed for _, elapsed in order]) >= 0).all()
    elapsed_in_training = encoder.encode(dates(*training).drop_nulls())[:, 0]
    assert not len(elapsed_in_training) or elapsed_in_training.min() == 0
