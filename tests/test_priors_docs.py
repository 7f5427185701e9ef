"""The page on priors is true: its code runs, with the prior that comes with the package."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from torch.nn import functional

import autometa

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "priors.md").read_text("utf-8")
BLOCKS = re.findall(r"<!-- executed by \S+ -->\n```python\n(.*?)```", PAGE, re.DOTALL)


def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its loop trains the network that was proposed."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    assert len(BLOCKS) == PAGE.count("```python") == 1
    names: dict[str, Any] = {}
    exec(compile(BLOCKS[0], "docs/priors.md", "exec"), names)
    proposal = names["proposal"]
    assert isinstance(proposal, autometa.Proposal)
    cells, target = proposal.encode_training()
    untouched = autometa.propose(names["X"], names["y"])
    before, after = (
        float(functional.cross_entropy(one.module(cells).detach(), target))
        for one in (untouched, proposal)
    )
    assert after < before
    assert (untouched.predict(names["X"]) == names["y"].to_numpy()).mean() > 0.9
