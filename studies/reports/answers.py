"""Rows that the store answered a user's own SQL with, as a listing and as CSV."""

from __future__ import annotations

import csv
import io

from autometa.storage.read_only import Answer
from autometa.studies.reports.listing import Listing, Section
from autometa.studies.reports.outcome import JSON, plain


def answer_listing(answer: Answer) -> Listing:
    """A line for each row; as JSON an object for each."""
    rows = tuple(tuple(_cell(value) for value in row) for row in answer.rows)
    values: JSON = [dict(zip(answer.names, map(_value, row), strict=True)) for row in answer.rows]
    return Listing((Section(answer.names, rows),), values, "no row")


def answer_csv(answer: Answer) -> str:
    """The same as CSV, figures whole."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(answer.names)
    writer.writerows(map(_value, row) for row in answer.rows)
    return text.getvalue()


def _value(value: object) -> JSON:
    return f"<{len(value)} bytes>" if isinstance(value, bytes) else plain(value)


def _cell(value: object) -> str:
    """In one line and between two tabs, whatever a text holds; nothing for NULL."""
    return "" if value is None else " ".join(str(_value(value)).split())
