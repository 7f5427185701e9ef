"""Omniglot: 1,623 handwritten characters of 50 alphabets, each drawn by 20 people.

Lake et al. 2015, "Human-level concept learning through probabilistic program induction". Nothing
is downloaded: the official images lie at https://github.com/brendenlake/omniglot.

Axes: M drawings.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from autometa.errors import MetaLearningError
from autometa.metalearning.sources.episodes import Episodes, QuarterTurns

BACKGROUND, EVALUATION = 0, 1  # what `split` holds
_FOLDERS = {"images_background": BACKGROUND, "images_evaluation": EVALUATION}
_SIZE = 28  # pixels: what all papers shrink the official 105 to
_KEYS = ("images", "character", "alphabet", "drawer", "split", "alphabet_names")


@dataclass(frozen=True, slots=True, eq=False)
class Omniglot:
    """Drawings, or some of them: `images` (M, 28, 28) uint8 with ink = 255, all else (M,).

    `characters` count through all alphabets; `alphabets` are places in `alphabet_names`; `split`
    is 0 for the background and 1 for the evaluation alphabets.
    """

    images: NDArray[np.uint8]
    characters: NDArray[np.int64]
    alphabets: NDArray[np.int64]
    drawers: NDArray[np.int64]
    split: NDArray[np.int64]
    alphabet_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.images)

    @property
    def n_characters(self) -> int:
        """The number of different characters among these drawings."""
        return len(np.unique(self.characters))

    def background(self) -> Omniglot:
        """The drawings of the official training alphabets: 964 characters of 30."""
        return self._of(self.split == BACKGROUND, "background")

    def evaluation(self) -> Omniglot:
        """The drawings of the official test alphabets: 659 characters of 20."""
        return self._of(self.split == EVALUATION, "evaluation")

    def by_alphabet(self) -> tuple[Omniglot, Omniglot]:
        """The official split, in which no alphabet stands on both sides."""
        return self.background(), self.evaluation()

    def papers_split(self, seed: int) -> tuple[Omniglot, Omniglot]:
        """1,200 random characters and the other 423, alphabets mixed, as the papers have it.

        Easier than the official split. Vinyals et al. 2016 (arXiv 1606.04080), section 4.1.1.
        """
        return self.by_character(1_200, seed)

    def by_character(self, n_first: int, seed: int) -> tuple[Omniglot, Omniglot]:
        """`n_first` random characters and the others, such as to hold some out of training."""
        characters = np.unique(self.characters)
        if not 0 < n_first < len(characters):
            raise MetaLearningError(
                f"{n_first} of {len(characters)} characters cannot be split off: give a number "
                f"from 1 to {len(characters) - 1}, or load all of Omniglot's 1,623"
            )
        first = np.random.default_rng(seed).permutation(characters)[:n_first]
        is_first = np.isin(self.characters, first)
        return self._of(is_first, "first"), self._of(~is_first, "other")

    def episodes(
        self,
        n_ways: int,
        n_shots: int,
        n_queries: int,
        rotations: bool = True,
        device: torch.device | str = "cpu",
    ) -> Episodes:
        """Tasks of these characters, inputs (T, N, 1, 28, 28) in [0, 1], drawn on `device`.

        With `rotations`, each quarter turn of a character is a character of its own. All papers
        train so; to test, MAML's code turns characters at random too, Reptile's turns none.
        """
        images = torch.from_numpy(self.images[:, None]).to(device)
        views = QuarterTurns() if rotations else None
        return Episodes(images, self.characters, n_ways, n_shots, n_queries, views)

    def _of(self, is_kept: NDArray[np.bool_], what: str) -> Omniglot:
        if not is_kept.any():
            raise MetaLearningError(
                f"there are no drawings of the {what} set here: load both parts of Omniglot, and "
                "split before any other selection"
            )
        return replace(
            self,
            images=self.images[is_kept],
            characters=self.characters[is_kept],
            alphabets=self.alphabets[is_kept],
            drawers=self.drawers[is_kept],
            split=self.split[is_kept],
        )


def load_omniglot(path: Path | str) -> Omniglot:
    """Read Omniglot from an `.npz`, or from the folder that holds the official image folders.

    The `.npz` holds `images`, `character`, `alphabet`, `drawer`, `split` and `alphabet_names`. The
    folder holds `images_background`, `images_evaluation` or both; reading it takes some seconds
    and needs Pillow. Raises `MetaLearningError`.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        return _from_folders(path)
    if not path.exists():
        raise MetaLearningError(
            f"{path} does not exist: give omniglot.npz, or the folder with images_background and "
            "images_evaluation from https://github.com/brendenlake/omniglot"
        )
    return _from_npz(path)


def _from_npz(path: Path) -> Omniglot:
    try:
        if not zipfile.is_zipfile(path):
            raise zipfile.BadZipFile("not a zip archive")
        with np.load(path, allow_pickle=False) as archive:
            arrays: dict[str, NDArray[Any]] = {name: archive[name] for name in _KEYS}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise MetaLearningError(
            f"{path} cannot be read as Omniglot ({error}): give an .npz with {', '.join(_KEYS)}"
        ) from error
    images, names = arrays["images"], arrays["alphabet_names"]
    per_drawing = [arrays[name] for name in _KEYS[1:5]]
    is_sound = images.ndim == 3 and images.dtype == np.uint8 and len(images) > 0
    if not is_sound or any(column.shape != images.shape[:1] for column in per_drawing):
        raise MetaLearningError(
            f"{path} does not hold Omniglot: images must be (M, 28, 28) bytes and "
            f"{', '.join(_KEYS[1:5])} one number for each"
        )
    columns = np.stack(per_drawing).astype(np.int64)
    return _omniglot(images, columns, [str(name) for name in names])


def _omniglot(
    images: NDArray[np.uint8], columns: NDArray[np.int64], alphabet_names: list[str]
) -> Omniglot:
    """Columns (4, M) in the order of the fields."""
    characters, alphabets, drawers, split = columns
    return Omniglot(images, characters, alphabets, drawers, split, tuple(alphabet_names))


def _from_folders(path: Path) -> Omniglot:
    """The drawings in `part/alphabet/character/NNNN_DD.png`, DD being who drew it."""
    pillow = _pillow()
    images: list[NDArray[np.uint8]] = []
    places: list[tuple[int, int, int, int]] = []
    alphabets: list[str] = []
    n_characters = 0
    for part, alphabet in _alphabets(path):
        alphabets.append(alphabet.name)
        for character in _folders(alphabet):
            for file in sorted(character.glob("[!.]*.png")):
                images.append(_read_drawing(file, pillow))
                at = len(alphabets) - 1
                places.append((n_characters, at, _drawer(file), _FOLDERS[part]))
            n_characters += 1
    if not images:
        raise MetaLearningError(
            f"{path} holds no drawings such as images_background/Latin/character01/0001_01.png: "
            "give the folder with the unpacked images_background and images_evaluation"
        )
    return _omniglot(np.stack(images), np.array(places, np.int64).T, alphabets)


def _alphabets(path: Path) -> Iterator[tuple[str, Path]]:
    """Each alphabet's folder with the part it belongs to, background first."""
    for part in _FOLDERS:
        if (path / part).is_dir():
            for alphabet in _folders(path / part):
                yield part, alphabet


def _folders(path: Path) -> list[Path]:
    return sorted(inner for inner in path.iterdir() if inner.is_dir())


def _drawer(file: Path) -> int:
    _, _, number = file.stem.partition("_")
    if not number.isdecimal():
        raise MetaLearningError(
            f"{file} is not named like Omniglot's drawings, 0001_01.png: move it away"
        )
    return int(number)


def _read_drawing(file: Path, pillow: ModuleType) -> NDArray[np.uint8]:
    """The drawing (28, 28) with ink = 255: the official images are black on white."""
    try:
        with pillow.open(file) as image:
            small = image.convert("L").resize((_SIZE, _SIZE), pillow.Resampling.LANCZOS)
    except OSError as error:
        raise MetaLearningError(
            f"{file} cannot be read as an image ({error}): unpack Omniglot's images again"
        ) from error
    return 255 - np.asarray(small, np.uint8)


def _pillow() -> ModuleType:
    try:
        return import_module("PIL.Image")
    except ImportError as error:
        raise MetaLearningError(
            "reading Omniglot's image folders needs Pillow: `pip install pillow`, or give the .npz"
        ) from error
