"""The page on meta-learning is true and whole: its code runs, and shows every algorithm."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import pytest
import torch

import autometa.metalearning
from autometa.metalearning import MetaLearner, OneByOneWarning
from tests.omniglot_files import write_drawings

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "metalearning.md").read_text("utf-8")
BLOCK = re.compile(r"<!-- (?:executed by \S+|continued) -->\n```python\n(.*?)```", re.DOTALL)
BLOCKS = BLOCK.findall(PAGE)
NAMES = autometa.metalearning.__all__
LEARNERS = [
    name
    for name in NAMES
    if isinstance(one := getattr(autometa.metalearning, name), type)
    and issubclass(one, MetaLearner)
    and one is not MetaLearner
]
# what is made or called besides, to meta-learn and to find the tasks for it
SHOWN = (
    *("AdamOptions", "Episodes", "Evolution", "FewShotTables", "FirstOrder", "LearnedStop"),
    *("Patience", "RuleOptions", "Sinusoids", "StochasticOptions", "TaskAttention"),
    *("TaskEncoder", "Unrolled", "adapt_until", "few_shot_table", "listening_to_training"),
    *("load_learner", "load_omniglot", "query_losses", "save_learner"),
)


@pytest.fixture
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with the files that the page reads."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    write_drawings(tmp_path / "omniglot.npz")
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("_folder")
def test_the_page_runs() -> None:
    """Every block runs in the names that earlier ones left, and a module adapts."""
    assert len(BLOCKS) == PAGE.count("```python")
    names: dict[str, object] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("error", OneByOneWarning)
        for block in BLOCKS:
            exec(compile(block, "docs/metalearning.md", "exec"), names)
    adapted = names["adapted"]
    assert isinstance(getattr(adapted, "module", None), torch.nn.Module)
    assert len(getattr(adapted, "losses", ())) == 6
    assert getattr(names["trained"], "after", None)


@pytest.mark.parametrize("block", BLOCKS)
def test_examples_are_short(block: str) -> None:
    """No example takes more than ten lines."""
    assert len([line for line in block.splitlines() if line.strip()]) <= 10


@pytest.mark.parametrize("name", [*LEARNERS, *SHOWN])
def test_everything_that_learns_has_an_example(name: str) -> None:
    """Some block makes or calls it."""
    assert any(re.search(rf"\b{name}\(", block) for block in BLOCKS)


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_stands_on_the_page(name: str) -> None:
    """In code or in backticks."""
    assert re.search(rf"`[^`\n]*\b{name}\b[^`\n]*`", PAGE) or any(
        re.search(rf"\b{name}\b", block) for block in BLOCKS
    )
