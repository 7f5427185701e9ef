"""Files that say how they are built: what they are is told by their bytes, then by their name."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import polars as pl
import pytest

from autometa.errors import OptionError, TableError
from autometa.tables.containers import container_format, read_container
from autometa.tables.formats import FORMATS
from autometa.tables.reading import ReadOptions, read_table

FRAME = pl.DataFrame({"x": [1, None, 3], "c": ["a", None, "b"]})


def written(write: Callable[[io.BytesIO], object]) -> bytes:
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()


BYTES: dict[str, bytes] = {
    "csv": FRAME.write_csv().encode(),
    "tsv": FRAME.write_csv(separator="\t").encode(),
    "txt": FRAME.write_csv(separator="|").encode(),
    "parquet": written(FRAME.write_parquet),
    "arrow": written(FRAME.write_ipc),
    "json": FRAME.write_json().encode(),
    "jsonl": FRAME.write_ndjson().encode(),
    "excel": written(lambda file: FRAME.to_pandas().to_excel(file, index=False)),
}
ALIASES = {"pq": "parquet", "feather": "arrow", "ipc": "arrow", "ndjson": "jsonl"}


@pytest.mark.parametrize("name", FORMATS)
def test_every_name_of_a_format_reads_it(name: str, tmp_path: Path) -> None:
    """Each name is taken as a word and as an ending; all give the same rows."""
    kind = ALIASES.get(name, "excel" if name.startswith("xl") else name)
    nameless, named = tmp_path / "table", tmp_path / f"table.{name}"
    nameless.write_bytes(BYTES[kind])
    named.write_bytes(BYTES[kind])
    keep = ReadOptions(keeps_empty_rows=True)
    frame = read_table(named, keep).frame
    assert frame.rows() in (FRAME.rows(), FRAME.cast(pl.String).rows())
    told = ReadOptions(file_format=name, keeps_empty_rows=True)
    assert read_table(nameless, told).frame.equals(frame)


def test_a_named_format_decides() -> None:
    """`tsv` means tabs, however well commas would do; a name that is none is refused."""
    with pytest.raises(OptionError, match="unknown format 'pdf'; known are csv, tsv"):
        ReadOptions(file_format="pdf")
    options = ReadOptions(file_format="tsv")
    assert read_text("a,b\n1,2\n", options) == ["a,b"]
    assert read_text("a,b\n1,2\n", replace(options, delimiter=",")) == ["a", "b"]


def read_text(text: str, options: ReadOptions) -> list[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        return read_table("-", options).frame.columns


def test_bytes_tell_more_than_names() -> None:
    """A Parquet file under any name is one; without a mark the name decides."""
    assert container_format(BYTES["parquet"], ".csv") == "parquet"
    assert container_format(BYTES["excel"], ".zip") == "excel"
    assert container_format(b"[1]", ".JSON") == "json"
    assert container_format(b"a,b", ".csv") is None
    assert container_format(b"a,b", "") is None


@pytest.mark.parametrize("kind", ["csv", "tsv", "parquet", "arrow", "json", "jsonl", "excel"])
def test_empty_rows_are_kept_in_every_format(kind: str, tmp_path: Path) -> None:
    """Asked for, a row without a cell stays between the others."""
    path = tmp_path / f"t.{'xlsx' if kind == 'excel' else kind}"
    path.write_bytes(BYTES[kind])
    frame = read_table(path, ReadOptions(keeps_empty_rows=True)).frame
    assert frame.height == 3
    assert frame.row(1) == (None, None)


@pytest.mark.parametrize(
    "text",
    [
        '[{"x": 1, "c": "a"}, {}, {"x": 3, "c": "b"}]',
        '{"x": 1, "c": "a"}\n\n{"x": null}\n{"c": "b", "x": 3}\n',
        '{"x": [1, null, 3], "c": ["a", null, "b"]}',
        '{"x":\n [1, null, 3],\n "c": ["a", null, "b"]}',
        FRAME.to_pandas().to_json(),
        FRAME.to_pandas().to_json(orient="records"),
        FRAME.to_pandas().to_json(orient="records", lines=True),
        "\ufeff" + FRAME.write_json(),
    ],
)
def test_json_has_many_layouts(text: str) -> None:
    """Records, lines of records, columns, and pandas' own columns of named cells."""
    frame, _ = read_container(text.encode(), "t", "json")
    assert frame.cast({"x": pl.Int64}).equals(FRAME)


@pytest.mark.parametrize(
    "text",
    [
        "[",
        "[1, 2]",
        "5",
        "{}",
        "[[1, 2], [3]]",
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"a": [1], "b": 2}x',
    ],
)
def test_other_json_is_refused_in_one_line(text: str) -> None:
    """What is cut off, no table, or nested without end is an error, not a traceback."""
    with pytest.raises(TableError) as caught:
        read_container(text.encode(), "t", "json")
    assert "\n" not in str(caught.value)


def test_cells_of_several_types_become_text() -> None:
    """Records whose cells differ in type are read, the mixed column as text."""
    lines = [json.dumps({"a": cell}) for cell in (1, "x", 2.5, None)]
    frame, _ = read_container("\n".join(lines).encode(), "t", "json")
    assert frame["a"].to_list() == ["1", "x", "2.5", None]


def test_a_stream_of_batches_is_arrow_too() -> None:
    """Arrow's other layout has no first bytes of its own; the name says what it is."""
    data = written(FRAME.write_ipc_stream)
    assert container_format(data, ".arrow") == "arrow"
    assert read_container(data, "t", "arrow")[0].equals(FRAME)


def test_the_sheet_is_said() -> None:
    """Of several sheets the first with rows is read, and a note names it."""
    buffer = io.BytesIO()
    with pd.ExcelWriter(buffer) as book:
        pd.DataFrame({"a": []}).to_excel(book, sheet_name="empty", index=False)
        FRAME.to_pandas().to_excel(book, sheet_name="rows", index=False)
    frame, notes = read_container(buffer.getvalue(), "t", "excel")
    assert frame.columns == ["x", "c"]
    assert notes == ("read sheet 'rows' of 2",)
