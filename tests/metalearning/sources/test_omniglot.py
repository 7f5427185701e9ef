"""Omniglot from its one file and from its image folders, and how its characters are parted."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from autometa.errors import MetaLearningError
from autometa.metalearning.sources import Omniglot, load_omniglot

ALPHABETS = ("Early", "Latin", "Runes")  # the last one is of the evaluation set
N_CHARACTERS, N_DRAWERS = 6, 4  # two characters to an alphabet


def archive() -> dict[str, Any]:
    """The arrays of a tiny Omniglot: each character's images have a grey of their own."""
    character = np.repeat(np.arange(N_CHARACTERS, dtype=np.uint16), N_DRAWERS)
    grey = (40 * character + 10).astype(np.uint8)
    return {
        "images": np.broadcast_to(grey[:, None, None], (len(grey), 28, 28)),
        "character": character,
        "alphabet": (character // 2).astype(np.uint8),
        "drawer": np.tile(np.arange(1, N_DRAWERS + 1, dtype=np.uint8), N_CHARACTERS),
        "split": (character >= 4).astype(np.uint8),
        "alphabet_names": np.array(ALPHABETS),
    }


def write_archive(path: Path, **changes: Any) -> Path:
    np.savez_compressed(path, **(archive() | changes))
    return path


@pytest.fixture
def omniglot(tmp_path: Path) -> Omniglot:
    return load_omniglot(write_archive(tmp_path / "omniglot.npz"))


def test_archive_is_read(omniglot: Omniglot) -> None:
    """Every array of the archive comes back under its name."""
    written = archive()
    assert len(omniglot) == N_CHARACTERS * N_DRAWERS
    assert omniglot.n_characters == N_CHARACTERS
    assert omniglot.images.dtype == np.uint8
    assert omniglot.alphabet_names == ALPHABETS
    for read, name in (
        (omniglot.images, "images"),
        (omniglot.characters, "character"),
        (omniglot.alphabets, "alphabet"),
        (omniglot.drawers, "drawer"),
        (omniglot.split, "split"),
    ):
        np.testing.assert_array_equal(read, written[name])


def test_official_split_shares_no_alphabet(tmp_path: Path) -> None:
    """Background and evaluation divide the drawings by alphabet, each with its own rows."""
    each = np.arange(N_CHARACTERS * N_DRAWERS)  # a number of its own tells each drawing
    omniglot = load_omniglot(write_archive(tmp_path / "omniglot.npz", drawer=each))
    background, evaluation = omniglot.by_alphabet()
    assert [*background.drawers, *evaluation.drawers] == each.tolist()
    assert set(background.alphabets) == {0, 1}
    assert set(evaluation.alphabets) == {2}
    for part in (background, evaluation):
        assert (part.images[:, 0, 0] == 40 * part.characters + 10).all()
        np.testing.assert_array_equal(part.characters, part.drawers // N_DRAWERS)


def test_split_by_character_is_random_and_repeatable(omniglot: Omniglot) -> None:
    """A seed decides which characters go where, and none stands on both sides."""
    chosen: set[frozenset[int]] = set()
    for seed in range(20):
        first, other = omniglot.by_character(4, seed)
        assert (first.n_characters, other.n_characters) == (4, 2)
        assert set(first.characters) | set(other.characters) == set(range(N_CHARACTERS))
        np.testing.assert_array_equal(
            first.characters, omniglot.by_character(4, seed)[0].characters
        )
        chosen.add(frozenset(first.characters.tolist()))
    assert len(chosen) > 5


def test_papers_split_has_the_papers_sizes() -> None:
    """Of all 1,623 characters, 1,200 are for training and 423 for testing, alphabets mixed."""
    characters = np.arange(1_623)
    whole = Omniglot(
        np.zeros((1_623, 28, 28), np.uint8),
        characters,
        characters % 50,
        np.ones_like(characters),
        (characters % 50 >= 30).astype(np.int64),
        tuple(map(str, range(50))),
    )
    train, test = whole.papers_split(0)
    assert (train.n_characters, test.n_characters) == (1_200, 423)
    assert set(train.split) == set(test.split) == {0, 1}


def test_episodes_are_scaled_images_with_a_channel(omniglot: Omniglot) -> None:
    """Tasks have inputs (T, N, 1, 28, 28) in [0, 1] and one character to a target."""
    source = omniglot.background().episodes(3, 1, 2, rotations=False)
    (batch,) = source.draw(5, np.random.default_rng(0))
    assert source.n_classes == 4
    assert batch.support.inputs.shape == (5, 3, 1, 28, 28)
    assert batch.query.inputs.shape == (5, 6, 1, 28, 28)
    assert batch.query.inputs.dtype == torch.float32
    greys = batch.support.inputs[:, :, 0, 0, 0]
    np.testing.assert_allclose(
        batch.query.inputs[:, :, 0, 0, 0], greys.repeat_interleave(2, dim=1)
    )
    assert set((greys * 255).round().int().reshape(-1).tolist()) == {10, 50, 90, 130}


def test_rotations_make_four_classes_of_one(omniglot: Omniglot) -> None:
    """Quarter turns are on unless they are refused."""
    assert omniglot.episodes(2, 1, 1).n_classes == 4 * N_CHARACTERS
    assert omniglot.episodes(2, 1, 1, rotations=False).n_classes == N_CHARACTERS


def write_folders(path: Path) -> None:
    """Black strokes on white, as 1-bit PNGs of 105 pixels: characters differ in the stroke."""
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    for character in range(N_CHARACTERS):
        part = "images_evaluation" if character >= 4 else "images_background"
        folder = path / part / ALPHABETS[character // 2] / f"character{character % 2 + 1:02}"
        folder.mkdir(parents=True)
        (folder / "._0001_01.png").write_bytes(b"what a Mac leaves in an archive")
        for drawer in range(1, N_DRAWERS + 1):
            paper = np.full((105, 105), 255, np.uint8)
            paper[15 * character : 15 * character + 15, 30:75] = 0
            name = f"{character + 1:04}_{drawer:02}.png"
            image.fromarray(paper).convert("1").save(folder / name)


def test_image_folders_are_read(tmp_path: Path) -> None:
    """The official folders give the archive's columns, and ink is 255 where the stroke was."""
    write_folders(tmp_path)
    (tmp_path / "images_background" / "readme.txt").write_text("not an alphabet")
    read, expected = load_omniglot(str(tmp_path)), archive()
    assert read.alphabet_names == ALPHABETS
    np.testing.assert_array_equal(read.characters, expected["character"])
    np.testing.assert_array_equal(read.alphabets, expected["alphabet"])
    np.testing.assert_array_equal(read.drawers, expected["drawer"])
    np.testing.assert_array_equal(read.split, expected["split"])
    assert read.images.shape == (N_CHARACTERS * N_DRAWERS, 28, 28)
    assert read.images.dtype == np.uint8
    for character in range(N_CHARACTERS):
        image = read.images[N_DRAWERS * character]
        assert image[4 * character + 1 : 4 * character + 3, 9:19].min() > 200  # 15 / 105 * 28 = 4
        assert image[(4 * character + 14) % 28].max() < 50
        # shrinking keeps the ink's share of the paper
        assert image.mean() / 255 == pytest.approx(15 * 45 / 105**2, rel=0.1)


def test_one_part_alone_is_read(tmp_path: Path) -> None:
    """With one of the two folders its drawings are there, and the other part is an error."""
    write_folders(tmp_path)
    (tmp_path / "images_background").rename(tmp_path / "elsewhere")
    read = load_omniglot(tmp_path)
    assert read.n_characters == 2
    assert len(read.evaluation()) == 2 * N_DRAWERS
    with pytest.raises(MetaLearningError, match="no drawings of the background set"):
        read.background()


def test_missing_pillow_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Pillow, image folders say what to install."""
    monkeypatch.setitem(sys.modules, "PIL.Image", None)  # as Python marks what cannot be imported
    with pytest.raises(MetaLearningError, match="pip install pillow"):
        load_omniglot(tmp_path)


def test_damaged_folders_say_where(tmp_path: Path) -> None:
    """An empty folder, an unknown file name and a broken image each name the path."""
    with pytest.raises(MetaLearningError, match="holds no drawings"):
        load_omniglot(tmp_path)
    write_folders(tmp_path)
    folder = tmp_path / "images_background" / "Early" / "character01"
    (folder / "0001_02.png").write_bytes(b"no image")
    with pytest.raises(MetaLearningError, match=r"0001_02\.png cannot be read"):
        load_omniglot(tmp_path)
    (folder / "0001_02.png").rename(folder / "copy.png")
    (folder / "0001_01.png").replace(folder / "copy.png")
    with pytest.raises(MetaLearningError, match=r"copy\.png is not named like"):
        load_omniglot(tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"images": np.zeros((24, 28, 28), np.float32)},
        {"images": np.zeros((24, 784), np.uint8)},
        {"images": np.zeros((23, 28, 28), np.uint8)},
        {"drawer": np.zeros((24, 1), np.uint8)},
    ],
    ids=["floats", "flat", "one short", "column"],
)
def test_wrong_arrays_are_refused(tmp_path: Path, changes: dict[str, NDArray[Any]]) -> None:
    """An archive whose arrays are not Omniglot's says what they must be."""
    with pytest.raises(MetaLearningError, match="images must be"):
        load_omniglot(write_archive(tmp_path / "omniglot.npz", **changes))


def test_unreadable_files_are_refused(tmp_path: Path) -> None:
    """No file, no archive, a cut archive, a missing array and pickled objects are all told."""
    with pytest.raises(MetaLearningError, match="does not exist"):
        load_omniglot(tmp_path / "omniglot.npz")
    text, cut, lacking, pickled = (
        tmp_path / f"{name}.npz" for name in ("text", "cut", "lacking", "pickled")
    )
    text.write_text("hello")
    cut.write_bytes(write_archive(tmp_path / "whole.npz").read_bytes()[:-30])
    arrays = archive()
    del arrays["drawer"]
    np.savez(lacking, allow_pickle=False, **arrays)
    write_archive(pickled, character=np.array([None] * 24, dtype=object))
    for path in (text, cut, lacking, pickled):
        with pytest.raises(MetaLearningError, match=r"give an \.npz with images, character"):
            load_omniglot(path)


@pytest.mark.parametrize("n_first", [0, -1, 6, 1_200])
def test_impossible_split_is_refused(omniglot: Omniglot, n_first: int) -> None:
    """A split that leaves one side without characters says which numbers are possible."""
    with pytest.raises(MetaLearningError, match="give a number from 1 to 5"):
        omniglot.by_character(n_first, 0)
