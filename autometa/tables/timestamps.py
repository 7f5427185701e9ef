"""Dates and times written as text."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

# a date, then perhaps a time of day, then perhaps an offset from UTC
PARTS = (
    r"^(?P<date>.*?)(?:(?:[T,]|\s)\s*"
    r"(?P<time>\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?|\d{6})\s*(?P<half>[AaPp])?(?:[Mm])?"
    r"\s*(?P<zone>Z|UTC|GMT|[+-]\d{2}:?\d{2})?)?$"
)
TIME = r"^(?P<hour>\d{1,2}):?(?P<minute>\d{2})(?::?(?P<second>\d{2})(?:[.,](?P<part>\d+))?)?$"
TIME_ONLY = "%H:%M"
# of patterns that fit a whole column equally well the first is taken: with slashes the month
# comes first (as in the US), with points and dashes the day (as in most of Europe)
PATTERNS = (
    *("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y", "%d-%m-%Y"),
    *("%m-%d-%Y", "%m/%d/%y", "%d/%m/%y", "%d.%m.%y", "%d-%m-%y", "%d %b %Y", "%d-%b-%Y"),
    *("%d-%b-%y", "%d %B %Y", "%d. %B %Y", "%b %d, %Y", "%B %d, %Y", "%b %d %Y", "%B %d %Y"),
    *("%A, %d %B %Y", "%a, %d %b %Y", "%Y-%m", "%Y/%m", "%m/%Y", "%b %Y", "%b-%Y", "%B %Y"),
    *("%b-%y", "%Y%m%d", TIME_ONLY),
)
N_SAMPLED = 1_000  # enough to rule out most patterns; the whole column decides between the rest
MIN_SHARE = 0.95  # as for numbers: one cell in twenty may be junk, and is said to be
FIRST_YEAR, LAST_YEAR = 1000, 2999  # "%Y" would take "20" for the year 20
US_PER_S = 1_000_000


@dataclass(frozen=True, slots=True)
class DateFormat:
    """How a column writes its dates; a time of day and an offset may follow in any cell."""

    pattern: str = "%Y-%m-%d"


def parse_dates(text: pl.Series, date_format: DateFormat) -> pl.Series:
    """The cells as Datetime("us") in UTC; null where a cell is no date in this format."""
    if date_format.pattern == TIME_ONLY:
        text, date_format = "1970-01-01 " + text, DateFormat()
    parts = text.str.extract_groups(PARTS).struct.unnest()
    day = _parse_days(parts["date"], date_format.pattern)
    moment = day.cast(pl.Datetime("us")) + _time_of_day(parts) - _offset(parts["zone"])
    return moment.alias(text.name)


def infer_date_format(text: pl.Series) -> DateFormat | None:
    """The format that the column's cells fit, None if they fit none.

    Where day and month could be either way round, the whole column decides; where it fits both
    ways, the way in which it is sorted.
    """
    cells = text.drop_nulls()
    sample = cells.gather_every(max(1, len(cells) // N_SAMPLED))
    if not _looks_dated(sample):
        return None
    fitting = [p for p in PATTERNS if _share(sample, DateFormat(p)) >= MIN_SHARE - 0.05]
    if not fitting:
        return None
    shares = {pattern: _share(cells, DateFormat(pattern)) for pattern in fitting}
    best = max(shares.values())
    if best < MIN_SHARE:
        return None
    ties = [pattern for pattern in fitting if shares[pattern] == best]
    ordered = [p for p in ties if len(ties) > 1 and _is_sorted(cells, DateFormat(p))]
    return DateFormat((ordered or ties)[0])


def _looks_dated(sample: pl.Series) -> bool:
    shape = r"\d[-/.: ,T]|[A-Za-z]{3}[- ]\d|^\d{8}"
    looks = sample.str.contains(shape) & (sample.str.len_chars() <= 40)
    return len(sample) > 0 and int(looks.sum()) >= MIN_SHARE * len(sample)


def _share(cells: pl.Series, date_format: DateFormat) -> float:
    return 1 - parse_dates(cells, date_format).null_count() / len(cells)


def _is_sorted(cells: pl.Series, date_format: DateFormat) -> bool:
    moments = parse_dates(cells, date_format).drop_nulls()
    return moments.is_sorted() or moments.is_sorted(descending=True)


def _parse_days(text: pl.Series, pattern: str) -> pl.Series:
    text = text.str.strip_chars()
    if "%d" not in pattern:  # months alone: their first day
        text, pattern = text + " 1", pattern + " %d"
    days = text.str.to_date(pattern, strict=False)
    is_day = days.dt.year().is_between(FIRST_YEAR, LAST_YEAR)
    if "%y" in pattern:  # "%y" would take the version "1.2.3" for a day of 2003
        is_day &= text.str.contains(r"\d{2}(?: 1)?$")
    return days.zip_with(is_day.fill_null(value=False), pl.Series([None], dtype=pl.Date))


def _time_of_day(parts: pl.DataFrame) -> pl.Series:
    """Microseconds since midnight as a Duration; zero where no time is given."""
    time = parts["time"].str.extract_groups(TIME).struct.unnest()
    hour = time["hour"].cast(pl.Int64, strict=False)
    half = parts["half"].str.to_lowercase().fill_null("")
    hour = (hour % 12).zip_with(half != "", hour) + 12 * (half == "p").cast(pl.Int64)
    minute = time["minute"].cast(pl.Int64, strict=False)
    second = time["second"].cast(pl.Int64, strict=False).fill_null(0)
    part = time["part"].str.pad_end(6, "0").str.slice(0, 6).cast(pl.Int64).fill_null(0)
    total = ((hour * 60 + minute) * 60 + second) * US_PER_S + part
    is_valid = (hour <= 23) & (minute <= 59) & (second <= 60) | parts["time"].is_null()
    total = total.fill_null(0).zip_with(is_valid, pl.Series([None], dtype=pl.Int64))
    return total.cast(pl.Duration("us"))


def _offset(zone: pl.Series) -> pl.Series:
    sign = 1 - 2 * zone.str.starts_with("-").fill_null(value=False).cast(pl.Int64)
    digits = zone.str.replace(":", "", literal=True).str.slice(1)
    minutes = (
        digits.str.slice(0, 2).cast(pl.Int64, strict=False) * 60
        + digits.str.slice(2, 2).cast(pl.Int64, strict=False)
    ).fill_null(0)
    return (sign * minutes * 60 * US_PER_S).cast(pl.Duration("us"))
