"""The report on few-shot tables: means, paired differences, verdicts, older commits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autometa.studies.benchmarks.metalearning._fewshot_report import (
    RIVALS,
    Drawn,
    as_markdown,
    mean_of,
    summary,
)


def verdicts(gains: dict[str, list[float]], n_draws: int = 100) -> list[Any]:
    """The verdicts of a method that is this far ahead of each rival on each table."""
    n_tables = len(next(iter(gains.values())))

    def drawn(method: str, shares: list[float]) -> list[Drawn]:
        return [
            Drawn(f"t{i}", 1, method, [share] * n_draws, [0.5] * n_draws, "c")
            for i, share in enumerate(shares)
        ]

    all_ = drawn("ours", [0.5] * n_tables) + drawn("worse", [0.1] * n_tables)
    for rival, leads in gains.items():
        all_ += drawn(rival, [0.5 - lead for lead in leads])
    found: Any = summary(all_, ["worse", "ours"])["verdicts"]
    assert isinstance(found, list)
    return found


def test_the_verdict_is_on_the_best_and_says_what_noise_is() -> None:
    """Ahead of all on average is the goal; a lead within its interval is said to be one."""
    sure, noisy = [0.1, 0.11] * 4, [0.2, -0.18] * 4
    (one,) = verdicts(dict.fromkeys(RIVALS, sure) | {"logistic": noisy})
    assert (one["best"], one["is_goal_met"]) == ("ours", True)
    assert one["is_distinguishable"] == {rival: rival != "logistic" for rival in RIVALS}
    (behind,) = verdicts(dict.fromkeys(RIVALS, sure) | {"catboost": [-0.01] * 8})
    assert behind["is_goal_met"] is False
    (few,) = verdicts(dict.fromkeys(RIVALS, sure[:7]))
    assert few["is_goal_met"] is None
    (short,) = verdicts(dict.fromkeys(RIVALS, sure), n_draws=99)
    assert short["is_goal_met"] is None
    (partly,) = verdicts({"logistic": sure})
    assert partly["is_goal_met"] is None


def test_state_of_other_commits_is_told() -> None:
    """Training that an earlier commit began, and lines that it measured, stand in the report."""
    drawn = [Drawn("t", 1, "ours", [0.5, 0.6], [0.5, 0.6], commit) for commit in ("a1", "b2")]
    report: dict[str, Any] = summary(drawn, ["ours"])
    report["training"] = {"ours": {"commits": ["a1", "b2"]}}
    text = as_markdown(report)
    assert "ours goes on with state of a1; this is b2" in text
    assert "measured by commits a1, b2" in text


def test_differences_are_of_the_draws_both_have_seen() -> None:
    """A method that saw two draws is compared on these two; means count each table once."""
    drawn = [
        Drawn("t", 1, "ours", [0.5, 0.7, 0.0], [0.5, 0.5, 0.5], "c"),
        Drawn("t", 1, "slow", [0.4, 0.5], [0.5, 0.5], "c"),
        Drawn("u", 1, "ours", [0.3, 0.3, 0.9], [0.5, 0.5, 0.5], "c"),
        Drawn("u", 1, "slow", [0.4, 0.4], [0.5, 0.5], "c"),
    ]
    found: Any = summary(drawn, ["ours"])
    (ahead,) = found["ahead"]
    assert ahead["difference"]["mean"] == pytest.approx(100 * (0.15 - 0.1) / 2)
    assert (ahead["n_won"], ahead["n_tables"]) == (1, 2)
    assert found["over_tables"][0]["accuracy"]["mean"] == pytest.approx(45.0)
    half = 1.96 * np.std([0.4, 0.5], ddof=1) / np.sqrt(2)
    assert mean_of([0.4, 0.5]).half_interval == pytest.approx(100 * half, abs=1e-3)
