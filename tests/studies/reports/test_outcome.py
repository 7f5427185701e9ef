"""A finished study as text and as JSON."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from autometa.records import CurvePoint, TrialRecord, TrialState
from autometa.studies.reports.outcome import (
    outcome_line,
    outcome_text,
    outcome_values,
    plain,
    trial_values,
)
from autometa.studies.results import MemberSummary, TuneResult

TRIALS = (
    TrialRecord(
        number=0,
        learner="linear",
        config={"C": 1.0},
        state=TrialState.COMPLETE,
        loss=0.2,
        fold_losses=(0.1, 0.3),
        curve=(CurvePoint(0, 1, 0.5),),
    ),
    TrialRecord(number=1, learner="forests", config={}, state=TrialState.PRUNED),
    TrialRecord(number=2, learner="network", config={}, state=TrialState.CRASHED, error="gone"),
)
RESULT = TuneResult(
    study="abcd2345",
    table="penguins",
    kind="multiclass",
    metric="log_loss",
    is_greater_better=False,
    score=0.0213,
    baseline_score=1.0549,
    test_score=0.03,
    baseline_test_score=1.06,
    calibration_error=0.012,
    split_plan="8-fold cross-validation",
    members=(MemberSummary(1, "forests", 0.25, 0.3), MemberSummary(0, "linear", 0.75, 0.2)),
    trials=TRIALS,
    importance={f"column {i}": i / 100 for i in range(10)},
    notes=("found 3 classes",),
    n_resumed=0,
    is_interrupted=False,
    elapsed_s=58.2,
    model=Path("penguins_model"),
    store="sqlite:///store.db",
)


def text_of(result: TuneResult) -> str:
    """The outcome as a pipe gets it."""
    console = Console(file=io.StringIO(), width=80)
    with console.capture() as capture:
        console.print(outcome_text(result), soft_wrap=True)
    return capture.get()


def test_the_summary_says_what_matters() -> None:
    """Scores beside their baselines, trials, members by weight, columns, and how to predict."""
    text = text_of(RESULT)
    assert "log_loss 0.02130  by 8-fold cross-validation; baseline 1.055" in text
    assert "log_loss 0.03000  on rows no search has seen; baseline 1.060" in text
    assert "1 trial done, 1 pruned, 1 failed in 58 s" in text
    assert "failed, most often: gone; see autometa trials show 2\n" in text
    assert text.index("75%") < text.index("25%")
    assert text.index("column 9") < text.index("column 2")
    assert "column 1 " not in text
    assert "and 2 more" in text
    assert "autometa predict penguins_model NEW.csv -o predictions.csv" in text


def test_the_summary_leaves_out_what_is_not_there() -> None:
    """Without test rows and importance there is no line for them; an interruption is said."""
    result = replace(RESULT, test_score=None, importance={}, is_interrupted=True)
    text = text_of(result)
    assert "no search has seen" not in text
    assert "columns that matter" not in text
    assert "interrupted" in text


def test_the_commonest_failure_is_named() -> None:
    """Of several errors the one that most trials ended in, its first line, cut; none without."""
    rare = replace(TRIALS[2], number=3, error="rare")
    often = replace(TRIALS[2], error="often " * 20 + "\nand on")
    trials = (rare, *(replace(often, number=number) for number in (5, 6)))
    text = text_of(replace(RESULT, trials=trials))
    assert "3 failed" in text
    line = next(line for line in text.splitlines() if "most often" in line)
    assert line.startswith("failed, most often: often often")
    assert line.endswith("...; see autometa trials show 5")
    untold = text_of(replace(RESULT, trials=(replace(rare, error=None),)))
    assert "most often: crashed; see" in untold
    assert "most often" not in text_of(replace(RESULT, trials=TRIALS[:2]))


def test_a_folder_with_spaces_can_be_pasted() -> None:
    """The predict command quotes a folder that needs it."""
    assert "'my model'" in text_of(replace(RESULT, model=Path("my model")))


def test_the_line_is_one_line() -> None:
    """`--quiet` gets score, test score, baseline and model in one line."""
    line = outcome_line(RESULT)
    assert line == "log_loss 0.02130  test 0.03000  baseline 1.055  model penguins_model"


def test_values_are_strict_json() -> None:
    """The result as JSON has every field, no curve, and null where a number is not finite."""
    values = outcome_values(replace(RESULT, score=float("nan")))
    again = json.loads(json.dumps(values, allow_nan=False))
    assert again == values
    assert again["score"] is None
    assert again["model"] == "penguins_model"
    assert again["trials"][0]["config"] == {"C": 1.0}
    assert "curve" not in again["trials"][0]
    assert again["members"][1] == {"trial": 0, "learner": "linear", "weight": 0.75, "score": 0.2}


def test_one_trial_may_have_its_curve() -> None:
    """A trial's values hold its learning curve when asked for."""
    values = trial_values(TRIALS[0], has_curve=True)
    assert values["curve"] == [{"fold": 0, "step": 1, "loss": 0.5}]
    assert values["state"] == "complete"


def test_plain_keeps_what_json_has() -> None:
    """Text, truth, whole numbers, null and nested values stay as they are."""
    value = {"a": [1, "x", True, None, 2.5]}
    assert plain(value) == value
    assert plain({1: (Path("p"),)}) == {"1": ["p"]}
