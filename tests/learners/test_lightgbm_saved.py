"""A saved booster: whole it is read, damaged it is refused before LightGBM sees it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from autometa.errors import ModelError
from autometa.learners import find_learner
from tests.learners.test_pace import fit, rows


def test_a_booster_that_was_cut_is_refused(tmp_path: Path) -> None:
    """LightGBM itself would end the process."""
    fit("lightgbm", 10.0, {})[0].save(tmp_path)
    text = (tmp_path / "booster.txt").read_text()
    for damaged in (text[: len(text) // 2], text.replace("leaf_value=", "leaf_value=9", 1)):
        (tmp_path / "booster.txt").write_text(damaged)
        with pytest.raises(ModelError, match="damaged"):
            find_learner("lightgbm").load(tmp_path)


def test_models_of_before_there_was_a_digest_are_read(tmp_path: Path) -> None:
    model, _ = fit("lightgbm", 10.0, {})
    model.save(tmp_path)
    facts = json.loads((tmp_path / "model.json").read_text())
    del facts["digest"]
    (tmp_path / "model.json").write_text(json.dumps(facts))
    features = rows(50, 2).features
    again = find_learner("lightgbm").load(tmp_path).predict(features)
    np.testing.assert_array_equal(again, model.predict(features))
