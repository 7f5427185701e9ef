"""Models of curves and gains in a file: what comes back is what was written."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from autometa.errors import HistoryError
from autometa.search.curves.forecasts import fit_model
from autometa.search.judges import Judges, read_judges, write_judges
from autometa.search.shipped import shipped_judges
from autometa.search.stoppers.gains import fit_gains

RNG = np.random.default_rng(0)
FIGURES = RNG.normal(size=(60, 3))
JUDGES = Judges(
    fit_model(FIGURES, (FIGURES[:, 0] > 0).astype(float), np.ones(60)),
    fit_gains(FIGURES, np.abs(FIGURES[:, 1]), horizon=20),
)


def test_what_was_written_comes_back(tmp_path: Path) -> None:
    """To the last digit, and the same models give the same bytes."""
    write_judges(JUDGES, tmp_path / "one.json")
    back = read_judges(tmp_path / "one.json")
    for mine, other in ((JUDGES.curves, back.curves), (JUDGES.gains, back.gains)):
        assert mine is not None
        assert other is not None
        for one in fields(mine):
            np.testing.assert_array_equal(getattr(mine, one.name), getattr(other, one.name))
    write_judges(back, tmp_path / "two.json")
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()


def test_what_was_not_learned_stays_absent(tmp_path: Path) -> None:
    write_judges(Judges(), tmp_path / "none.json")
    assert read_judges(tmp_path / "none.json") == Judges()


@pytest.mark.parametrize("change", ["cut", "nan", "missing", "version", "foreign"])
def test_a_damaged_file_is_refused(tmp_path: Path, change: str) -> None:
    """With what to do, whatever is wrong with it."""
    path = tmp_path / "bad.json"
    write_judges(JUDGES, path)
    facts = json.loads(path.read_text())
    if change == "cut":
        facts["curves"]["weights"].pop()
    elif change == "nan":
        facts["gains"]["threshold"] = float("nan")
    elif change == "missing":
        del facts["gains"]["horizon"]
    elif change == "version":
        facts["autometa_judges"] = 99
    else:
        del facts["autometa_judges"]
    path.write_text(json.dumps(facts))
    with pytest.raises(HistoryError, match=r"learn them again|there are no models"):
        read_judges(path)


def test_the_shipped_models_are_there() -> None:
    """They say what they were learned from."""
    judges = shipped_judges()
    assert judges.curves is not None
    assert judges.gains is not None
    assert judges.curves.n_tasks >= 5
    assert 0 < judges.curves.threshold < 0.1
