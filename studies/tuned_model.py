"""A tuned model in use: rows in; labels, probabilities or values out.

An ensemble's members are each the weighted mean of their folds' models. A fold's encoder is shared
by the members, so rows are encoded once a fold. Models run beside each other in threads, one core
each: the libraries release the interpreter's lock while they predict.

Axes: N rows, K classes (1 for regression).
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from autometa.ensembles.calibration import apply_temperature
from autometa.errors import AutometaError, ModelError
from autometa.learners import find_learner
from autometa.learners._base import Model
from autometa.studies.cores import usable_cores
from autometa.studies.model_archive import pack, unpack
from autometa.studies.model_folder import check_files, check_output, file_names, read_card
from autometa.studies.workspace import write_folder
from autometa.tables._base import Features, TaskKind
from autometa.tables.features import FeatureEncoder
from autometa.tables.preparation import PreparedRows, prepare_like
from autometa.tables.reading import RawTable, ReadOptions, read_table
from autometa.tables.schema import Schema
from autometa.tables.wording import shortened

Floats = NDArray[np.float64]

# encoded cells and outputs held at once: about 128 MB of 4-byte numbers
_MAX_CELLS = 2**25
_LEAST_CHUNK_ROWS = 1000


@dataclass(frozen=True, slots=True)
class FoldModels:
    """The models that see rows through one encoder, each with its share of the vote."""

    encoder: FeatureEncoder
    models: tuple[Model, ...]
    shares: tuple[float, ...]


class TunedModel:
    """A saved model, loaded. `card` says how it came about; `load_model` makes one."""

    def __init__(
        self, card: Mapping[str, Any], folds: Sequence[FoldModels], source: Path | bytes
    ) -> None:
        self.card = card
        self.schema = Schema.from_json(card["schema"])
        self._temperature = float(card["temperature"])
        self._folds = tuple(folds)
        self._source = source
        # made after the models: it finds the libraries that are loaded by then
        self._controller = ThreadpoolController()

    @property
    def kind(self) -> TaskKind:
        """What is predicted."""
        return self.schema.target.kind

    @property
    def classes_(self) -> NDArray[np.object_]:
        """(K,) the labels as written in the data, in the order of the probabilities."""
        return np.array(self.schema.target.classes, dtype=object)

    def predict(self, data: object) -> NDArray[np.object_] | Floats:
        """Labels (N,) as written in the data, or values (N,).

        `data` is whatever `tune` takes; it needs the columns of the training table, not its
        target. Raises `TableError` if a column is missing or of another kind; warns of what was
        odd in reading the rows and of cells that were not understood and count as missing.
        """
        outputs = self.predict_frame(self._typed(data))
        return self._labels(outputs) if self.kind.is_classification else outputs

    def predict_proba(self, data: object) -> Floats:
        """Probabilities (N, K), columns in the order of `classes_`."""
        if not self.kind.is_classification:
            raise ModelError("this model predicts a quantity and has no probabilities: predict it")
        return self.predict_frame(self._typed(data))

    def predict_table(self, data: object) -> pl.DataFrame:
        """A frame with `prediction` and, for classes, `probability_<class>`."""
        return self.tabulate(self.predict_frame(self._typed(data)))

    def tabulate(self, outputs: Floats) -> pl.DataFrame:
        """The frame of `predict_table` for what `predict_frame` returned."""
        if not self.kind.is_classification:
            return pl.DataFrame({"prediction": outputs})
        labels = pl.Series("prediction", self._labels(outputs).tolist(), dtype=pl.String)
        columns = [
            pl.Series(f"probability_{label}", outputs[:, i])
            for i, label in enumerate(self.schema.target.classes)
        ]
        return pl.DataFrame([labels, *columns])

    def prepare(self, data: object, reading: ReadOptions | None = None) -> PreparedRows:
        """Every row of `data`, typed for `predict_frame`, with notes on what was odd in them.

        Raises `TableError` as `predict` does.
        """
        reading = replace(reading or ReadOptions(), keeps_empty_rows=True)
        raw = data if isinstance(data, RawTable) else read_table(data, reading)
        rows = prepare_like(raw, self.schema, needs_target=False)
        return replace(rows, notes=(*rows.notes, *self._notes_on_categories(rows.frame)))

    def predict_frame(self, frame: pl.DataFrame) -> Floats:
        """Probabilities (N, K) or values (N,) of rows that `Schema.conform` has typed."""
        outputs = np.zeros((frame.height, self.schema.target.n_outputs))
        size = self._chunk_rows()
        with self._threads() as threads:
            for start in range(0, frame.height, size):
                self._add_outputs(frame[start : start + size], outputs[start:], threads)
        if not self.kind.is_classification:
            return outputs[:, 0]
        return apply_temperature(outputs, self._temperature)

    def save(self, folder: str | Path) -> None:
        """Write the model folder anew, in a place that holds nothing yet.

        Raises `ModelError` if something is there or the disk does not take it.
        """
        place = Path(folder)
        if place.exists():
            raise ModelError(f"{place} exists already: name a folder that does not")
        check_output(place)
        data = self.to_bytes()
        write_folder(place, lambda temporary: unpack(data, temporary))
        place.chmod((place / "encoders").stat().st_mode & 0o777)  # as the umask has it

    def to_bytes(self) -> bytes:
        """The model folder as one value, for `from_bytes`. Raises `ModelError` if it is gone."""
        return self._source if isinstance(self._source, bytes) else pack(self._source)

    @classmethod
    def from_bytes(cls, data: bytes) -> TunedModel:
        """The model that `to_bytes` packed; executes nothing from it. Raises `ModelError`."""
        with tempfile.TemporaryDirectory(prefix="autometa-") as folder:
            unpack(data, Path(folder))
            return _load(Path(folder), data)

    def __reduce__(self) -> tuple[Callable[[bytes], TunedModel], tuple[bytes]]:
        return TunedModel.from_bytes, (self.to_bytes(),)

    def _typed(self, data: object) -> pl.DataFrame:
        rows = self.prepare(data)
        for note in rows.notes:
            warnings.warn(note, stacklevel=3)
        return rows.frame

    def _notes_on_categories(self, frame: pl.DataFrame) -> tuple[str, ...]:
        """A note on each column of which no cell is known: it is written in another way."""
        levels = dict[str, set[str]]()
        for fold in self._folds:
            for name, encoder in fold.encoder.codes:
                levels.setdefault(name, set()).update(encoder.levels)
        notes: list[str] = []
        for name, known in levels.items():
            found = frame[name].unique().drop_nulls()
            if len(found) and known.isdisjoint(found.to_list()):
                notes.append(
                    f"column {name!r}: no cell is a category that the model knows (one is "
                    f"{shortened(found.min())}), so all count as missing"
                )
        return tuple(notes)

    def _labels(self, probabilities: Floats) -> NDArray[np.object_]:
        labels: NDArray[np.object_] = self.classes_[probabilities.argmax(axis=1)]
        return labels

    @contextmanager
    def _threads(self) -> Generator[ThreadPoolExecutor]:
        """Threads for the models, whose own parallel loops are kept to one core each meanwhile."""

        def limit() -> None:  # OpenMP's limit is a thread's own
            self._controller.limit(limits=1)

        with (
            self._controller.limit(limits=1),
            ThreadPoolExecutor(usable_cores(), initializer=limit) as threads,
        ):
            yield threads

    def _chunk_rows(self) -> int:
        n_columns = len(self.schema.used)
        n_cells = sum(n_columns + 2 * len(fold.models) * self._width for fold in self._folds)
        return max(_MAX_CELLS // max(n_cells, 1), _LEAST_CHUNK_ROWS)

    @property
    def _width(self) -> int:
        return self.schema.target.n_outputs

    def _add_outputs(
        self, frame: pl.DataFrame, totals: Floats, threads: ThreadPoolExecutor
    ) -> None:
        """Add the weighted outputs of all models, in an order that no thread's speed changes."""
        features = list(threads.map(lambda fold: fold.encoder.transform(frame), self._folds))
        calls = [
            (model, share, features[i])
            for i, fold in enumerate(self._folds)
            for model, share in zip(fold.models, fold.shares, strict=True)
        ]
        outputs = threads.map(_predict, [call[0] for call in calls], [call[2] for call in calls])
        for (_, share, _), output in zip(calls, outputs, strict=True):
            totals[: frame.height] += share * output.reshape(frame.height, -1)


def load_model(folder: str | Path) -> TunedModel:
    """Load a model folder that `tune` wrote; executes nothing from it.

    Raises `ModelError` if it is not one, is damaged, or needs a newer autometa.
    """
    return _load(Path(folder), Path(folder).absolute())


def _load(folder: Path, source: Path | bytes) -> TunedModel:
    card = read_card(folder)
    check_files(folder, card)
    try:
        return TunedModel(card, _load_folds(folder, card), source)
    except AutometaError as error:
        raise ModelError(f"the model {folder} cannot be used: {error}") from error
    except (LookupError, TypeError, ValueError, ArithmeticError) as error:
        raise ModelError(
            f"the card of {folder} is damaged ({type(error).__name__}: {error}): copy the model "
            "again or tune anew"
        ) from error


def _load_folds(folder: Path, card: Mapping[str, Any]) -> list[FoldModels]:
    """Every encoder with its models, each loaded in a thread of its own."""
    places = {path.rsplit("/", 1)[0] for path in file_names(card)}
    by_encoder: dict[str, list[tuple[str, str, float]]] = {}
    for member in card["members"]:
        if not member["folds"]:
            raise ValueError(f"the member of trial {member['trial']} has no models")
        for fold in member["folds"]:
            if not {fold["encoder"], fold["model"]} <= places:
                raise ModelError(f"no files are listed for {fold}: copy the model again")
            share = float(member["weight"]) * float(fold["share"])
            entry = (member["learner"], fold["model"], share)
            by_encoder.setdefault(fold["encoder"], []).append(entry)
    learners = {member["learner"]: find_learner(member["learner"]) for member in card["members"]}
    with ThreadPoolExecutor(usable_cores()) as threads:
        encoders = {
            name: threads.submit(FeatureEncoder.load, folder / name) for name in by_encoder
        }
        models = {
            name: [threads.submit(learners[who].load, folder / path) for who, path, _ in entries]
            for name, entries in by_encoder.items()
        }
        return [
            FoldModels(
                encoders[name].result(),
                tuple(future.result() for future in models[name]),
                tuple(share for _, _, share in entries),
            )
            for name, entries in by_encoder.items()
        ]


def _predict(model: Model, features: Features) -> Floats:
    return model.predict(features)
