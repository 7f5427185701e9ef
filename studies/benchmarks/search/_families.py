"""Which tasks are kin: variants of one dataset under several names must not teach each other.

Tasks named by words belong to one family if their names begin with the same word, after the name
of a collection is taken off, or if that word is another name of the same data. Over-grouping costs
a few sources; under-grouping would let a near-copy of the target teach. A number is its own
family. `families.csv` in the folder (task, family) has the last word.
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from autometa.errors import OptionError

FILE = "families.csv"
HALVES = ("design", "report", "all")

# prefixes that name where a dataset was collected, not what it is
_COLLECTIONS = ("analcatdata_", "prnn_", "molecular-biology_", "openml_", "uci_", "libsvm_")
# first words of names under which the same data, or variants of it, are found (the UCI, Statlog,
# KEEL and PMLB pages of each)
_SAME_DATA = (
    ("thyroid", "allbp allhyper allhypo allrep ann dis hypothyroid new sick"),
    ("breast", "wdbc wpbc wisconsin"),
    ("credit", "crx buggycrx australian german"),
    ("heart", "cleveland hungarian statlog switzerland va"),
    ("house", "vote votes voting"),
    ("mushroom", "agaricus"),
    ("diabetes", "pima"),
    ("solar", "flare"),
    ("spect", "spectf"),
    ("splice", "dna"),
    ("chess", "kr"),
    ("horse", "colic"),
    ("glass", "fglass"),
    ("car", "cars"),
    ("clean", "musk"),
    ("liver", "bupa"),
    ("adult", "census"),
    ("segment", "segmentation image"),
    ("satimage", "satellite sat"),
    ("waveform", "wave"),
)
_SYNONYMS = {word: family for family, words in _SAME_DATA for word in words.split()}


def families_of(tasks: Sequence[str], folder: Path) -> dict[str, str]:
    """The family of each task. Raises `OptionError` if the folder's own list cannot be read."""
    listed = _listed(folder / FILE)
    return {task: listed.get(task, family_of(task)) for task in tasks}


def family_of(task: str) -> str:
    """The family that a task's name tells."""
    name = task.lower()
    for prefix in _COLLECTIONS:
        name = name.removeprefix(prefix)
    word = re.match(r"[a-z]+", name)
    return task if word is None else _SYNONYMS.get(word.group(), word.group())


def hash_of(*parts: object) -> int:
    """A whole number below 2**32 that the parts' text decides, the same on every machine."""
    text = ":".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4])


def half_of(family: str) -> str:
    """The half of the families that this one is in, halved as `studies.table_folders` does."""
    last_digit = hashlib.sha256(family.encode()).hexdigest()[-1]
    return "design" if int(last_digit, 16) < 8 else "report"


def folds_of(families: Sequence[str], n_folds: int, seed: int) -> dict[str, int]:
    """The fold of each family: shuffled by hash, dealt in turn."""
    shuffled = sorted(set(families), key=lambda family: (hash_of(seed, family), family))
    return {family: place % n_folds for place, family in enumerate(shuffled)}


def _listed(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return {row["task"]: row["family"] for row in csv.DictReader(file)}
    except (OSError, KeyError, ValueError) as why:
        raise OptionError(f"{path} needs columns task and family: {why}") from why
