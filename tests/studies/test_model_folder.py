"""A model folder: written whole or not at all, never over anything else, checked when read."""

import csv
import json
import os
import stat
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from autometa.errors import ModelError
from autometa.studies.model_folder import (
    CARD,
    ModelParts,
    check_files,
    check_output,
    is_model,
    read_card,
    table_of_model,
    write_model,
)
from tests.studies.saved_models import make_parts


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> ModelParts:
    return make_parts(tmp_path_factory.mktemp("workspace") / "w", "binary")


def _tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its content."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_card_says_what_the_model_is(parts: ModelParts, tmp_path: Path) -> None:
    """The card holds schema, members with weights and places, versions, and what was given."""
    write_model(tmp_path / "m", parts)
    card = read_card(tmp_path / "m")
    assert card["schema"] == json.loads(json.dumps(parts.schema.to_json()))
    assert [member["learner"] for member in card["members"]] == ["linear", "forests"]
    assert sum(member["weight"] for member in card["members"]) == pytest.approx(1)
    assert card["metric"] == "log_loss"
    assert {"numpy", "torch"} <= set(card["libraries"])
    assert card["created_at"].endswith("+00:00")


def test_encoders_are_shared_by_members(parts: ModelParts, tmp_path: Path) -> None:
    """Each fold's encoder is there once, however many members use it."""
    write_model(tmp_path / "m", parts)
    n_folds = len(parts.members[0].folds)
    assert len(list((tmp_path / "m" / "encoders").iterdir())) == n_folds
    assert len(list((tmp_path / "m" / "members" / "1").iterdir())) == n_folds


def test_the_folder_holds_plain_files_only(parts: ModelParts, tmp_path: Path) -> None:
    """No file is of a kind whose loading runs code."""
    write_model(tmp_path / "m", parts)
    kinds = {path.suffix for path in (tmp_path / "m").rglob("*") if path.is_file()}
    assert kinds <= {".json", ".csv", ".safetensors", ".txt", ".npy", ".cbm"}
    assert not any(data.startswith(b"\x80") for data in _tree(tmp_path / "m").values())


def test_every_file_has_its_digest(parts: ModelParts, tmp_path: Path) -> None:
    """The card names every file but itself, and an untouched folder passes the check."""
    write_model(tmp_path / "m", parts)
    card = read_card(tmp_path / "m")
    assert set(card["files"]) | {CARD} == set(_tree(tmp_path / "m"))
    check_files(tmp_path / "m", card)


def test_the_leaderboard_lists_trials_best_first(parts: ModelParts, tmp_path: Path) -> None:
    """leaderboard.csv has a line a trial, by loss, settings as JSON, those without a loss last."""
    failed = replace(parts.trials[0], number=9, loss=None, error="broken, as planned")
    write_model(tmp_path / "m", replace(parts, trials=(failed, *parts.trials)))
    with (tmp_path / "m" / "leaderboard.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    losses = [float(line["loss"]) for line in lines[:-1]]
    assert losses == sorted(losses)
    assert lines[-1]["error"] == "broken, as planned"
    assert json.loads(lines[0]["config"]) in [dict(trial.config) for trial in parts.trials]


def test_values_that_json_lacks_become_null(parts: ModelParts, tmp_path: Path) -> None:
    """A score that is not finite is null in the card, which any JSON reader can read."""
    card = {"scores": {"test": float("nan"), "best": [float("inf"), 1.0]}}
    write_model(tmp_path / "m", replace(parts, card=card))
    text = (tmp_path / "m" / CARD).read_text()
    scores: Any = json.loads(text, parse_constant=pytest.fail)["scores"]
    assert scores == {"test": None, "best": [None, 1.0]}


def test_an_earlier_model_is_replaced(parts: ModelParts, tmp_path: Path) -> None:
    """Writing over a model leaves the new one and nothing else beside it."""
    write_model(tmp_path / "m", parts)
    (tmp_path / "m" / "stray").write_text("x")
    write_model(tmp_path / "m", replace(parts, card={"seed": 7}))
    assert read_card(tmp_path / "m")["seed"] == 7
    assert not (tmp_path / "m" / "stray").exists()
    assert os.listdir(tmp_path) == ["m"]


def test_a_link_to_a_model_stays_a_link(parts: ModelParts, tmp_path: Path) -> None:
    """Writing through a link replaces the model it leads to."""
    write_model(tmp_path / "real", parts)
    (tmp_path / "link").symlink_to("real")
    write_model(tmp_path / "link", replace(parts, card={"seed": 7}))
    assert (tmp_path / "link").is_symlink()
    assert read_card(tmp_path / "real")["seed"] == 7


def test_an_empty_folder_and_missing_parents_are_fine(parts: ModelParts, tmp_path: Path) -> None:
    """A model goes into an empty folder, and makes the folders above it."""
    (tmp_path / "empty").mkdir()
    for place in (tmp_path / "empty", tmp_path / "a" / "b" / "m"):
        check_output(place)
        write_model(place, parts)
        assert is_model(place)


@pytest.mark.parametrize("what", ["file", "full", "foreign card", "below a file", "null"])
def test_anything_else_is_left_alone(what: str, parts: ModelParts, tmp_path: Path) -> None:
    """What is no model is refused in one line, early and late, and stays as it was."""
    place = tmp_path / "m"
    if what == "file":
        place.write_text("mine")
    elif what == "below a file":
        place.write_text("mine")
        place = place / "model"
    elif what == "null":
        place = tmp_path / "a\0b"
    else:
        place.mkdir()
        (place / ("notes.txt" if what == "full" else CARD)).write_text('{"format": 1}')
    before = _tree(tmp_path)
    for write in (partial(check_output, place), partial(write_model, place, parts)):
        with pytest.raises(ModelError, match="--output") as refused:
            write()
        assert "\n" not in str(refused.value)
    assert _tree(tmp_path) == before


def test_checking_the_output_changes_nothing(tmp_path: Path) -> None:
    """The early check leaves no trace, not even the folders above."""
    check_output(tmp_path / "a" / "m")
    assert not list(tmp_path.iterdir())


def test_a_failure_while_writing_leaves_the_old_model(parts: ModelParts, tmp_path: Path) -> None:
    """When a part cannot be copied the earlier model is whole and nothing lies beside it."""
    write_model(tmp_path / "m", parts)
    before = _tree(tmp_path)
    lost = replace(parts.members[1].folds[0], model=tmp_path / "lost")
    broken = replace(parts.members[1], folds=(lost, *parts.members[1].folds[1:]))
    with pytest.raises(ModelError, match="cannot write"):
        write_model(tmp_path / "m", replace(parts, members=(parts.members[0], broken)))
    assert _tree(tmp_path) == before
    assert os.listdir(tmp_path) == ["m"]


@pytest.mark.skipif(sys.platform == "win32", reason="no umask there")
def test_others_may_read_the_model_as_the_umask_says(parts: ModelParts, tmp_path: Path) -> None:
    """Folders and files have the modes of any new ones, whatever modes the libraries gave them."""
    fold = parts.members[0].folds[0]
    for path in (*fold.model.iterdir(), *fold.encoder.iterdir()):
        path.chmod(0o600)
    write_model(tmp_path / "m", parts)
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "file").touch()
    modes = {
        path.is_dir(): stat.S_IMODE(path.stat().st_mode)
        for path in (tmp_path / "plain", tmp_path / "plain" / "file")
    }
    written = [tmp_path / "m", *(tmp_path / "m").rglob("*")]
    assert {(path.is_dir(), stat.S_IMODE(path.stat().st_mode)) for path in written} == set(
        modes.items()
    )


def test_whose_model_lies_in_a_folder_can_be_told(parts: ModelParts, tmp_path: Path) -> None:
    """A model of another table is named; of the same one, or where there is none, nothing is."""
    place = tmp_path / "model"
    assert table_of_model(place, "1234") is None
    table = {"name": "sales", "n_rows": 70, "fingerprint": "1234"}
    write_model(place, replace(parts, card={"table": table}))
    assert table_of_model(place, "1234") is None
    assert table_of_model(place, "5678") == "sales, 70 rows"


def _break(folder: Path, how: str) -> None:
    card: dict[str, Any] = json.loads((folder / CARD).read_text())
    if how == "no card":
        (folder / CARD).unlink()
    elif how == "no json":
        (folder / CARD).write_text((folder / CARD).read_text()[:100])
    elif how == "a list":
        (folder / CARD).write_text("[]")
    else:
        (folder / CARD).write_text(json.dumps(card | {"format": 2, "autometa": "9.9"}))


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("no card", "card.json"),
        ("no json", "damaged"),
        ("a list", "not an autometa model"),
        ("newer", r"9\.9.*upgrade"),
    ],
)
def test_a_card_that_cannot_be_used_is_named(
    how: str, message: str, parts: ModelParts, tmp_path: Path
) -> None:
    """Each fault of a card is told in one line that says what to do."""
    write_model(tmp_path / "m", parts)
    _break(tmp_path / "m", how)
    with pytest.raises(ModelError, match=message) as refused:
        read_card(tmp_path / "m")
    assert "\n" not in str(refused.value)


def test_a_place_that_is_no_folder_is_named(tmp_path: Path) -> None:
    """Nothing there, or a file there: the message says which."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(ModelError, match="does not exist"):
        read_card(tmp_path / "nowhere")
    with pytest.raises(ModelError, match="not a folder"):
        read_card(tmp_path / "file")


def test_a_card_cannot_lead_out_of_its_folder(parts: ModelParts, tmp_path: Path) -> None:
    """A card that lists a file elsewhere is refused before that file is opened."""
    write_model(tmp_path / "m", parts)
    card = read_card(tmp_path / "m")
    for name in ("../secret", "/etc/passwd", "members/../../x", "a\\b", ""):
        with pytest.raises(ModelError, match="no file of a model"):
            check_files(tmp_path / "m", card | {"files": {name: "0"}})


def test_writing_loads_no_learner_s_library() -> None:
    """The main process writes models without torch, scikit-learn's learners or boosting."""
    code = (
        "import sys, autometa.studies.model_folder;"
        "print([m for m in ('torch', 'lightgbm', 'catboost', 'sklearn') if m in sys.modules])"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == "[]"
