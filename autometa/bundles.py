"""Models as plain files: numpy arrays in safetensors, everything else in JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from autometa.errors import ModelError

Array = NDArray[Any]
Arrays = Mapping[str, Array]
_ARRAYS = "model.safetensors"
_FACTS = "model.json"


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a model folder holds: arrays and JSON facts by name."""

    arrays: Arrays
    facts: Mapping[str, Any]

    def array(self, name: str, n_axes: int, dtype: type[np.generic]) -> Array:
        """The array of this name; raises `ModelError` unless it has these axes and this type."""
        array = self.arrays.get(name)
        if array is None or array.ndim != n_axes or array.dtype != np.dtype(dtype):
            raise ModelError(f"the model's array {name!r} is missing or damaged; save it again")
        return array

    def fact(self, name: str, kind: type) -> Any:
        """The fact of this name; raises `ModelError` unless it is of this type."""
        value = self.facts.get(name)
        if not isinstance(value, kind):
            raise ModelError(f"the model's entry {name!r} is missing or damaged; save it again")
        return value


def write_bundle(folder: Path, bundle: Bundle) -> None:
    """Write the bundle's two files into `folder`."""
    # safetensors writes the memory as it lies: a transposed view would come back scrambled
    whole = {name: np.ascontiguousarray(array) for name, array in bundle.arrays.items()}
    save_file(whole, folder / _ARRAYS)
    text = json.dumps(dict(bundle.facts), indent=1, sort_keys=True)
    (folder / _FACTS).write_text(text, encoding="utf-8")


def read_bundle(folder: Path) -> Bundle:
    """Read what `write_bundle` wrote; raises `ModelError` if it is absent or unreadable."""
    try:
        arrays = load_file(folder / _ARRAYS)
        facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
    except (OSError, SafetensorError, ValueError) as error:
        raise ModelError(f"cannot read the model in {folder}: {error}") from error
    if not isinstance(facts, dict):
        raise ModelError(f"{folder / _FACTS} is damaged: it must hold a JSON object")
    return Bundle(arrays, facts)
