"""Cells as people write them: what counts as missing, and the words for yes and no."""

from __future__ import annotations

import polars as pl

# missing in every column: what pandas, R, SQL, spreadsheets and the UCI repository write
MISSING = (
    *("", "?", "na", "n/a", "#n/a", "<na>", "nan", "-nan", "null", "nat"),
    *("#value!", "#div/0!", "#ref!", "#num!", "#null!", "#name?"),
)
# missing only where the other cells are numbers or dates; elsewhere they may be a category:
# "none", or the "-" of a test whose other result is "+"
MISSING_AMONG_NUMBERS = (
    *("-", "--", "---", ".", "..", "*", "none", "nil", "n.a.", "n.a", "n/d", "nd", "missing"),
    *("unknown", "unk", "not available", "not applicable", "undefined", "tbd", "\u2013", "\u2014"),
)
TRUE_WORDS = ("true", "yes", "y", "t", "on", "1", "1.0")
FALSE_WORDS = ("false", "no", "n", "f", "off", "0", "0.0")
BOOLEAN_PAIRS = tuple(zip(FALSE_WORDS[:5], TRUE_WORDS[:5], strict=True))


def strip_cells(text: pl.Series) -> pl.Series:
    """The cells without blanks around them; null where they say that they are missing."""
    bare = text.str.strip_chars()
    is_missing = bare.str.to_lowercase().is_in(MISSING).fill_null(value=True)
    if not is_missing.any():
        return bare
    return bare.zip_with(~is_missing, pl.Series([None], dtype=pl.String))


def is_missing_number(text: pl.Series) -> pl.Series:
    """Whether each cell says that its number or date is missing."""
    return text.str.to_lowercase().is_in(MISSING_AMONG_NUMBERS)


def parse_booleans(text: pl.Series) -> pl.Series:
    """The cells as Boolean; null where a cell is no word for yes or no."""
    words = text.str.to_lowercase()
    is_true = words.is_in(TRUE_WORDS)
    return is_true.zip_with(
        is_true | words.is_in(FALSE_WORDS), pl.Series([None], dtype=pl.Boolean)
    )


def are_booleans(words: pl.Series) -> bool:
    """Whether distinct words are yes and no in one language: "true" and "false", "y" and "n"."""
    found = set(words.drop_nulls().str.to_lowercase().unique().to_list())
    return any(found == set(pair) for pair in BOOLEAN_PAIRS)
