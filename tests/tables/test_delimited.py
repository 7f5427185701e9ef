"""Delimited text: rows stay where they are, and what is odd in them is said."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autometa.errors import OptionError, TableError
from autometa.tables.delimited import read_delimited
from autometa.tables.dialects import DELIMITERS, sniff

Row = tuple[str | None, ...]


@pytest.mark.parametrize(
    ("text", "kept", "n_empty"),
    [
        ("a,b\n1,2\n,\n3,4", [("1", "2"), (None, None), ("3", "4")], 1),
        ("a,b\n1,2\n\n3,4\n", [("1", "2"), (None, None), ("3", "4")], 1),
        ("a,b\n,\n1,2\n,\n", [(None, None), ("1", "2"), (None, None)], 2),
        ("a,b\n1,2\n\n\n", [("1", "2")], 0),
        ("a;b\r\n1;2\r\n;\r\n\r\n", [("1", "2"), (None, None)], 1),
        ("a\tb\n1\t2\n\t\n", [("1", "2"), (None, None)], 1),
        ('a,b\n"x\ny",2\n\n3,4\n', [("x\ny", "2"), (None, None), ("3", "4")], 1),
        ("a,b,\n1,2,\n,,\n3,4,\n", [("1", "2"), (None, None), ("3", "4")], 1),
        ("a b\n1 2\n\n3 4\n", [("1", "2"), (None, None), ("3", "4")], 1),
        ("x\n1\n\n2\n\n\n", [("1",), (None,), ("2",)], 1),
    ],
)
def test_empty_rows_stay_where_they_are(text: str, kept: list[Row], n_empty: int) -> None:
    """Asked for, each row up to the last one stays, and a note counts the empty ones."""
    frame, notes = read_delimited(text, "t", keeps_empty_rows=True)
    assert frame.rows() == kept
    assert [note.split(" kept")[0] for note in notes if "kept" in note] == (
        [f"{n_empty} empty row{'s' if n_empty > 1 else ''}"] if n_empty else []
    )
    frame, _ = read_delimited(text, "t")
    assert frame.rows() == [row for row in kept if any(row)]


WORD = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=5)


@settings(deadline=None)
@given(
    st.lists(st.lists(WORD, min_size=2, max_size=2), min_size=1, max_size=9),
    st.sampled_from(DELIMITERS),
)
def test_any_table_keeps_its_rows(rows: list[list[str]], delimiter: str) -> None:
    """A file as Python writes it has as many rows as were written, whatever is in them."""
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows([["p", "q"], *rows])
    frame, _ = read_delimited(
        text.getvalue(), "t", delimiter, '"', has_header=True, keeps_empty_rows=True
    )
    found = [[(cell or "").strip(" ") for cell in row] for row in frame.rows()]
    assert found == [[cell.strip(" ") for cell in row] for row in rows]


@pytest.mark.parametrize("n_lines", [1, 2, 3])
def test_blank_lines_above_the_header_are_nothing(n_lines: int) -> None:
    """However many there are, the first line with a word names the columns."""
    frame, notes = read_delimited("\n" * n_lines + "a,b\n1,x\n2,y\n", "t")
    assert frame.columns == ["a", "b"]
    assert frame.height == 2
    assert notes == ()


@pytest.mark.parametrize("text", ["{long}\n1\n2\n", "a,b\n{long},1\n2,3\n", 'a,b\n"{long}\n",1\n'])
def test_cells_may_be_of_any_length(text: str) -> None:
    """A name or a cell of 200,000 characters is read whole; Python's own limit is left alone."""
    limit = csv.field_size_limit()
    frame, _ = read_delimited(text.replace("{long}", "x" * 200_000), "t", has_header=True)
    longest = max(len(str(cell)) for cell in (*frame.columns, *frame.row(0)))
    assert longest in (200_000, 200_001)
    assert csv.field_size_limit() == limit


def test_no_quote_makes_quotes_ordinary() -> None:
    """With a quote of "" a cell keeps its quotes and ends at the delimiter."""
    frame, notes = read_delimited('a,b\n"x,1\ny",2\n', "t", quote="")
    assert frame.rows() == [('"x', "1"), ('y"', "2")]
    assert notes == ()


@pytest.mark.parametrize(
    ("delimiter", "quote"), [("\n", None), ("\r", None), (",", ","), (None, "''"), ("é", None)]
)
def test_marks_that_cannot_be_are_refused(delimiter: str | None, quote: str | None) -> None:
    """A delimiter or quote is one plain character, and not the same one."""
    with pytest.raises(OptionError):
        read_delimited("a,b\n1,2\n", "t", delimiter, quote)


@pytest.mark.parametrize("text", ["sep=;", "sep=;\n", "sep=\t\n\n"])
def test_a_line_on_the_delimiter_alone_is_no_table(text: str) -> None:
    """Excel's own line without rows below ends in an error, or in no rows."""
    try:
        frame, _ = read_delimited(text, "t")
    except TableError:
        return
    assert frame.height == 0


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("a,b\n1,2\n", (",", 0, 2, True, False)),
        ("1,2\n3,4\n", (",", 0, 2, False, False)),
        ("a;b\n1,5;2,5\n", (";", 0, 2, True, False)),
        ("sep=|\na|b\n1|2\n", ("|", 1, 2, True, False)),
        ("sep=\t\na\tb\n1\t2\n", ("\t", 1, 2, True, False)),
        ("# one\n# two\na,b\n1,2\n3,4\n", (",", 2, 2, True, False)),
        ("a b\n1  2\n3 4\n", (" ", 0, 2, True, False)),
        ("a,b\nr,1,2\ns,3,4\n", (",", 0, 3, True, True)),
        ("0,1,2\n5,6,7\n", (",", 0, 3, True, False)),
        ("words here\nand there\n", (",", 0, 1, True, False)),
    ],
)
def test_the_form_is_found(text: str, form: tuple[str, int, int, bool, bool]) -> None:
    """Delimiter, lines above, width, header and row names are told from the first lines."""
    found = sniff(text)
    assert form == (
        *(found.delimiter, found.n_skipped, found.width, found.has_header),
        found.has_row_names,
    )


def test_quotes_are_found() -> None:
    """Single quotes count only where they stand around most cells and no double ones do."""
    assert sniff("'a','b'\n'1','x,y'\n").quote == "'"
    assert sniff("a,b\n'tis,1\n").quote == '"'
    assert sniff("'a','b'\n'1','\"'\n").quote == '"'
