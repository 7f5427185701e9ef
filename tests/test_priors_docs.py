"""The page on priors is true: its code runs, with a prior that was trained for a moment."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import autometa
from autometa.studies.prior_training import PriorTrainOptions, train_prior

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "priors.md").read_text("utf-8")
BLOCKS = re.findall(r"<!-- executed by \S+ -->\n```python\n(.*?)```", PAGE, re.DOTALL)


def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its loop lowers the loss of a network that was proposed by a file trained as it says."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    train_prior(PriorTrainOptions(Path("own.safetensors"), scale=1e-4))
    assert len(BLOCKS) == PAGE.count("```python") == 1
    names: dict[str, Any] = {}
    exec(compile(BLOCKS[0], "docs/priors.md", "exec"), names)
    proposal = names["proposal"]
    assert isinstance(proposal, autometa.Proposal)
    assert (proposal.predict(names["X"]) == names["y"].to_numpy()).mean() > 0.9
