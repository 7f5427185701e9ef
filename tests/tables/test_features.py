import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autometa.errors import ModelError
from autometa.tables._base import Features, Kind
from autometa.tables.features import MAX_LEVELS, FeatureEncoder

KINDS = {
    "size": Kind.NUMBER,
    "is_new": Kind.BOOLEAN,
    "colour": Kind.CATEGORY,
    "seen": Kind.DATE,
    "note": Kind.TEXT,
    "code": Kind.IDENTIFIER,
}
WORDS = ("red", "house", "garden", "small", "sunny", "quiet", "near", "station", "old", "12")


def make_frame(n: int = 200, seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    start = datetime(2020, 1, 1)
    notes = [" ".join(rng.choice(WORDS, 12)) for _ in range(n)]
    return pl.DataFrame(
        {
            "size": [None if at % 7 == 0 else float(rng.normal()) for at in range(n)],
            "is_new": [None if at % 11 == 0 else bool(rng.random() < 0.5) for at in range(n)],
            "colour": [
                None if at % 5 == 0 else str(rng.choice(["r", "g", "b"])) for at in range(n)
            ],
            "seen": [start + timedelta(hours=float(rng.uniform(0, 20_000))) for _ in range(n)],
            "note": [None if at % 9 == 0 else notes[at] for at in range(n)],
        },
        schema={
            "size": pl.Float64,
            "is_new": pl.Boolean,
            "colour": pl.String,
            "seen": pl.Datetime("us"),
            "note": pl.String,
        },
    )


def assert_same(a: Features, b: Features) -> None:
    assert a.numbers.tobytes() == b.numbers.tobytes()
    assert a.codes.tobytes() == b.codes.tobytes()
    assert (a.n_levels, a.number_names, a.code_names) == (b.n_levels, b.number_names, b.code_names)


def test_every_kind_is_encoded() -> None:
    """Each used column becomes float32 numbers or int32 codes of the promised shape."""
    frame = make_frame()
    encoder = FeatureEncoder.fit(frame, KINDS, seed=0)
    features = encoder.transform(frame)
    assert features.numbers.dtype == np.float32
    assert features.codes.dtype == np.int32
    assert features.numbers.shape == (200, len(features.number_names))
    assert features.code_names == ("colour",)
    assert features.n_levels == (3,)
    assert not np.isinf(features.numbers).any()
    assert set(encoder.sources().values()) == set(KINDS) - {"code"}
    missing = np.isnan(features.numbers[:, features.number_names.index("size")])
    assert missing.tolist() == frame["size"].is_null().to_list()
    assert set(np.unique(features.numbers[:, 1][~np.isnan(features.numbers[:, 1])])) == {0, 1}


def test_saved_encoder_gives_the_same_bits(tmp_path: Path) -> None:
    """After saving and loading, rows never seen before are encoded to the same bits."""
    encoder = FeatureEncoder.fit(make_frame(), KINDS, seed=3)
    encoder.save(tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".safetensors"}
    new = make_frame(seed=1)
    assert_same(FeatureEncoder.load(tmp_path).transform(new), encoder.transform(new))


def test_same_seed_same_bits_in_another_process(tmp_path: Path) -> None:
    """The same rows and seed fit the same encoder in another process."""
    frame, folders = make_frame(), [tmp_path / "a", tmp_path / "b"]
    frame.write_parquet(tmp_path / "frame.parquet")
    for folder in folders:
        folder.mkdir()
    FeatureEncoder.fit(frame, KINDS, seed=5).save(folders[0])
    kinds = {name: str(kind) for name, kind in KINDS.items()}
    script = f"""
import pathlib, polars
from autometa.tables._base import Kind
from autometa.tables.features import FeatureEncoder
kinds = {{name: Kind(kind) for name, kind in {kinds!r}.items()}}
frame = polars.read_parquet({str(tmp_path / "frame.parquet")!r})
FeatureEncoder.fit(frame, kinds, seed=5).save(pathlib.Path({str(folders[1])!r}))
"""
    subprocess.run([sys.executable, "-c", script], check=True)
    first, second = (FeatureEncoder.load(folder) for folder in folders)
    assert_same(first.transform(frame), second.transform(frame))


def test_damaged_files_are_model_errors(tmp_path: Path) -> None:
    """A missing or damaged file is reported in words."""
    with pytest.raises(ModelError, match="cannot be read"):
        FeatureEncoder.load(tmp_path)
    FeatureEncoder.fit(make_frame(), KINDS, seed=0).save(tmp_path)
    (tmp_path / "features.safetensors").write_bytes(b"junk")
    with pytest.raises(ModelError, match="cannot be read"):
        FeatureEncoder.load(tmp_path)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.data())
def test_rows_are_encoded_one_by_one(seed: int, data: st.DataObject) -> None:
    """A row's features do not depend on the other rows that are encoded with it."""
    frame = make_frame(60, seed)
    encoder = FeatureEncoder.fit(frame.head(40), KINDS, seed=0)
    rows = data.draw(st.lists(st.integers(0, 59), min_size=1, max_size=20))
    part = encoder.transform(frame[rows])
    assert_same(part, encoder.transform(frame).take(np.array(rows)))


def test_unseen_and_missing_levels_are_code_zero() -> None:
    """Levels are ordered by frequency then name; missing and unseen ones are 0."""
    train = pl.DataFrame({"c": ["b", "a", "a", "c", None, "d", "b"]})
    encoder = FeatureEncoder.fit(train, {"c": Kind.CATEGORY}, seed=0)
    new = pl.DataFrame({"c": ["a", "b", "c", "d", "new", None, ""]})
    features = encoder.transform(new)
    assert features.codes[:, 0].tolist() == [1, 2, 3, 4, 0, 0, 0]
    assert features.n_levels == (4,)


def test_levels_are_capped() -> None:
    """The rarest levels beyond the cap are 0."""
    names = [f"{at:05d}" for at in range(MAX_LEVELS + 5)]
    train = pl.DataFrame({"c": names + names[5:]})
    encoder = FeatureEncoder.fit(train, {"c": Kind.CATEGORY}, seed=0)
    codes = encoder.transform(train.head(6)).codes[:, 0]
    assert codes.tolist() == [0, 0, 0, 0, 0, 1]


@pytest.mark.parametrize("base", [1e9, -1e12, 1.7e15])
def test_float32_loses_nothing_of_large_numbers(base: float) -> None:
    """Numbers that differ little against their size are still told apart in float32."""
    train = pl.DataFrame({"x": base + np.arange(100.0)})
    encoder = FeatureEncoder.fit(train, {"x": Kind.NUMBER}, seed=0)
    numbers = encoder.transform(train).numbers[:, 0]
    np.testing.assert_array_equal(np.diff(numbers), 1)


@given(st.lists(st.one_of(st.none(), st.floats(allow_nan=False)), min_size=1, max_size=50))
def test_any_numbers_are_finite_or_missing(values: list[float | None]) -> None:
    """Whatever the numbers, the features are finite, missing where they are, and in order."""
    train = pl.DataFrame({"x": values}, schema={"x": pl.Float64})
    numbers = FeatureEncoder.fit(train, {"x": Kind.NUMBER}, seed=0).transform(train).numbers[:, 0]
    assert np.isnan(numbers).tolist() == [value is None for value in values]
    assert not np.isinf(numbers).any()
    present = [value for value in values if value is not None]
    in_order = numbers[~np.isnan(numbers)][np.argsort(present)]
    assert (in_order[1:] >= in_order[:-1]).all()


def test_columns_missing_in_training_are_missing() -> None:
    """Columns without a training value encode to missing and break nothing."""
    schema = pl.Schema(
        {
            "x": pl.Float64(),
            "b": pl.Boolean(),
            "c": pl.String(),
            "d": pl.Datetime("us"),
            "t": pl.String(),
        }
    )
    kinds = {"x": Kind.NUMBER, "b": Kind.BOOLEAN, "c": Kind.CATEGORY, "d": Kind.DATE}
    empty = pl.DataFrame({name: [None] * 4 for name in schema}, schema=schema)
    encoder = FeatureEncoder.fit(empty, {**kinds, "t": Kind.TEXT}, seed=0)
    features = encoder.transform(empty)
    assert np.isnan(features.numbers).all()
    assert (features.codes == 0).all()
    full = pl.DataFrame(
        {"x": [1.0], "b": [True], "c": ["a"], "d": [datetime(2020, 1, 1)], "t": ["a b"]},
        schema=schema,
    )
    assert encoder.transform(full).numbers[0, 0] == 1


def test_no_used_columns_and_no_rows() -> None:
    """Without used columns or rows the arrays are empty with the right lengths."""
    frame = make_frame(5)
    features = FeatureEncoder.fit(frame, {"size": Kind.IGNORED}, seed=0).transform(frame)
    assert features.numbers.shape == (5, 0)
    assert features.codes.shape == (5, 0)
    encoder = FeatureEncoder.fit(make_frame(), KINDS, seed=0)
    assert len(encoder.transform(make_frame().head(0))) == 0


def test_date_parts_are_the_calendars() -> None:
    """Dates give days since the first training date and the calendar parts that differ."""
    days = [datetime(2020, 1, 1), datetime(2021, 6, 15), datetime(2022, 12, 31)]
    frame = pl.DataFrame({"d": days}, schema={"d": pl.Datetime("us")})
    encoder = FeatureEncoder.fit(frame, {"d": Kind.DATE}, seed=0)
    features = encoder.transform(frame)
    part = {
        name.removeprefix("d:"): features.numbers[:, at].tolist()
        for at, name in enumerate(features.number_names)
    }
    assert part["elapsed_days"] == [0, 531, 1095]
    assert part["year"] == [2020, 2021, 2022]
    assert part["month"] == [1, 6, 12]
    assert part["day"] == [1, 15, 31]
    assert part["weekday"] == [3, 2, 6]
    assert "hour" not in part
    assert part["year_cos"][0] == pytest.approx(1, abs=0.001)
    assert part["year_cos"][2] == pytest.approx(1, abs=0.001)


def test_texts_are_told_apart_by_their_words() -> None:
    """A linear separator on the components tells two vocabularies apart on new rows."""
    rng = np.random.default_rng(0)
    pools = (["apple", "pear", "plum", "cherry"], ["bolt", "screw", "nail", "hammer"])
    is_tool = rng.integers(0, 2, 400)
    texts = [" ".join(rng.choice(pools[tool], 8)) for tool in is_tool]
    frame = pl.DataFrame({"t": texts})
    encoder = FeatureEncoder.fit(frame.head(200), {"t": Kind.TEXT}, seed=0)
    numbers = encoder.transform(frame).numbers.astype(np.float64)
    inputs = np.column_stack([numbers[:, 3:], np.ones(400)])
    solution = np.linalg.lstsq(inputs[:200], is_tool[:200], rcond=None)[0]
    assert ((inputs[200:] @ solution > 0.5) == is_tool[200:]).mean() > 0.95


def test_saved_texts_hold_no_words(tmp_path: Path) -> None:
    """The words of the training rows are not in the saved files."""
    frame = make_frame()
    FeatureEncoder.fit(frame, {"note": Kind.TEXT}, seed=0).save(tmp_path)
    saved = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert not any(word.encode() in saved for word in ("garden", "station"))


def test_wide_tables_are_encoded() -> None:
    """5,000 columns come out as 5,000 numbers."""
    rng = np.random.default_rng(0)
    frame = pl.DataFrame(rng.normal(size=(500, 5_000)), schema=[f"x{at}" for at in range(5_000)])
    features = FeatureEncoder.fit(
        frame, dict.fromkeys(frame.columns, Kind.NUMBER), seed=0
    ).transform(frame)
    assert features.numbers.shape == (500, 5_000)
