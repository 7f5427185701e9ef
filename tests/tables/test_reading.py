"""Reading: the same table from every source."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autometa.errors import OptionError, TableError
from autometa.tables.delimited import read_delimited
from autometa.tables.naming import mend_names
from autometa.tables.reading import ReadOptions, read_table

FRAME = pl.DataFrame({"x": [1.5, 2.0, None], "c": ["a", "b", "c"], "n": [10, 20, 30]})
CSV = FRAME.write_csv().encode()


def zipped(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("inner.csv", data)
    return buffer.getvalue()


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress, zipped])
def test_compression_changes_nothing(pack: type[bytes], tmp_path: Path) -> None:
    """A compressed file gives the cells of the plain one, whatever its name."""
    path = tmp_path / "table.csv"
    path.write_bytes(pack(CSV))
    assert read_table(path).frame.rows() == [
        ("1.5", "a", "10"),
        ("2.0", "b", "20"),
        (None, "c", "30"),
    ]


def test_zstandard_text_is_read(tmp_path: Path) -> None:
    """Polars unpacks zstandard where Python cannot."""
    path = tmp_path / "table.csv.zst"
    with pa.OSFile(str(path), "wb") as file, pa.CompressedOutputStream(file, "zstd") as packed:
        packed.write(CSV)
    raw = read_table(path)
    assert raw.frame.columns == FRAME.columns
    assert raw.name == "table"


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "feather", "json", "jsonl"])
def test_typed_files_keep_their_types(suffix: str, tmp_path: Path) -> None:
    """Files that know their types give the frame that was written."""
    path = tmp_path / f"table.{suffix}"
    writers: dict[str, Callable[[Path], object]] = {
        "parquet": FRAME.write_parquet,
        "json": FRAME.write_json,
        "jsonl": FRAME.write_ndjson,
    }
    writers.get(suffix, FRAME.write_ipc)(path)
    assert read_table(path).frame.equals(FRAME)


def test_excel_is_read(tmp_path: Path) -> None:
    """The first sheet that has rows is the table."""
    path = tmp_path / "table.xlsx"
    FRAME.to_pandas().to_excel(path, index=False)
    frame = read_table(path).frame
    assert frame["c"].to_list() == ["a", "b", "c"]
    assert frame["x"].to_list() == [1.5, 2.0, None]


def test_frames_of_other_libraries_are_taken() -> None:
    """pandas, pyarrow, lazy polars and a dict give one frame."""
    for source in (
        FRAME.to_pandas(),
        FRAME.to_arrow(),
        FRAME.lazy(),
        FRAME.to_dict(as_series=False),
    ):
        assert read_table(source).frame.equals(FRAME, null_equal=True)


def test_numpy_columns_are_named_by_place() -> None:
    """An array has no names; mixed objects become text."""
    assert read_table(np.eye(3)).frame.columns == ["column_0", "column_1", "column_2"]
    mixed = np.array([[1, "a"], [2.5, None]], dtype=object)
    assert read_table(mixed).frame.rows() == [("1", "a"), ("2.5", None)]


def test_pandas_habits_are_understood() -> None:
    """Names that come twice or are numbers, integer categories, objects of several types."""
    frame = pd.DataFrame([[1, "a", 1], ["x", None, 2]], columns=["o", 3, "o"])
    frame["k"] = pd.Categorical([2.0, None])
    raw = read_table(frame)
    assert raw.frame.columns == ["o", "3", "o_2", "k"]
    assert raw.frame["o"].to_list() == ["1", "x"]
    assert raw.frame["k"].cast(pl.String).to_list() == ["2", None]


def test_stdin_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dash stands for the bytes of standard input."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(CSV)))
    assert read_table("-").frame.height == 3


@pytest.mark.parametrize(
    "source",
    [5, None, np.zeros(3), {"a": [1], "b": [1, 2]}, [1, 2], {}, "no.csv", np.array([[1j]])],
)
def test_what_is_no_table_is_refused_in_one_line(source: object) -> None:
    """Anything else raises `TableError` in a line."""
    with pytest.raises(TableError) as caught:
        read_table(source)
    assert "\n" not in str(caught.value)


def test_a_folder_and_odd_options_are_refused(tmp_path: Path) -> None:
    """A folder is no table, and options have their values."""
    with pytest.raises(TableError, match="folder"):
        read_table(tmp_path)
    with pytest.raises(OptionError, match="decimal mark"):
        ReadOptions(decimal=";")
    with pytest.raises(OptionError, match="known are csv"):
        ReadOptions(file_format="pdf")
    path = tmp_path / "table.csv"
    path.write_bytes(CSV)
    with pytest.raises(OptionError, match="one plain character"):
        read_table(path, ReadOptions(delimiter="::"))
    with pytest.raises(OptionError, match="unknown encoding"):
        read_table(path, ReadOptions(encoding="utf-99"))


def test_what_is_given_is_not_found(tmp_path: Path) -> None:
    """Options win over what the file looks like."""
    path = tmp_path / "table.csv"
    path.write_text("a;b,c\n1;2,3\n4;5,6\n")
    assert read_table(path).frame.columns == ["a", "b,c"]
    assert read_table(path, ReadOptions(delimiter=",")).frame.columns == ["a;b", "c"]
    assert read_table(path, ReadOptions(has_header=False)).frame.height == 3


CELL = st.text(
    st.characters(codec="utf-8", exclude_characters="\x00\r", exclude_categories=["Cc", "Cs"]),
    min_size=1,
    max_size=6,
)


@given(
    st.lists(st.tuples(CELL, CELL, CELL), min_size=2, max_size=12),
    st.sampled_from([",", ";", "\t", "|"]),
)
def test_any_cells_survive_quoting(rows: list[tuple[str, str, str]], delimiter: str) -> None:
    """Cells of any characters, quoted where needed, are read as they were written."""
    lines = ["p,q,r".replace(",", delimiter)]
    lines += [delimiter.join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows]
    frame, _ = read_delimited("\n".join(lines) + "\n", "t", delimiter=delimiter, has_header=True)
    assert frame.rows() == rows


@given(st.lists(st.text(max_size=4) | st.none(), max_size=8))
def test_mended_names_are_unique(names: list[str | None]) -> None:
    """Any names become as many different ones, and are left alone when they were fine."""
    mended, _ = mend_names(names)
    assert len(set(mended)) == len(mended) == len(names)
    assert all(mended)
    assert mend_names(mended)[0] == mended
