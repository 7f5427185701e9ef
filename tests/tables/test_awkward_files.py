"""Malformed and awkward files: each ends in a table or in one line that says what to do."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from autometa.errors import AutometaError, TableError
from autometa.tables._base import Kind, TaskKind
from autometa.tables.charsets import decode
from autometa.tables.delimited import read_delimited
from autometa.tables.preparation import TableOptions, prepare_table
from autometa.tables.reading import RawTable, ReadOptions, read_table
from autometa.tables.table import Table

ROWS = [(i, f"{i * 1.5 % 7:.1f}", "ab"[i % 2], "yn"[i % 3 == 0]) for i in range(1, 41)]
BODY = "\n".join(f"{b},{c},{d}" for _, b, c, d in ROWS)
GOOD = f"x,c,y\n{BODY}\n"


@dataclass(frozen=True)
class Awkward:
    """A file and its outcome: the rows and columns of a table, or words of the error."""

    name: str
    data: bytes | str
    error: str = ""
    n_rows: int = 40
    used: tuple[str, ...] = ("x", "c")
    kind: TaskKind = TaskKind.BINARY
    note: str = ""
    file: str = "table.csv"
    read: ReadOptions = field(default_factory=ReadOptions)
    options: TableOptions = field(default_factory=TableOptions)


def zipped(**members: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in members.items():
            archive.writestr(name + ".csv", text)
    return buffer.getvalue()


def parquet_of(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


def with_target(*cells: object, header: str = "x,c,y") -> str:
    """A table whose last column cycles through `cells`."""
    rows = (f"{b},{c},{cells[i % len(cells)]}" for i, (_, b, c, _) in enumerate(ROWS))
    return header + "\n" + "\n".join(rows) + "\n"


def with_cells(*cells: object) -> str:
    """A table with a column `z` that cycles through `cells`."""
    rows = (f"{cells[i % len(cells)]},{b},{c},{d}" for i, (_, b, c, d) in enumerate(ROWS))
    return "z,x,c,y\n" + "\n".join(rows) + "\n"


NUMBERS = ("z", "x", "c")
FRAME = pl.DataFrame({"x": [float(b) for _, b, _, _ in ROWS], "y": [d for *_, d in ROWS]})
LISTS = FRAME.with_columns(pl.Series("l", [[1]] * 40)).select("l", "x", "y")
WIDE = (
    ",".join([*(f"c{i}" for i in range(1, 5000)), "y"])
    + "\n"
    + "\n".join(
        ",".join([*(str((i * j + i) % 7) for j in range(1, 5000)), "yn"[i % 2]]) for i in range(30)
    )
)

CASES = [
    # nothing to read
    Awkward("empty", "", error="is empty"),
    Awkward("blank lines", "\n\n   \n", error="is empty"),
    Awkward("header only", "x,c,y\n", error="no rows"),
    Awkward("header and rows of delimiters", "x,c,y\n,,\n,,\n", error="2 empty rows skipped"),
    Awkward("header and blank rows", "x,c,y\n , ,\n\n  \n", error="only blank rows"),
    Awkward("one row", "x,c,y\n1,a,y\n", error="same value, 'y'"),
    Awkward("one column", "x\n1\n2\n3\n", error="single column"),
    Awkward("mark and nothing", b"\xef\xbb\xbf", error="is empty"),
    # no text
    Awkward("binary junk", bytes(range(256)) * 20, error="binary data"),
    Awkward("picture", b"\x89PNG\r\n\x1a\n" + bytes(500), error="binary data"),
    Awkward("damaged gzip", gzip.compress(GOOD.encode())[:40], error="damaged"),
    Awkward("damaged bzip2", bz2.compress(GOOD.encode())[:40], error="damaged"),
    Awkward("damaged zip", b"PK\x03\x04junk", error="damaged"),
    Awkward("zip of two", zipped(a=GOOD, b=GOOD), error="one file and holds 2"),
    Awkward("empty zip", zipped(), error="one file and holds 0"),
    Awkward("damaged parquet", b"PAR1 junk", error="no readable Parquet"),
    Awkward("damaged arrow", b"ARROW1 junk", error="no readable Arrow", file="t.arrow"),
    Awkward("damaged workbook", b"junk", error="no readable Excel", file="t.xlsx"),
    Awkward("damaged json", '{"a": [1,', error="no readable JSON", file="t.json"),
    Awkward("json of one number", "5", error="list of records", file="t.json"),
    Awkward("wrong encoding named", "é".encode("latin-1"), error="is not utf-8",
            read=ReadOptions(encoding="utf-8")),
    # text in any form
    Awkward("no newline at the end", GOOD.rstrip()),
    Awkward("windows line ends", GOOD.replace("\n", "\r\n")),
    Awkward("old mac line ends", GOOD.replace("\n", "\r")),
    Awkward("utf-8 with a mark", GOOD.encode("utf-8-sig")),
    Awkward("utf-16", GOOD.encode("utf-16")),
    Awkward("utf-16 without a mark", GOOD.encode("utf-16-le")),
    Awkward("latin-1", GOOD.replace("c", "ç").encode("latin-1"), used=("x", "ç"), note="1252"),
    Awkward("unicode names", GOOD.replace("x,c", "数,🙂"), used=("数", "🙂")),
    Awkward("gzip under a wrong name", gzip.compress(GOOD.encode())),
    Awkward("zip", zipped(inner=GOOD)),
    Awkward("parquet under a wrong name", parquet_of(FRAME), used=("x",)),
    Awkward("tabs", GOOD.replace(",", "\t"), file="t.txt"),
    Awkward("semicolons, decimal comma", GOOD.replace(",", ";").replace(".", ",")),
    Awkward("pipes", GOOD.replace(",", "|")),
    Awkward("blanks", GOOD.replace(",", "   ").replace("a", "1").replace("b", "2")),
    Awkward("excel's own line", "sep=;\n" + GOOD.replace(",", ";"), note="before the table"),
    Awkward("title above", "Report of May\n\n" + GOOD, note="before the table"),
    Awkward("no header", BODY, used=("column_0", "column_1"), note="looks like data"),
    Awkward("single quotes", GOOD.replace("a", "'a,1'").replace("b", "'b,2'").replace(
        "y\n", "'y'\n").replace("n\n", "'n'\n")),
    Awkward("line ends in quotes", GOOD.replace(",a,", ',"a\nb",')),
    Awkward("a quote amid a cell", GOOD.replace(",a,", ',5" pipe,')),
    Awkward("a quote never closed", GOOD + '1,"a,y\n', n_rows=41, note="not closed"),
    Awkward("row names of R", "x,c,y\n" + "\n".join(f'"{i}",{b},{c},{d}' for i, b, c, d in ROWS),
            note="unnamed_0"),
    Awkward("delimiter at the end", GOOD.replace("\n", ",\n")),
    Awkward("empty lines within", GOOD + "\n\n1,a,y\n", n_rows=41, note="empty row"),
    Awkward("some short rows", GOOD + "1,a\n", n_rows=40, note="1 row with fewer than 3"),
    Awkward("some long rows", GOOD + "1,a,y,9\n", n_rows=41, note="1 row with more than 3"),
    Awkward("ragged", "x,c,y\n" + "1\n1,2\n1,2,3,4\n1,2,3,4,5\n" * 5, error="ragged"),
    # names
    Awkward("the same name twice", GOOD.replace("x,c", "x,x"), used=("x", "x_2"),
            note="came twice"),
    Awkward("empty name", GOOD.replace("x,c", "x,"), used=("x", "unnamed_1"),
            note="without a name"),
    Awkward("5,000 columns", WIDE, n_rows=30, used=()),
    # cells
    Awkward("all missing", with_cells(""), note="all cells are missing"),
    Awkward("constant", with_cells(7), note="all cells are the same"),
    Awkward("huge integers", with_cells(10**25, 10**26 + 1, 5), used=NUMBERS),
    Awkward("infinite values", with_cells("inf", "-inf", 1.5, "nan", 2), used=NUMBERS),
    Awkward("only infinite values", with_cells("inf"), note="no cell is a finite number"),
    Awkward("mixed types", with_cells(1, "x", 2.5, "2020-01-01"), used=NUMBERS),
    Awkward("words for missing", with_cells(1, "n/a", "-", "?", 2, "null"), used=NUMBERS),
    Awkward("money", with_cells('"$1,234.50"', "$5", "(5)", '"-$2"'), used=NUMBERS),
    Awkward("impossible dates", with_cells("2024-13-45", "2024-99-01"), used=NUMBERS),
    Awkward("lists", parquet_of(LISTS), used=("x",), note="list"),
    Awkward("one cell of junk", GOOD + "junk,a,y\n", n_rows=41, note="cannot be a number"),
    Awkward("only identifiers", "id,y\n" + "\n".join(f"{i * 7},{'yn'[i % 2]}" for i in range(30)),
            error="no column is left"),
    Awkward("records of different keys", "\n".join(
        json.dumps({"x": i % 5, **({"c": [1]} if i % 9 == 0 else {"c": "u"}), "y": "yn"[i % 2]})
        for i in range(40)), file="t.jsonl"),
    # targets
    Awkward("target absent", GOOD, error="did you mean 'y'", options=TableOptions(target="Y")),
    Awkward("constant target", with_target(3.5), error="same value"),
    Awkward("target all missing", with_target("", "NA"), error="missing in every row"),
    Awkward("target of dates", with_target("2020-01-01", "2020-02-01"), error="holds dates"),
    Awkward("target of texts", with_target(*(f"text {i}" for i in range(40))), error="identifier"),
    Awkward("target of lists", parquet_of(LISTS.select("x", "l")), error="choose another"),
    Awkward("one class of one row", with_target(*"yn" * 19, "z"), n_rows=39, note="alone"),
    Awkward("one class and rare ones", with_target(*"y" * 39, "z"), error="1 class with at least"),
    Awkward("words as a regression", GOOD, error="not numeric",
            options=TableOptions(kind=TaskKind.REGRESSION)),
    Awkward("three classes as binary", with_target(*"abc"), error="cannot be binary",
            options=TableOptions(kind=TaskKind.BINARY)),
    Awkward("target partly missing", with_target("y", "n", "?", "y"), n_rows=30, note="10 rows"),
    Awkward("infinite target", with_target(1.5, 2.5, "inf", 7.25), n_rows=30,
            kind=TaskKind.REGRESSION, note="10 rows"),
    # roles
    Awkward("negative weight", with_cells(1, -1), error="at least 0",
            options=TableOptions(weight="z")),
    Awkward("weights all zero", with_cells(0), error="0 in every row",
            options=TableOptions(weight="z")),
    Awkward("time of words", with_cells("soon", "later"), error="a date or a number",
            options=TableOptions(time="z")),
    Awkward("times missing", with_cells("2020-01-01", ""), error="another --time-column",
            options=TableOptions(time="z")),
    Awkward("few whole numbers", with_target(*range(5)), kind=TaskKind.MULTICLASS,
            note="say --task regression"),
    Awkward("words as numbers", with_cells("u", "v"), error="cannot be a number",
            options=TableOptions(number=("z",))),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_awkward_file_ends_in_a_table_or_in_one_line(case: Awkward, tmp_path: Path) -> None:
    """The outcome is exactly the stated one; an error is one line with something to do."""
    path = tmp_path / case.file
    path.write_bytes(case.data.encode() if isinstance(case.data, str) else case.data)
    if case.error:
        with pytest.raises(TableError) as caught:
            prepare_table(read_table(path, case.read), case.options)
        message = str(caught.value)
        assert case.error in message
        assert "\n" not in message
        assert len(message) < 400
        assert ";" in message or "," in message  # what was wrong; what to do
        return
    table = prepare_table(read_table(path, case.read), case.options)
    assert len(table) == case.n_rows == len(table.target)
    assert table.schema.target.kind is case.kind
    if case.used:
        assert table.frame.columns == list(case.used)
    assert case.note in " | ".join(table.notes)
    assert all("\n" not in note for note in table.notes)


def test_there_are_enough_awkward_files() -> None:
    """At least 45 different files are tried."""
    assert len({case.name for case in CASES}) >= 45


def test_wide_table_keeps_every_number_column(tmp_path: Path) -> None:
    """5,000 columns are all numbers but those that are constant."""
    path = tmp_path / "wide.csv"
    path.write_text(WIDE)
    table = prepare_table(read_table(path))
    kinds = [column.kind for column in table.schema.columns]
    assert len(kinds) == 4999
    assert set(kinds) == {Kind.NUMBER, Kind.CONSTANT}
    assert kinds.count(Kind.CONSTANT) == sum(j % 7 == 6 for j in range(1, 5000))


CELLS = st.sampled_from(
    [
        *(
            "",
            "1",
            "2,5",
            "1.5",
            "a",
            '"',
            "'",
            "\n",
            "\r\n",
            "\r",
            ",",
            ";",
            "\t",
            "|",
            " ",
            "%",
            "$1",
        ),
        *("2024-01-02", "1/2/24", "yes", "no", "NA", "-", "inf", "nan", "\x00", "é", "#", "12:30"),
    ]
)


@given(
    st.binary(max_size=200)
    | st.lists(CELLS, max_size=60).map(lambda cells: "".join(cells).encode())
)
@example(b'a,b\n"1,2\n')
def test_any_bytes_end_in_a_table_or_in_one_line(data: bytes) -> None:
    """Whatever a file holds, there is a table or an error of one line, never another error."""
    assert "\n" not in message_of(lambda: table_of_bytes(data))


@given(
    st.lists(
        st.lists(CELLS.filter(lambda cell: cell not in "\r\n"), min_size=3, max_size=3), min_size=2
    )
)
def test_any_cells_end_in_a_table_or_in_one_line(rows: list[list[str]]) -> None:
    """Whatever cells a frame has, there is a table or an error of one line."""
    frame = pl.DataFrame(rows, schema=["a", "b", "y"], orient="row")
    assert "\n" not in message_of(lambda: prepare_table(RawTable(frame, "frame")))


def table_of_bytes(data: bytes) -> Table:
    text, notes = decode(data, "file")
    frame, found = read_delimited(text, "file")
    return prepare_table(RawTable(frame, "file", notes + found))


def message_of(prepare: Callable[[], Table]) -> str:
    """The error's message; "" for a table, which must be whole."""
    try:
        table = prepare()
    except AutometaError as error:
        return str(error)
    assert len(table) == len(table.target) > 0
    return ""
