"""The page on search is true: its code runs, and its public names are there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import optuna
import pytest

import autometa.search

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "search.md").read_text("utf-8")
BLOCKS = re.findall(r"<!-- executed by \S+ -->\n```python\n(.*?)```", PAGE, re.DOTALL)

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


def _objective(trial: optuna.Trial) -> float:
    return -abs(trial.suggest_float("rate", 1e-4, 1.0, log=True) - 0.01) - trial.suggest_int(
        "n", 0, 9
    )


def test_the_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a database of three old studies and a CSV, the new study is told why it tried what."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    monkeypatch.chdir(tmp_path)
    for seed in range(3):
        old = optuna.create_study(
            storage="sqlite:///old_studies.db",
            study_name=f"old {seed}",
            direction="maximize",
            sampler=optuna.samplers.RandomSampler(seed=seed),
        )
        old.optimize(_objective, n_trials=12)
    lines = [f"d{at % 2},{0.1 * at},{0.5 + 0.01 * at},1" for at in range(8)]
    (tmp_path / "evaluations.csv").write_text(
        "\n".join(["dataset,rate,accuracy,seconds", *lines]), "utf-8"
    )
    assert len(BLOCKS) == PAGE.count("```python") == 3
    names: dict[str, Any] = {"objective": _objective}
    for block in BLOCKS:
        exec(compile(block, "docs/search.md", "exec"), names)
    told, n_evaluations = capsys.readouterr().out.splitlines()
    assert "weight of the past" in told
    assert n_evaluations == "44"
    assert names["study"].best_params["n"] == 0


def test_public_names_are_there() -> None:
    """Each name that the package lists can be had from it, and no other is promised."""
    for name in autometa.search.__all__:
        assert getattr(autometa.search, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        _ = autometa.search.nothing
