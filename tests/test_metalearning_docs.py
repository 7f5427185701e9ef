"""The page on meta-learning is true: its code runs, from the first block to the last."""

from __future__ import annotations

import re
from pathlib import Path

import torch

PAGE = (Path(__file__).parent.parent / "docs" / "metalearning.md").read_text("utf-8")
BLOCK = re.compile(r"<!-- (?:executed by \S+|continued) -->\n```python\n(.*?)```", re.DOTALL)


def test_the_page_runs() -> None:
    """Every block runs in the names that earlier ones left, and a module adapts."""
    blocks = BLOCK.findall(PAGE)
    assert len(blocks) == PAGE.count("```python") >= 5
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "docs/metalearning.md", "exec"), names)
    adapted = names["adapted"]
    assert isinstance(getattr(adapted, "module", None), torch.nn.Module)
    assert len(getattr(adapted, "losses", ())) == 6
