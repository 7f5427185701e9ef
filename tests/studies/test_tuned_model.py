"""A loaded model: the mixture it stands for, what it takes, and what it refuses."""

import json
import pickle
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from autometa.ensembles.calibration import apply_temperature
from autometa.errors import ModelError, TableError
from autometa.learners import find_learner
from autometa.studies import tuned_model
from autometa.studies.model_archive import pack, unpack
from autometa.studies.model_folder import CARD, ModelParts, write_model
from autometa.studies.tuned_model import TunedModel, load_model
from autometa.tables._base import TaskKind
from autometa.tables.features import FeatureEncoder
from autometa.tables.reading import RawTable
from tests.studies.saved_models import make_parts
from tests.studies.small_tables import TARGETS, mixed_frame

COLUMNS = ["size", "noise", "colour"]


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ModelParts]:
    place = tmp_path_factory.mktemp("workspaces")
    return {kind: make_parts(place / kind, kind) for kind in TARGETS}


@pytest.fixture(scope="module")
def folders(
    parts: dict[str, ModelParts], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("models")
    for kind, one in parts.items():
        write_model(place / kind, replace(one, temperature=1.0 if kind == "regression" else 1.3))
    return {kind: place / kind for kind in parts}


def _csv(rows: pl.DataFrame, folder: Path) -> Path:
    rows.fill_nan(None).write_csv(folder / "rows.csv")
    return folder / "rows.csv"


def _new_rows(n: int = 50) -> pl.DataFrame:
    return mixed_frame(n, seed=1).select(COLUMNS)


@pytest.mark.parametrize("kind", TARGETS)
def test_a_model_is_the_weighted_mean_of_its_members_folds(
    kind: str, parts: dict[str, ModelParts], folders: dict[str, Path]
) -> None:
    """Predictions are the fitted parts': folds averaged, members weighed, then tempered."""
    model, rows = load_model(folders[kind]), _new_rows()
    typed = parts[kind].schema.conform(rows)
    expected: Any = 0.0
    for member in parts[kind].members:
        learner = find_learner(member.trial.learner)
        folds = [
            learner.load(fold.model).predict(FeatureEncoder.load(fold.encoder).transform(typed))
            for fold in member.folds
        ]
        expected = expected + member.weight * np.mean(folds, axis=0)
    if kind == "regression":
        np.testing.assert_allclose(model.predict(rows), expected, rtol=1e-12)
    else:
        expected = apply_temperature(expected, 1.3)
        np.testing.assert_allclose(model.predict_proba(rows), expected, rtol=1e-12)


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_classes_come_as_they_are_written(kind: str, folders: dict[str, Path]) -> None:
    """Labels are the data's, the most probable one is predicted, probabilities sum to one."""
    model, rows = load_model(folders[kind]), _new_rows()
    probabilities = model.predict_proba(rows)
    written = sorted(mixed_frame()[TARGETS[kind]].unique().to_list())
    assert model.classes_.tolist() == written
    assert model.predict(rows).tolist() == [written[i] for i in probabilities.argmax(axis=1)]
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert model.kind.is_classification


def test_a_table_of_predictions_names_the_classes(folders: dict[str, Path]) -> None:
    """The frame has `prediction` and a probability for each class as written in the data."""
    model, rows = load_model(folders["binary"]), _new_rows()
    table = model.predict_table(rows)
    assert table.columns == ["prediction", "probability_no", "probability_yes"]
    assert table["prediction"].to_list() == model.predict(rows).tolist()
    np.testing.assert_array_equal(table[:, 1:].to_numpy(), model.predict_proba(rows))


def test_quantities_have_no_probabilities(folders: dict[str, Path]) -> None:
    """A regression predicts one number a row and says so when asked for probabilities."""
    model, rows = load_model(folders["regression"]), _new_rows()
    assert model.kind is TaskKind.REGRESSION
    assert model.predict_table(rows).columns == ["prediction"]
    assert model.predict(rows).dtype == np.float64
    with pytest.raises(ModelError, match="no probabilities"):
        model.predict_proba(rows)


@pytest.mark.parametrize(
    "form",
    [
        lambda rows, _: rows.to_pandas(),
        lambda rows, _: rows.to_arrow(),
        lambda rows, _: rows.to_dict(as_series=False),
        lambda rows, _: RawTable(rows, "rows"),
        lambda rows, _: rows.select(reversed(COLUMNS)).with_columns(extra=pl.lit("ignored")),
        _csv,
    ],
    ids=["pandas", "arrow", "columns", "raw", "other order", "csv"],
)
def test_any_table_of_the_same_columns_does(
    form: Callable[[pl.DataFrame, Path], object], folders: dict[str, Path], tmp_path: Path
) -> None:
    """The same rows predict the same, in whatever form and order of columns they come."""
    model, rows = load_model(folders["binary"]), _new_rows()
    expected = model.predict_proba(rows)
    np.testing.assert_allclose(model.predict_proba(form(rows, tmp_path)), expected, rtol=1e-12)


def test_missing_cells_and_unseen_categories_are_fine(folders: dict[str, Path]) -> None:
    """Rows of nothing but missing cells and new categories get finite predictions."""
    rows = pl.DataFrame(
        {"size": [None, 1.0], "noise": [None, float("inf")], "colour": [None, "purple"]}
    )
    for folder in folders.values():
        with pytest.warns(UserWarning, match=r"'colour': no cell is a category that the model"):
            outputs = load_model(folder).predict_table(rows).select(pl.exclude(pl.String))
        assert np.isfinite(outputs.to_numpy()).all()


def test_missing_columns_are_named(folders: dict[str, Path]) -> None:
    """A table without a column that the model needs is refused by that column's name."""
    with pytest.raises(TableError, match="'colour'"):
        load_model(folders["binary"]).predict(_new_rows().drop("colour"))


def test_words_where_numbers_were_are_refused(folders: dict[str, Path]) -> None:
    """A column of another kind is refused with a cell that shows it."""
    rows = _new_rows().with_columns(size=pl.lit("large"))
    with pytest.raises(TableError, match=r"'size'.*large"):
        load_model(folders["binary"]).predict(rows)


def test_a_cell_not_understood_is_warned_of(folders: dict[str, Path]) -> None:
    """A few cells that are no numbers count as missing, and the caller is told."""
    rows = _new_rows().with_columns(pl.col("size").cast(pl.String))
    rows[3, "size"] = "wide"
    with pytest.warns(UserWarning, match=r"'size'.*wide"):
        load_model(folders["binary"]).predict(rows)


def test_rows_without_a_cell_are_predicted_in_their_place(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    """A file's predictions line up with its rows, and what was odd in reading them is said."""
    model, rows = load_model(folders["binary"]), _new_rows(3)
    lines = rows.fill_nan(None).write_csv().splitlines()
    (tmp_path / "gaps.csv").write_text("\n".join([*lines[:2], ",,", "", *lines[2:], ""]))
    with pytest.warns(UserWarning, match="2 empty rows kept"):
        probabilities = model.predict_proba(tmp_path / "gaps.csv")
    assert len(probabilities) == 5
    np.testing.assert_allclose(probabilities[[0, 3, 4]], model.predict_proba(rows), rtol=1e-12)


@pytest.mark.filterwarnings("error")
def test_one_known_category_is_enough(folders: dict[str, Path]) -> None:
    """New categories are no reason to warn where one cell of the column is known, or none is."""
    model = load_model(folders["binary"])
    rows = _new_rows(2)
    model.predict(rows.with_columns(colour=pl.Series(["red", "purple"])))
    model.predict(rows.with_columns(colour=pl.lit(None)))


def test_rows_in_chunks_predict_as_rows_at_once(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Large tables are predicted a part at a time, with the same outcome."""
    rows = _new_rows(70)
    model = load_model(folders["multiclass"])
    at_once = model.predict_proba(rows)
    monkeypatch.setattr(tuned_model, "_MAX_CELLS", 1)
    monkeypatch.setattr(tuned_model, "_LEAST_CHUNK_ROWS", 32)
    np.testing.assert_allclose(model.predict_proba(rows), at_once, rtol=1e-12)
    no_rows = model.predict_frame(model.schema.conform(rows)[:0])
    assert no_rows.shape == (0, 3)


def test_bytes_and_pickles_hold_the_whole_model(folders: dict[str, Path], tmp_path: Path) -> None:
    """A model packed, pickled or saved anew predicts the same, its first folder gone."""
    folder = shutil.copytree(folders["binary"], tmp_path / "m")
    model, rows = load_model(folder), _new_rows()
    expected = model.predict_proba(rows)
    packed, pickled = model.to_bytes(), pickle.dumps(model)
    model.save(tmp_path / "saved")
    shutil.rmtree(folder)
    from_bytes = TunedModel.from_bytes(packed)
    from_bytes.save(tmp_path / "again")
    others = (from_bytes, pickle.loads(pickled), load_model(tmp_path / "saved"))
    for other in (*others, load_model(tmp_path / "again")):
        np.testing.assert_array_equal(other.predict_proba(rows), expected)
    assert from_bytes.to_bytes() == packed
    with pytest.raises(ModelError, match="cannot be read"):
        model.to_bytes()


def test_saving_overwrites_nothing(folders: dict[str, Path], tmp_path: Path) -> None:
    """A place that exists is refused."""
    with pytest.raises(ModelError, match="exists already"):
        load_model(folders["binary"]).save(tmp_path)


def test_bytes_that_are_no_model_are_refused(tmp_path: Path) -> None:
    """Bytes of anything else end in one line."""
    with pytest.raises(ModelError, match="no packed model"):
        TunedModel.from_bytes(b"PK junk")


def test_an_archive_unpacks_only_files_that_the_card_lists(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    """A card that lists a name outside the folder is refused before anything lies there."""
    folder = shutil.copytree(folders["binary"], tmp_path / "m")
    card = json.loads((folder / CARD).read_text())
    data = pack(folder).replace(b"leaderboard.csv", b"../derboard.csv")
    assert "leaderboard.csv" in card["files"]
    with pytest.raises(ModelError, match=r"no file of a model|no packed model"):
        unpack(data, tmp_path / "out")
    assert not (tmp_path / "derboard.csv").exists()


def _one_file(folder: Path) -> Path:
    return next(iter(sorted((folder / "members" / "0" / "0").glob("*.safetensors"))))


def _edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    card = json.loads((folder / CARD).read_text())
    change(card)
    (folder / CARD).write_text(json.dumps(card))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda m: _one_file(m).unlink(), "is missing"),
        (lambda m: _one_file(m).write_bytes(_one_file(m).read_bytes()[:-1]), "is damaged"),
        (lambda m: _one_file(m).write_bytes(_one_file(m).read_bytes()[:-1] + b"~"), "is damaged"),
        (lambda m: (m / "encoders" / "0" / "features.json").write_text("{}"), "is damaged"),
        (lambda m: _edit(m, lambda c: c.pop("members")), "members"),
        (lambda m: _edit(m, lambda c: c.pop("schema")), "schema"),
        (lambda m: _edit(m, lambda c: c.pop("files")), "lists no files"),
        (lambda m: _edit(m, lambda c: c["schema"].pop("target")), "target"),
        (lambda m: _edit(m, lambda c: c.update(temperature="warm")), "temperature|warm"),
        (lambda m: _edit(m, lambda c: c["members"][0].update(learner="magic")), "magic"),
        (lambda m: _edit(m, lambda c: c["members"][0].update(folds=[])), "damaged"),
        (
            lambda m: _edit(m, lambda c: c["members"][0]["folds"][0].update(model="../elsewhere")),
            "no files are listed",
        ),
    ],
)
def test_a_damaged_model_is_refused_in_one_line(
    damage: Callable[[Path], object], message: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    """Files missing, cut or changed, and cards that do not hold together, are told apart."""
    folder = shutil.copytree(folders["binary"], tmp_path / "m")
    damage(folder)
    with pytest.raises(ModelError, match=message) as refused:
        load_model(folder)
    assert "\n" not in str(refused.value)
