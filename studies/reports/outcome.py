"""A finished study as text for a person, and as plain values for a program."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from autometa.records import TrialRecord, TrialState
from autometa.studies.reports.figures import (
    counted,
    score_text,
    seconds_text,
    share_text,
)
from autometa.studies.results import TuneResult

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

JSON = None | bool | int | float | str | list["JSON"] | dict[str, "JSON"]

_N_COLUMNS = 8  # columns shown by importance: as many as fit a glance
_N_CHARS = 80  # of an error's first line: the rest is in `trials show`


def outcome_text(result: TuneResult) -> Text:
    """What a person wants to know when a study is over."""
    text = Text()
    if result.is_interrupted:
        text.append("interrupted: this is what was finished\n", style="yellow")
    for section in (_scores, _trials, _members, _columns, _places):
        section(result, text)
    text.rstrip()
    return text


def outcome_line(result: TuneResult) -> str:
    """The outcome in one line: score, baseline, test score, model."""
    parts = [f"{result.metric} {score_text(result.score)}"]
    if result.test_score is not None:
        parts.append(f"test {score_text(result.test_score)}")
    parts.append(f"baseline {score_text(result.baseline_score)}")
    parts.append(f"model {_short(result.model) if result.model else 'none'}")
    return "  ".join(parts)


def outcome_values(result: TuneResult) -> dict[str, JSON]:
    """The result as JSON values; learning curves are left out (they are in the store)."""
    values = record_values(result)
    values["trials"] = [trial_values(trial) for trial in result.trials]
    return values


def trial_values(trial: TrialRecord, *, has_curve: bool = False) -> dict[str, JSON]:
    """A trial as JSON values, with its learning curve only if asked for."""
    values = record_values(trial)
    if not has_curve:
        del values["curve"]
    return values


def record_values(record: DataclassInstance) -> dict[str, JSON]:
    """A frozen record as an object of JSON values."""
    return {field.name: plain(getattr(record, field.name)) for field in fields(record)}


def plain(value: object) -> JSON:
    """`value` as JSON has it: records as objects, paths as text, what is not finite as null."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if is_dataclass(value) and not isinstance(value, type):
        return record_values(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Sequence | set | frozenset):
        return [plain(item) for item in value]
    return str(value)


def _scores(result: TuneResult, text: Text) -> None:
    text.append(f"\n{result.metric} ", style="bold")
    better = "higher" if result.is_greater_better else "lower"
    text.append(score_text(result.score), style="bold green")
    text.append(f"  by {result.split_plan}; baseline {score_text(result.baseline_score)}")
    text.append(f" ({better} is better)\n", style="dim")
    if result.test_score is not None:
        text.append(f"{result.metric} ", style="bold")
        text.append(score_text(result.test_score), style="bold green")
        text.append("  on rows no search has seen; ")
        text.append(f"baseline {score_text(result.baseline_test_score)}\n")
    if result.calibration_error is not None:
        text.append(f"calibration error {score_text(result.calibration_error)}\n")


def _trials(result: TuneResult, text: Text) -> None:
    states = [trial.state for trial in result.trials]
    done, pruned = states.count(TrialState.COMPLETE), states.count(TrialState.PRUNED)
    failed = sum(state.is_failure for state in states)
    resumed = f" ({result.n_resumed} of them earlier)" if result.n_resumed else ""
    text.append(f"{counted(done, 'trial')} done{resumed}, {pruned} pruned, {failed} failed")
    text.append(f" in {seconds_text(result.elapsed_s)}\n")
    if failed:
        error, number = _commonest_error(result.trials)
        text.append(f"failed, most often: {error}; see autometa trials show {number}\n")


def _commonest_error(trials: Sequence[TrialRecord]) -> tuple[str, int]:
    """What most failed trials died of, in short, and the number of the first that did."""
    by_error: dict[str, list[int]] = {}
    for trial in trials:
        if trial.state.is_failure:
            by_error.setdefault(_short_error(trial), []).append(trial.number)
    error = max(by_error, key=lambda name: len(by_error[name]))
    return error, by_error[error][0]


def _short_error(trial: TrialRecord) -> str:
    """One line of the error; how the trial ended, where no error was told."""
    lines = (trial.error or trial.state.value.replace("_", " ")).strip().splitlines()
    return lines[0] if len(lines[0]) <= _N_CHARS else f"{lines[0][: _N_CHARS - 3]}..."


def _members(result: TuneResult, text: Text) -> None:
    text.append("\nmembers\n", style="bold")
    for member in sorted(result.members, key=lambda member: -member.weight):
        text.append(f"  {share_text(member.weight):>4}  {member.learner:<12}")
        text.append(f"trial {member.trial:<5}{score_text(member.score)}\n")


def _columns(result: TuneResult, text: Text) -> None:
    if not result.importance:
        return
    text.append("\ncolumns that matter most", style="bold")
    text.append("  (score lost when shuffled)\n", style="dim")
    ranked = sorted(result.importance.items(), key=lambda item: -item[1])
    width = max(len(name) for name, _ in ranked[:_N_COLUMNS])
    for name, lost in ranked[:_N_COLUMNS]:
        text.append(f"  {name:<{width}}  {score_text(lost)}\n")
    if len(ranked) > _N_COLUMNS:
        text.append(f"  and {len(ranked) - _N_COLUMNS} more\n", style="dim")


def _places(result: TuneResult, text: Text) -> None:
    text.append(f"\nstudy    {result.study} in {result.store}\n")
    if result.model is None:
        text.append("model    none: no trial finished; give it more --time\n")
        return
    folder = _short(result.model)
    text.append(f"model    {folder}\n")
    text.append(f"predict  autometa predict {folder} NEW.csv -o predictions.csv\n")


def _short(path: Path) -> str:
    """The path as the user would type it from here."""
    here = Path.cwd()
    short = path.relative_to(here) if path.is_absolute() and path.is_relative_to(here) else path
    return f"'{short}'" if " " in str(short) else str(short)
