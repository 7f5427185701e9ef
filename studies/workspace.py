"""A study's folder on disk: the table once for all workers, and what finished trials left.

    table/      frame.arrow, target.npy, weights.npy, groups.npy, about.json
    splits/<i>/ fit.npy stop.npy score.npy; <i> is a number, or "final..." for all rows
    folds/<i>/  encoder/ and the fold's encoded rows, written by the first worker that needs them
                and memory-mapped by all
    trials/<n>/ prediction.npy (out-of-fold, of the scored rows) and <i>/, the model of each fold

Everything is written to a temporary name first and then renamed, so that a process killed at any
moment leaves nothing half-written. Nothing here is read back with pickle.

Axes: N rows, S scored rows, K outputs.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from autometa.metrics import Metric, find_metric
from autometa.tables._base import Features, Kind, Sample, Target, TaskKind
from autometa.tables.features import FeatureEncoder
from autometa.tables.splits import Split, SplitPlan, final_split
from autometa.tables.table import Table

_PARTS = ("fit", "stop", "score")
FINALS = ("final", "final_2")
"""The folds that train on all rows and score none; each stops on others."""


@dataclass(frozen=True, slots=True)
class Fold:
    """One split, encoded: rows to fit on, stop on and score; the encoder saw the first two."""

    fit: Sample
    stop: Sample | None
    score: Sample
    score_rows: NDArray[np.int64]


class Workspace:
    """Reads and writes one study's folder. Cheap to open; what it reads it keeps."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._folds: dict[str, Fold] = {}

    @classmethod
    def create(
        cls, folder: Path, table: Table, plan: SplitPlan, metric: Metric, seed: int
    ) -> Workspace:
        """Lay out the folder for `table`; a folder that is already laid out is kept as it is."""
        workspace = cls(folder)
        if not workspace.is_laid_out:
            folder.mkdir(parents=True, exist_ok=True)
            named = {str(i): split for i, split in enumerate(plan.splits)}
            named |= {name: final_split(table, seed=seed, draw=i) for i, name in enumerate(FINALS)}
            for name, split in named.items():
                write_folder(folder / "splits" / name, partial(_write_split, split=split))
            write_folder(folder / "table", lambda to: _write_table(to, table, metric, seed))
        return workspace

    @property
    def is_laid_out(self) -> bool:
        """Whether the folder holds a table."""
        return (self.folder / "table" / "about.json").exists()

    @cached_property
    def _about(self) -> dict[str, object]:
        about: dict[str, object] = json.loads((self.folder / "table" / "about.json").read_text())
        return about

    @cached_property
    def target_info(self) -> Target:
        """What is predicted."""
        about = self._about["target"]
        assert isinstance(about, dict)  # noqa: S101  written by _write_table
        return Target(about["name"], TaskKind(about["kind"]), tuple(about["classes"]))

    @cached_property
    def metric(self) -> Metric:
        """The study's metric."""
        return find_metric(str(self._about["metric"]), self.target_info.kind)

    @cached_property
    def seed(self) -> int:
        """The study's seed."""
        return int(str(self._about["seed"]))

    @cached_property
    def kinds(self) -> dict[str, Kind]:
        """The kind of each used column."""
        about = self._about["kinds"]
        assert isinstance(about, dict)  # noqa: S101  written by _write_table
        return {name: Kind(kind) for name, kind in about.items()}

    def frame(self) -> pl.DataFrame:
        """The used columns of all N rows; read anew at each call, and kept by nobody."""
        return pl.read_ipc(self.folder / "table" / "frame.arrow")

    @cached_property
    def target(self) -> NDArray[np.int64] | NDArray[np.float64]:
        """(N,) class codes or values."""
        target: NDArray[np.int64] | NDArray[np.float64] = np.load(
            self.folder / "table" / "target.npy", mmap_mode="r"
        )
        return target

    @cached_property
    def weights(self) -> NDArray[np.float64] | None:
        """(N,) row weights, if there are any."""
        path = self.folder / "table" / "weights.npy"
        return np.load(path, mmap_mode="r") if path.exists() else None

    @cached_property
    def splits(self) -> tuple[Split, ...]:
        """The plan's splits, in order."""
        names = [
            path.name for path in (self.folder / "splits").iterdir() if path.name not in FINALS
        ]
        return tuple(self._split(name) for name in sorted(names, key=int))

    def _split(self, name: str) -> Split:
        folder = self.folder / "splits" / name
        return Split(**{part: np.load(folder / f"{part}.npy") for part in _PARTS})

    @cached_property
    def scored_rows(self) -> NDArray[np.int64]:
        """(S,) the rows that some split scores, ascending."""
        return np.unique(np.concatenate([split.score for split in self.splits]))

    def scored_target(
        self,
    ) -> tuple[NDArray[np.int64] | NDArray[np.float64], NDArray[np.float64] | None]:
        """Target and weights of the scored rows."""
        weights = None if self.weights is None else self.weights[self.scored_rows]
        return self.target[self.scored_rows], weights

    def scored_groups(self) -> NDArray[np.int64] | None:
        """(S,) the groups of the scored rows, if rows come in groups."""
        path = self.folder / "table" / "groups.npy"
        return np.load(path)[self.scored_rows] if path.exists() else None

    def encoder_folder(self, fold: int | str) -> Path:
        """Where the encoder of a fold lies."""
        return self.folder / "folds" / str(fold) / "encoder"

    def trial_folder(self, number: int) -> Path:
        """Where a finished trial's predictions and models lie."""
        return self.folder / "trials" / str(number)

    def has_trial(self, number: int) -> bool:
        """Whether a trial left its predictions and models."""
        return (self.trial_folder(number) / "prediction.npy").exists()

    def prediction(self, number: int) -> NDArray[np.float64]:
        """The out-of-fold predictions of a trial: (S, K) or (S,)."""
        stored = np.load(self.trial_folder(number) / "prediction.npy")
        return np.asarray(stored, dtype=np.float64)

    def clear_unknown(self, known: Collection[int]) -> None:
        """Delete what trials left that never got recorded: they were in flight in a killed run."""
        for folder in (self.folder / "trials").glob("*"):
            if not (folder.name.isdecimal() and int(folder.name) in known):
                shutil.rmtree(folder, ignore_errors=True)

    def fold(self, index: int | str) -> Fold:
        """A fold's encoded rows; encoded once for all processes, then memory-mapped."""
        name = str(index)
        if name not in self._folds:
            folder = self.folder / "folds" / name
            if not folder.exists():
                write_folder(folder, lambda to: self._encode(name, to))
            self._folds[name] = self._open_fold(name, folder)
        return self._folds[name]

    def _encode(self, name: str, folder: Path) -> None:
        split = self._split(name)
        training = np.concatenate([split.fit, split.stop])
        frame = self.frame()
        encoder = FeatureEncoder.fit(frame[training], self.kinds, seed=self.seed)
        (folder / "encoder").mkdir()
        encoder.save(folder / "encoder")
        features = encoder.transform(frame[np.concatenate([training, split.score])])
        np.save(folder / "numbers.npy", features.numbers)
        np.save(folder / "codes.npy", features.codes)
        names = {
            "n_levels": features.n_levels,
            "number_names": features.number_names,
            "code_names": features.code_names,
            "level_marks": features.level_marks,
        }
        (folder / "names.json").write_text(json.dumps(names))

    def _open_fold(self, name: str, folder: Path) -> Fold:
        names = json.loads((folder / "names.json").read_text())
        numbers = _open_array(folder / "numbers.npy")
        codes = _open_array(folder / "codes.npy")
        split = self._split(name)
        begins = np.cumsum([0, len(split.fit), len(split.stop), len(split.score)])

        def sample(part: int, rows: NDArray[np.int64]) -> Sample:
            span = slice(begins[part], begins[part + 1])
            features = Features(
                numbers[span],
                codes[span],
                tuple(names["n_levels"]),
                tuple(names["number_names"]),
                tuple(names["code_names"]),
                tuple(tuple(marks) for marks in names.get("level_marks", ())),
            )
            weights = None if self.weights is None else np.asarray(self.weights[rows])
            return Sample(features, self.target[rows], weights)

        stop = sample(1, split.stop) if len(split.stop) else None
        return Fold(sample(0, split.fit), stop, sample(2, split.score), split.score)


def write_folder(folder: Path, fill: Callable[[Path], None]) -> None:
    """Make `folder` appear whole, or not at all; whoever comes first wins."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        fill(temporary)
        os.replace(temporary, folder)
    except OSError:
        if not folder.exists():
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _open_array(path: Path) -> NDArray[Any]:
    """Memory-map an array; an empty one cannot be mapped and is read."""
    array: NDArray[Any]
    try:
        array = np.load(path, mmap_mode="r")
    except ValueError:
        array = np.load(path)
    return array


def _write_split(folder: Path, *, split: Split) -> None:
    for part in _PARTS:
        np.save(folder / f"{part}.npy", getattr(split, part))


def _write_table(folder: Path, table: Table, metric: Metric, seed: int) -> None:
    table.frame.write_ipc(folder / "frame.arrow", compression="uncompressed")
    np.save(folder / "target.npy", table.target)
    if table.weights is not None:
        np.save(folder / "weights.npy", table.weights)
    if table.groups is not None:
        np.save(folder / "groups.npy", table.groups)
    target = table.schema.target
    about = {
        "target": {"name": target.name, "kind": target.kind.value, "classes": target.classes},
        "kinds": {column.name: column.kind.value for column in table.schema.used},
        "metric": metric.name,
        "seed": seed,
    }
    (folder / "about.json").write_text(json.dumps(about))
