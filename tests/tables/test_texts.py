"""Free text as numbers: counts by hand, components that do not depend on the other rows."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from autometa.tables.texts import COUNTS, TextEncoder

RNG = np.random.default_rng(0)
WORDS = np.array([f"word{i}" for i in range(60)])
LONG = pl.Series("t", [" ".join(RNG.choice(WORDS, 12)) for _ in range(200)])
SHORT = pl.Series("t", [f"AB-{i % 7}{i % 5}" for i in range(200)])


def test_counts_are_characters_words_and_digits() -> None:
    """They are the same whatever was learned, and missing where the text is."""
    encoder = TextEncoder.fit(LONG, seed=0)
    counts = encoder.encode(pl.Series(["two words", "4 of 10", None, "", "日本 é"]))[:, :3]
    np.testing.assert_array_equal(
        counts, [[9, 2, 0], [7, 3, 3], [np.nan] * 3, [0, 0, 0], [4, 2, 0]]
    )
    assert encoder.suffixes[: len(COUNTS)] == (":characters", ":words", ":digits")


@pytest.mark.parametrize("column", [LONG, SHORT], ids=["long", "short"])
def test_a_row_does_not_depend_on_its_neighbours(column: pl.Series) -> None:
    """A text encodes alike alone and among others, and after being saved, seed by seed."""
    encoder = TextEncoder.fit(column, seed=3)
    whole = encoder.encode(column)
    np.testing.assert_allclose(encoder.encode(column[5:6])[0], whole[5], rtol=1e-12)
    loaded = TextEncoder.from_state(*encoder.to_state())
    np.testing.assert_array_equal(loaded.encode(column), whole)
    np.testing.assert_array_equal(TextEncoder.fit(column, seed=3).encode(column), whole)
    assert encoder.is_short == (column is SHORT)


@pytest.mark.parametrize("n_rows", [1, 2, 39, 40, 200])
def test_few_rows_get_few_components(n_rows: int) -> None:
    """There is a component for every twenty documents, none for fewer."""
    encoder = TextEncoder.fit(LONG[:n_rows], seed=0)
    assert encoder.components.shape[1] == n_rows // 20
    assert np.isfinite(encoder.encode(LONG)).all()


def test_texts_of_the_same_words_are_alike() -> None:
    """The components of a text and its words in another order are closer than another text's."""
    encoder = TextEncoder.fit(LONG, seed=0)
    words = LONG[0].split()
    texts = pl.Series([LONG[0], " ".join(reversed(words)), LONG[1]])
    vectors = encoder.encode(texts)[:, len(COUNTS) :]
    same, other = (float(np.linalg.norm(vectors[0] - vectors[i])) for i in (1, 2))
    assert same < other / 2


@pytest.mark.parametrize("cells", [[None, None], ["", ""], ["same"] * 50, ["!", "?"] * 30])
def test_texts_without_words_break_nothing(cells: list[str | None]) -> None:
    """Columns that tell no documents apart have their counts and finite components."""
    column = pl.Series("t", cells, dtype=pl.String)
    encoded = TextEncoder.fit(column, seed=0).encode(column)
    assert encoded.shape[0] == len(cells)
    assert np.isfinite(encoded[column.is_not_null().to_numpy()]).all()
