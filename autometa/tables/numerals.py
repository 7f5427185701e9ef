"""Numbers written as text: separators, units, currencies, accounting signs."""

from __future__ import annotations

import re
from dataclasses import dataclass

import polars as pl
from polars import selectors

SPACES = "[\u00a0\u2009\u202f]"  # no-break, thin and narrow no-break: thousands in many locales
MINUSES = "[\u2212\u2013]"  # the minus sign and the en dash that word processors put for it
CURRENCY = r"[$€£¥₹₩₽₺₫₪฿]|(?i:USD|EUR|GBP|JPY|CHF|CAD|AUD|INR|CNY|SEK|NOK|DKK|PLN|BRL)"
MARK = rf"(?:{CURRENCY})"
UNIT = r"^[^\pL%°]*\d\s*([\pL%°µ][^\d]{0,11})$"  # "12 km/h", "5%": letters after the digits
EXPONENT = r"^[eE]$"
SURE_COMMA = r"^[+-]?(?:\d+,(?:\d{1,2}|\d{4,})|0,\d+)$"  # no thousands: not three digits
SURE_POINT = r"^[+-]?(?:\d+\.(?:\d{1,2}|\d{4,})|0\.\d+)$"
N_SAMPLED = 1_000  # enough to choose a format; the whole column then says how well it fits
LEADING_ZERO = r"^[+-]?0\d+$"


@dataclass(frozen=True, slots=True)
class NumberFormat:
    """How a column writes its numbers. `unit` is a suffix that every marked cell shares."""

    decimal: str = "."
    thousands: str = ""
    unit: str = ""


PLAIN = NumberFormat()
POINT_FORMATS = ((".", ""), (".", ","), (".", " "), (".", "'"), (".", "_"))
COMMA_FORMATS = ((",", ""), (",", "."), (",", " "), (",", "'"))


def parse_numbers(text: pl.Series, number_format: NumberFormat) -> pl.Series:
    """The cells as Float64; null where a cell is no number in this format."""
    if number_format.decimal != ".":
        return _parse_marked(text, number_format)
    values = text.cast(pl.Float64, strict=False)
    failed = (values.is_null() & text.is_not_null()).arg_true()
    if not len(failed):
        return values
    return values.scatter(failed, _parse_marked(text.gather(failed), number_format))


def infer_number_format(text: pl.Series, decimal: str | None = None) -> NumberFormat:
    """The format that most cells fit; of several that fit as well, the plainest.

    `decimal` is the file's decimal mark where it is known: it decides what "1.234" means.
    """
    cells = text.drop_nulls()
    if not _fails_as(cells, pl.Int64) or (decimal != "," and not _fails_as(cells, pl.Float64)):
        return PLAIN
    sample = sample_cells(cells)
    unit = _shared_unit(sample)
    order = {",": COMMA_FORMATS + POINT_FORMATS, ".": POINT_FORMATS}
    formats = order.get(decimal or "", POINT_FORMATS + COMMA_FORMATS)
    candidates = [NumberFormat(mark, thousands, unit) for mark, thousands in formats]
    return max(candidates, key=lambda candidate: _n_fitting(sample, candidate))


def format_with(text: pl.Series, decimal: str, like: NumberFormat) -> NumberFormat:
    """The format with this decimal mark that most cells fit; what cannot be told is as in `like`.

    It has a thousands mark: such a format reads all that one without it does.
    """
    marks = COMMA_FORMATS if decimal == "," else POINT_FORMATS
    grouped = sorted((mark[1] for mark in marks if mark[1]), key=lambda it: it != like.thousands)
    cells = sample_cells(text)
    candidates = [NumberFormat(decimal, thousands, like.unit) for thousands in grouped]
    return max(candidates, key=lambda candidate: _n_fitting(cells, candidate))


def sample_cells(text: pl.Series) -> pl.Series:
    """About `N_SAMPLED` cells that are not missing, from all over the column."""
    cells = text.drop_nulls()
    return cells.gather_every(max(1, len(cells) // N_SAMPLED))


def infer_decimal(frame: pl.DataFrame) -> str | None:
    """The decimal mark that a file's text columns agree on, None where nothing tells.

    Only cells that can be read in one way count: "3,14" or "0,123" but not "1,234".
    """
    texts = frame.select(selectors.string()).head(N_SAMPLED)
    if not texts.width:
        return None
    n_comma, n_point = (
        sum(texts.select(pl.all().str.contains(pattern).sum()).row(0))
        for pattern in (SURE_COMMA, SURE_POINT)
    )
    if n_comma == n_point:
        return None
    return "," if n_comma > n_point else "."


def cast_plain_numbers(frame: pl.DataFrame) -> pl.DataFrame:
    """Text columns that hold nothing but plain numbers as Float64: quick for wide tables."""
    texts = frame.select(selectors.string())
    if not texts.width or not texts.height:
        return frame
    failed = texts.select(
        pl.all().cast(pl.Float64, strict=False).null_count() - pl.all().null_count()
    ).row(0)
    n_filled = texts.select(pl.all().count()).row(0)
    codes = texts.select(pl.all().str.contains(LEADING_ZERO).any()).row(0)
    plain = [
        name
        for name, n, n_cells, is_code in zip(texts.columns, failed, n_filled, codes, strict=True)
        if n == 0 and n_cells and not is_code
    ]
    return frame.with_columns(pl.col(plain).cast(pl.Float64)) if plain else frame


def has_leading_zeros(text: pl.Series) -> bool:
    """Whether the cells are codes such as "02139": of one width, zeros in front."""
    return bool(text.str.contains(LEADING_ZERO).any()) and text.str.len_chars().n_unique() == 1


def _fails_as(cells: pl.Series, dtype: type[pl.Int64 | pl.Float64]) -> bool:
    head = cells.head(N_SAMPLED).cast(dtype, strict=False)
    return head.null_count() > 0 or cells.cast(dtype, strict=False).null_count() > 0


def _n_fitting(sample: pl.Series, number_format: NumberFormat) -> int:
    return len(sample) - parse_numbers(sample, number_format).null_count()


def _shared_unit(sample: pl.Series) -> str:
    """The unit behind the numbers, if they all have the same; currencies need none."""
    units = sample.str.extract(UNIT).str.strip_chars().drop_nulls().unique()
    is_unit = ~units.str.contains(rf"^{MARK}$") & ~units.str.contains(EXPONENT)
    named = units.filter(is_unit)
    return str(named[0]) if len(named) == 1 else ""


def _parse_marked(text: pl.Series, number_format: NumberFormat) -> pl.Series:
    """Parse cells with marks that a plain cast does not know."""
    bare = text.str.replace_all(SPACES, " ").str.replace_all(MINUSES, "-").str.strip_chars()
    if number_format.unit:
        bare = bare.str.strip_suffix(number_format.unit).str.strip_chars()
    bare = bare.str.replace(r"^\(([^()-]+)\)$", "-${1}")  # accountants write (5) for -5
    bare = bare.str.replace(rf"^([+-]?)\s*{MARK}\s*([+-]?)", "${1}${2}")
    bare = bare.str.replace(rf"\s*{MARK}$", "").str.replace(r"^([+-])\s+", "${1}")
    grammar = _grammar(number_format)
    fits = bare.str.contains(grammar)
    if number_format.thousands:
        bare = bare.str.replace_all(number_format.thousands, "", literal=True)
    if number_format.decimal != ".":
        bare = bare.str.replace(number_format.decimal, ".", literal=True)
    values = bare.cast(pl.Float64, strict=False)
    return values.zip_with(fits.fill_null(value=False), pl.Series([None], dtype=pl.Float64))


def _grammar(number_format: NumberFormat) -> str:
    decimal, mark = re.escape(number_format.decimal), re.escape(number_format.thousands)
    whole = r"\d+"
    if mark:  # groups of three; of two in front of the last as written in India
        whole = rf"(?:\d+|[1-9]\d{{0,2}}(?:{mark}\d{{2,3}})*{mark}\d{{3}})"
    return rf"^[+-]?(?:{whole}(?:{decimal}\d*)?|{decimal}\d+)(?:[eE][+-]?\d+)?$"
