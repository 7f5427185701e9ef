"""New rows for a schema found elsewhere: the right values, or one line that says why not."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autometa.errors import TableError
from autometa.tables._base import Kind
from autometa.tables.preparation import TableOptions, prepare_like, prepare_table
from autometa.tables.reading import RawTable, ReadOptions, read_table
from autometa.tables.schema import Schema

N = 60
DAY = dt.datetime(2024, 1, 31)
DAYS = [dt.date(2024, 1, 1) + dt.timedelta(days=3 * i) for i in range(N)]
TRAINED = pl.DataFrame(
    {
        "amount": [f"{i / 7:.2f}" for i in range(N)],
        "price": [f"{i * 300:,}.50" for i in range(N)],
        "flag": ["true", "false", "false"] * 20,
        "code": ["1", "2", "3"] * 20,
        "city": ["Rome", "Oslo", "Bern", ""] * 15,
        "day": [str(day) for day in DAYS],
        "stamp": [day.strftime("%Y%m%d") for day in DAYS],
        "y": ["u", "v"] * 30,
    }
)
SCHEMA = prepare_table(RawTable(TRAINED, "t"), TableOptions(categorical=("code",))).schema


def typed(values: Any, name: str, decimal: str | None = None, **others: Any) -> list[object]:
    """The column as the schema types it; the cells of columns that are not given are missing."""
    cells: dict[str, Any] = {column: [None] * len(values) for column in TRAINED.columns}
    rows = pl.DataFrame(cells | others | {name: values}, strict=False)
    raw = RawTable(rows, "new", decimal=decimal)
    return prepare_like(raw, SCHEMA, needs_target=False).frame[name].to_list()


def test_the_schema_holds_every_kind() -> None:
    """What is tested below are numbers, a boolean, categories and dates, all with their cells."""
    kinds = [Kind.NUMBER, Kind.NUMBER, Kind.BOOLEAN, Kind.CATEGORY, Kind.CATEGORY]
    assert [column.name for column in SCHEMA.used] == TRAINED.columns[:-1]
    assert [column.kind for column in SCHEMA.used] == [*kinds, Kind.DATE, Kind.DATE]
    frame = prepare_table(RawTable(TRAINED, "t")).frame
    assert frame.null_count().sum_horizontal().item() == 15  # the empty cells of `city`


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("amount", [1, 2], [1.0, 2.0]),
        ("amount", ["1.0", " 2 "], [1.0, 2.0]),
        ("amount", [True, False], [1.0, 0.0]),
        ("amount", [Decimal("1.5"), None], [1.5, None]),
        ("amount", [None, None], [None, None]),
        ("amount", ["-", "n/a"], [None, None]),
        ("price", ["1,234.50", "7"], [1234.5, 7.0]),
        ("price", [1234.5, float("nan")], [1234.5, None]),
        ("flag", ["True", "FALSE"], [True, False]),
        ("flag", ["yes", "N"], [True, False]),
        ("flag", [1, 0], [True, False]),
        ("flag", ["1.0", "0"], [True, False]),
        ("flag", [1.0, float("nan")], [True, None]),
        ("code", [1, 2], ["1", "2"]),
        ("code", [1.0, float("nan")], ["1", None]),
        ("code", ["1.0", "2"], ["1", "2"]),
        ("code", ["one", "2"], ["one", "2"]),
        ("city", ["Paris", " Rome "], ["Paris", "Rome"]),
        ("day", [DAY, DAY.date()], [DAY, DAY]),
        ("day", ["2024-01-31T00:00:00Z", None], [DAY, None]),
        ("stamp", [20240131, 20240131], [DAY, DAY]),
        ("stamp", [20240131.0, float("nan")], [DAY, None]),
        ("stamp", ["20240131.0", ""], [DAY, None]),
        ("stamp", [DAY.date(), None], [DAY, None]),
    ],
)
def test_other_types_of_the_same_values_are_understood(
    name: str, values: list[object], expected: list[object]
) -> None:
    """Whole numbers as floats, words for yes and no, codes as numbers, days as dates."""
    assert typed(values, name) == expected


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("amount", ["True", "False"]),
        ("amount", ["5 kg", "6 kg"]),
        ("amount", [DAY, DAY]),
        ("amount", [[1], [2]]),
        ("city", [["Rome"], ["Oslo"]]),
        ("day", ["01/31/2024", "02/15/2024"]),
        ("day", [1704067200, 1704067201]),
        ("day", [0.5, 1.5]),
        ("stamp", [20249999.0, 20249998.0]),
    ],
)
def test_other_values_are_refused_in_one_line(name: str, values: list[object]) -> None:
    """What would be read as missing in most rows is an error with the column and a cell."""
    with pytest.raises(TableError, match=rf"{name!r} should hold.*row 1 holds") as refused:
        typed(values, name)
    assert "\n" not in str(refused.value)


def test_dates_written_as_whole_numbers_are_learned_from() -> None:
    """A column such as 20240131 keeps its days, whatever it is read as."""
    as_numbers = TRAINED["stamp"].cast(pl.Int64)
    for stamps in (TRAINED["stamp"], as_numbers, as_numbers.cast(pl.Float64)):
        table = prepare_table(RawTable(TRAINED.with_columns(stamps), "t"))
        assert table.frame["stamp"].dt.date().to_list() == DAYS


@pytest.mark.parametrize(
    ("cells", "decimal", "expected"),
    [
        (["0,5", "1.234"], None, [0.5, 1234.0]),
        (["0,5", "12"], ",", [0.5, 12.0]),
        (["1.234", "2.345"], None, [1.234, 2.345]),
        (["1.234", "2.345"], ",", [1234.0, 2345.0]),
        (["1,234", "2.5"], ".", [1234.0, 2.5]),
        (["1.234,50", "7"], None, [1234.5, 7.0]),
        (["0,5", "1.5"], None, [None, 1.5]),
    ],
)
def test_the_decimal_mark_may_be_another(
    cells: list[str], decimal: str | None, expected: list[float | None]
) -> None:
    """It is the one that the user says, or that the cells can only be read with."""
    assert typed(cells, "amount", decimal) == expected


def test_what_can_be_read_both_ways_goes_with_the_file() -> None:
    """Beside "0,5" a cell of "1.234" is over a thousand, unless it was not so in training."""
    assert typed(["1.234"], "amount", price=["0,5"]) == [1234.0]
    assert typed(["1.234"], "amount") == [1.234]
    assert typed(["1.234"], "amount", price=["0,5"], code=["1.5"]) == [1.234]
    with pytest.raises(TableError, match="--decimal"):
        typed(["1,234"], "amount")
    schema = prepare_table(
        RawTable(
            TRAINED.with_columns(price=TRAINED["amount"].str.replace(".", ",", literal=True)), "t"
        )
    ).schema
    rows = TRAINED.head(1).with_columns(amount=pl.lit("1.234"), price=pl.lit("0,5"))
    frame = prepare_like(RawTable(rows, "new"), schema, needs_target=False).frame
    assert frame["amount"].to_list() == [1.234]
    assert frame["price"].to_list() == [0.5]


def test_another_decimal_mark_is_said() -> None:
    """A note names the columns; where the user said the mark there is nothing to add."""
    rows = TRAINED.head(2).with_columns(amount=pl.Series(["0,5", "1,5"]), price=pl.lit("2,5"))
    found = prepare_like(RawTable(rows, "n"), SCHEMA, needs_target=False)
    assert found.notes == (
        "decimal marks are not those of the training rows in: 'amount', 'price'",
    )
    assert prepare_like(RawTable(rows, "n", (), ","), SCHEMA, needs_target=False).notes == ()


def test_a_test_files_target_has_its_own_decimal_mark() -> None:
    """Rows to score a model with are read with the mark that the user says, target and all."""
    table = prepare_table(RawTable(TRAINED.select("city", "amount"), "t"))
    rows = pl.DataFrame({"city": ["Rome", "Oslo"], "amount": ["0,5", "1.234"]})
    for decimal in (",", None):
        scored = prepare_like(
            RawTable(rows, "n", decimal=decimal), table.schema, needs_target=True
        )
        assert scored.target is not None
        assert scored.target.tolist() == [0.5, 1234.0]


@pytest.mark.parametrize("mark", [".", ","])
@settings(deadline=None)
@given(values=st.lists(st.integers(-99999, 99999), min_size=1, max_size=9))
def test_any_numbers_are_read_with_the_mark_that_is_said(mark: str, values: list[int]) -> None:
    """Numbers printed with either mark, with or without thousands, come back."""
    other = {".": ",", ",": "."}[mark]
    printed = [f"{value / 4:,.2f}".translate({44: other, 46: mark}) for value in values]
    assert typed(printed, "amount", mark) == [value / 4 for value in values]
    bare = [cell.replace(other, "") for cell in printed]
    assert typed(bare, "amount", mark) == [value / 4 for value in values]


def as_pandas(frame: pl.DataFrame) -> pd.DataFrame:
    other = frame.to_pandas()
    other.index = pd.Index(range(len(other), 0, -1))
    return other


@pytest.mark.parametrize(
    "form",
    [
        as_pandas,
        lambda frame: frame.to_arrow(),
        lambda frame: frame.to_dicts(),
        lambda frame: frame.to_pandas().to_dict(),
        lambda frame: frame.lazy(),
        lambda frame: frame.select(reversed(frame.columns)).with_columns(extra=pl.lit([1])),
        lambda frame: frame.drop("y"),
    ],
)
def test_any_form_and_order_gives_the_same_rows(form: Any) -> None:
    """Rows keep their order whatever their index, their library and the order of columns."""
    expected = SCHEMA.conform(TRAINED)
    rows = prepare_like(read_table(form(TRAINED)), SCHEMA, needs_target=False)
    assert rows.frame.equals(expected)


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.dates(),
    st.datetimes(),
    st.times(),
    st.timedeltas(),
    st.binary(max_size=3),
    st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-99, max_value=99),
    st.text(max_size=5),
    st.sampled_from(["1,5", "1.5", "1.234", "yes", "2024-01-31", "31.01.2024", "12:30", "NA"]),
    st.lists(st.integers(0, 9), max_size=2),
)


@settings(deadline=None)
@given(
    st.sampled_from([column.name for column in SCHEMA.used]),
    st.lists(SCALARS, min_size=1, max_size=6),
    st.sampled_from([None, ".", ","]),
)
def test_any_cells_are_typed_or_refused_in_one_line(
    name: str, cells: list[object], decimal: str | None
) -> None:
    """Whatever a column holds, each row keeps its place and type, or there is one line."""
    others = {other: [None] * len(cells) for other in TRAINED.columns}
    raw = read_table(others | {name: cells}, ReadOptions(decimal=decimal))
    try:
        frame = prepare_like(raw, SCHEMA, needs_target=False).frame
    except TableError as error:
        message = str(error)
    else:
        message = ""
        assert frame.height == len(cells)
        assert frame.schema == SCHEMA.conform(TRAINED).schema
    assert "\n" not in message


def test_columns_that_are_no_features_may_be_missing() -> None:
    """Only what the model uses is asked for: constants and identifiers may be left out."""
    rows = TRAINED.with_columns(constant=pl.lit("x"), id=pl.Series(range(100, 100 + N)))
    schema: Schema = prepare_table(RawTable(rows, "t"), TableOptions(target="y")).schema
    assert {"constant", "id"} <= {column.name for column in schema.columns}
    assert prepare_like(RawTable(TRAINED, "n"), schema, needs_target=False).frame.height == N
