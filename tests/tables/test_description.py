import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autometa.tables._base import Kind, Target, TaskKind
from autometa.tables.description import describe
from autometa.tables.schema import Column, Schema
from autometa.tables.table import Table

KIND_OF_TYPE: dict[object, Kind] = {
    pl.Float64: Kind.NUMBER,
    pl.Boolean: Kind.BOOLEAN,
    pl.String: Kind.CATEGORY,
    pl.Datetime: Kind.DATE,
}


def make_table(
    columns: dict[str, object], target: np.ndarray, n_classes: int = 0, name: str = "made"
) -> Table:
    frame = pl.DataFrame(columns) if columns else pl.DataFrame({"x": target}).select([])
    used = tuple(
        Column(column.name, KIND_OF_TYPE[column.dtype.base_type()])
        for column in frame.iter_columns()
    )
    kind = TaskKind.REGRESSION
    if n_classes:
        kind = TaskKind.BINARY if n_classes == 2 else TaskKind.MULTICLASS
    info = Target("y", kind, tuple(str(code) for code in range(n_classes)))
    return Table(name, frame, target, Schema(used, info, Column("y", Kind.CATEGORY)))


def mixed(n: int = 300, seed: int = 0, n_classes: int = 3) -> Table:
    rng = np.random.default_rng(seed)
    target = rng.integers(0, n_classes, n)
    informative = [None if at % 7 == 0 else float(target[at] + rng.normal()) for at in range(n)]
    columns: dict[str, object] = {
        "informative": informative,
        "noise": rng.normal(size=n),
        "skewed": np.exp(rng.normal(size=n) * 2),
        "colour": [str(code) if rng.random() < 0.7 else "other" for code in target],
        "flag": rng.random(n) < 0.5,
    }
    return make_table(columns, target, n_classes)


def test_figures_are_what_they_say() -> None:
    """Known facts of a made table are found in its description."""
    found = describe(mixed())
    assert 35 <= len(found) <= 50
    assert found["log_rows"] == pytest.approx(np.log(300))
    assert found["log_columns"] == pytest.approx(np.log(5))
    assert found["share_number"] == pytest.approx(0.6)
    assert found["share_category"] == found["share_boolean"] == pytest.approx(0.2)
    assert found["missing_columns"] == pytest.approx(0.2)
    assert found["missing_max"] == pytest.approx(43 / 300)
    assert found["is_classification"] == 1
    assert found["log_classes"] == pytest.approx(np.log(3))
    assert found["class_entropy"] == pytest.approx(1, abs=0.02)
    assert found["skew_max"] > 0.5
    assert found["number_target_max"] > 0.2
    assert found["category_target_max"] > 0.3
    assert found["log_levels_max"] == pytest.approx(np.log(4))


def test_noise_tells_nothing() -> None:
    """Columns that have nothing to do with the target explain nothing of it."""
    rng = np.random.default_rng(0)
    words = np.array([f"w{at}" for at in range(200)])
    columns: dict[str, object] = {f"x{at}": rng.normal(size=1_000) for at in range(5)}
    columns["c"] = rng.choice(words, 1_000).tolist()
    found = describe(make_table(columns, rng.integers(0, 2, 1_000), 2))
    assert found["number_target_max"] < 0.02
    assert found["category_target_max"] < 0.1
    assert found["correlation_max"] < 0.15


def test_units_do_not_matter() -> None:
    """A number column in another unit leaves the description as it is."""
    table = mixed()
    scaled = table.frame.with_columns(pl.col("noise") * 1_000 + 5)
    other = Table(table.name, scaled, table.target, table.schema)
    assert describe(other) == pytest.approx(describe(table), abs=1e-6)


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 40), st.integers(0, 100), st.sampled_from([0, 2, 5]), st.integers(0, 3))
def test_always_finite_with_the_same_keys(
    n: int, seed: int, n_classes: int, n_columns: int
) -> None:
    """Whatever the table, the keys are the same and every figure is finite."""
    rng = np.random.default_rng(seed)
    target = rng.integers(0, n_classes, n) if n_classes else rng.normal(size=n)
    extremes = [None, 0.0, 1e300, -1e300, 1e-300, 3.0]
    columns: dict[str, object] = {
        "x": pl.Series([extremes[at] for at in rng.integers(0, 6, n)], dtype=pl.Float64),
        "gone": pl.Series([None] * n, dtype=pl.Float64),
        "c": pl.Series([None] * n, dtype=pl.String),
    }
    kept = dict(list(columns.items())[:n_columns])
    found = describe(make_table(kept, target, n_classes))
    assert np.isfinite(list(found.values())).all()
    assert list(found) == list(describe(mixed()))


def test_same_every_time() -> None:
    """50,000 rows of 50 columns, of which a sample is looked at, are described alike each time."""
    rng = np.random.default_rng(0)
    columns: dict[str, object] = {f"x{at}": rng.normal(size=50_000) for at in range(40)}
    columns |= {
        f"c{at}": pl.Series(rng.integers(0, 50, 50_000)).cast(pl.String) for at in range(10)
    }
    table = make_table(columns, rng.integers(0, 2, 50_000), 2)
    assert describe(table) == describe(table)
