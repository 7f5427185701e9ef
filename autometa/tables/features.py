"""From typed columns to `Features`, the numbers and codes that learners take.

Fitted on training rows only, and never shown a target. What it learned is plain numbers and
strings: `save` writes JSON and safetensors, and loading them executes nothing.

Axes: N rows, D number columns, C category columns.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from autometa.errors import ModelError
from autometa.tables._base import Features, Kind
from autometa.tables.date_parts import DateEncoder
from autometa.tables.texts import TextEncoder

FORMAT = 1
MAX_LEVELS = 10_000  # the rows of a level beyond it are too few to learn from
_MOST_MARKED = 32  # levels of a column that are told from other tables' ones
_JSON_NAME, _ARRAYS_NAME = "features.json", "features.safetensors"
_FLOAT32_MAX = float(np.finfo(np.float32).max)


class ColumnEncoder(Protocol):
    """Turns one column into number columns."""

    @property
    def suffixes(self) -> tuple[str, ...]:
        """What is appended to the column's name, one for each number column made."""
        ...

    def encode(self, column: pl.Series) -> NDArray[np.float64]:
        """The numbers (N, columns made), NaN where missing."""
        ...

    def to_state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """What was learned: a JSON value, and arrays by name."""
        ...


@dataclass(frozen=True, slots=True)
class NumberEncoder:
    """A number less a constant, so that float32 keeps what differs between rows."""

    shift: float = 0.0

    @classmethod
    def fit(cls, column: pl.Series) -> NumberEncoder:
        """Choose the training median as the shift if the spread is small against it."""
        values = _sample(column)
        if not len(values):
            return cls()
        low, median, high = np.quantile(values, [0.05, 0.5, 0.95])
        spread = float(high - low) or float(values.max() - values.min())
        # float32 has 24 bits: above a ratio of 2**8 fewer than 16 would be left for the spread
        is_narrow = abs(median) / 2**8 > spread
        return cls(float(median)) if is_narrow else cls()

    @property
    def suffixes(self) -> tuple[str, ...]:
        """One number column, under the column's own name."""
        return ("",)

    def encode(self, column: pl.Series) -> NDArray[np.float64]:
        """The shifted numbers (N, 1)."""
        values = column.cast(pl.Float64).to_numpy()
        return (values - self.shift if self.shift else values)[:, None]

    def to_state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """The shift."""
        return {"shift": self.shift}, {}

    @classmethod
    def from_state(cls, state: Mapping[str, Any], arrays: Mapping[str, Any]) -> NumberEncoder:
        """What `to_state` gave."""
        del arrays
        return cls(float(state["shift"]))


@dataclass(frozen=True, slots=True)
class LevelEncoder:
    """Levels as codes: 1.. from the most frequent down, 0 for missing or unseen."""

    levels: tuple[str, ...]

    @classmethod
    def fit(cls, column: pl.Series) -> LevelEncoder:
        """Take the levels by falling frequency, then by name."""
        counts = column.drop_nulls().rename("level").value_counts(name="n_rows")
        ordered = counts.sort(["n_rows", "level"], descending=[True, False])
        return cls(tuple(ordered["level"].head(MAX_LEVELS).to_list()))

    @property
    def marks(self) -> tuple[str, ...]:
        """Hashes of the most frequent levels, which tell them from others in any table."""
        return tuple(_mark(level) for level in self.levels[:_MOST_MARKED])

    def encode(self, column: pl.Series) -> NDArray[np.int32]:
        """The codes (N,)."""
        if not self.levels:
            return np.zeros(len(column), np.int32)
        known = column.cast(pl.Enum(self.levels), strict=False).to_physical()
        return (known.cast(pl.Int32) + 1).fill_null(0).to_numpy()


@dataclass(frozen=True, slots=True)
class FeatureEncoder:
    """Every used column's encoder, in the order of the columns."""

    numbers: tuple[tuple[str, ColumnEncoder], ...]
    codes: tuple[tuple[str, LevelEncoder], ...]

    @classmethod
    def fit(
        cls, frame: pl.DataFrame, kinds: Mapping[str, Kind], *, seed: int = 0
    ) -> FeatureEncoder:
        """Learn from the rows of `frame`, whose columns have these kinds; unused ones are left."""
        numbers: list[tuple[str, ColumnEncoder]] = []
        codes: list[tuple[str, LevelEncoder]] = []
        for name, kind in kinds.items():
            if kind is Kind.CATEGORY:
                codes.append((name, LevelEncoder.fit(frame[name])))
            elif kind is Kind.TEXT:
                numbers.append((name, TextEncoder.fit(frame[name], seed=seed)))
            elif kind is Kind.DATE:
                numbers.append((name, DateEncoder.fit(frame[name])))
            elif kind is Kind.NUMBER:
                numbers.append((name, NumberEncoder.fit(frame[name])))
            elif kind is Kind.BOOLEAN:
                numbers.append((name, NumberEncoder()))
        return cls(tuple(numbers), tuple(codes))

    def transform(self, frame: pl.DataFrame) -> Features:
        """Encode the rows of `frame`, which holds at least the columns fitted on."""
        names = [
            column + suffix for column, encoder in self.numbers for suffix in encoder.suffixes
        ]
        numbers = np.empty((frame.height, len(names)), np.float32)
        at = 0
        for column, encoder in self.numbers:
            block = encoder.encode(frame[column])
            numbers[:, at : at + block.shape[1]] = np.clip(block, -_FLOAT32_MAX, _FLOAT32_MAX)
            at += block.shape[1]
        codes = np.empty((frame.height, len(self.codes)), np.int32)
        for at, (column, levels) in enumerate(self.codes):
            codes[:, at] = levels.encode(frame[column])
        return Features(
            numbers,
            codes,
            tuple(len(encoder.levels) for _, encoder in self.codes),
            tuple(names),
            tuple(column for column, _ in self.codes),
            tuple(encoder.marks for _, encoder in self.codes),
        )

    def sources(self) -> dict[str, str]:
        """The column that each number and code column of the features was made from."""
        made = {
            column + suffix: column
            for column, encoder in self.numbers
            for suffix in encoder.suffixes
        }
        return made | {column: column for column, _ in self.codes}

    def save(self, folder: Path) -> None:
        """Write what was learned into `folder`, which exists."""
        states, arrays = list[dict[str, Any]](), dict[str, NDArray[Any]]()
        for at, (column, encoder) in enumerate(self.numbers):
            state, own = encoder.to_state()
            kind = _KIND_OF_ENCODER[type(encoder)]
            states.append({"column": column, "kind": kind, "state": state})
            arrays |= {f"{at}.{name}": array for name, array in own.items()}
        levels = [{"column": column, "levels": encoder.levels} for column, encoder in self.codes]
        card = {"format": FORMAT, "numbers": states, "codes": levels}
        text = json.dumps(card, ensure_ascii=False, allow_nan=False)
        (folder / _JSON_NAME).write_text(text, encoding="utf-8")
        save_file(arrays, folder / _ARRAYS_NAME)

    @classmethod
    def load(cls, folder: Path) -> FeatureEncoder:
        """Read what `save` wrote. Raises `ModelError` if it cannot be read."""
        try:
            card = json.loads((folder / _JSON_NAME).read_text(encoding="utf-8"))
            arrays = load_file(folder / _ARRAYS_NAME)
            if card["format"] != FORMAT:
                raise ModelError(
                    f"{folder / _JSON_NAME} has format {card['format']}, this version reads"
                    f" {FORMAT}: use the version of autometa that wrote it"
                )
            return cls(tuple(_numbers(card, arrays)), tuple(_codes(card)))
        except (OSError, json.JSONDecodeError, KeyError, TypeError, SafetensorError) as error:
            raise ModelError(f"the column encoders in {folder} cannot be read: {error}") from error


_FROM_STATE: dict[str, Callable[[Mapping[str, Any], Mapping[str, Any]], ColumnEncoder]] = {
    "number": NumberEncoder.from_state,
    "date": DateEncoder.from_state,
    "text": TextEncoder.from_state,
}
_KIND_OF_ENCODER: dict[type, str] = {
    NumberEncoder: "number",
    DateEncoder: "date",
    TextEncoder: "text",
}


def _numbers(
    card: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
) -> Iterator[tuple[str, ColumnEncoder]]:
    for at, entry in enumerate(card["numbers"]):
        prefix = f"{at}."
        own = {
            name.removeprefix(prefix): array
            for name, array in arrays.items()
            if name.startswith(prefix)
        }
        yield entry["column"], _FROM_STATE[entry["kind"]](entry["state"], own)


def _codes(card: Mapping[str, Any]) -> Iterator[tuple[str, LevelEncoder]]:
    for entry in card["codes"]:
        yield entry["column"], LevelEncoder(tuple(entry["levels"]))


def _mark(level: str) -> str:
    return hashlib.blake2b(level.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _sample(column: pl.Series) -> NDArray[np.float64]:
    """Up to about 10,000 values that float32 can hold, evenly spaced."""
    values = column.cast(pl.Float64).drop_nulls().to_numpy()
    sample: NDArray[np.float64] = values[:: max(1, len(values) // 10_000)]
    return sample[np.abs(sample) < _FLOAT32_MAX]
