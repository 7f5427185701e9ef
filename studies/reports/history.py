"""Studies and trials of a store as listings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from autometa.records import TrialRecord, TrialState
from autometa.spaces import Config
from autometa.storage.answers import FoundTrial
from autometa.storage.records import StudyRecord, StudySummary
from autometa.studies.frames import score_from, started_at
from autometa.studies.history import StudyView, ranked
from autometa.studies.questions import Found
from autometa.studies.reasons import reason_in_words
from autometa.studies.reports.figures import score_text, seconds_text
from autometa.studies.reports.listing import Listing, Section, pairs
from autometa.studies.reports.outcome import JSON, plain, record_values, trial_values

Score = Callable[[float | None], float | None]

# fmt: off
_STUDY_HEADINGS = (
    "study", "table", "metric", "score", "baseline", "trials", "status", "took", "when",
)
_FOUND_HEADINGS = (
    "study", "table", "trial", "learner", "metric", "score", "state", "took", "when", "settings",
)
# fmt: on
_TRIAL_HEADINGS = ("trial", "learner", "score", "state", "took", "origin", "settings")


def studies_listing(found: Found[StudySummary]) -> Listing:
    """A line for each study."""
    values: JSON = [_study_values(study) for study in found.rows]
    return Listing((studies_section(found.rows),), values, found.nothing)


def studies_section(studies: Sequence[StudySummary], title: str = "") -> Section:
    """The studies' lines."""
    return Section(_STUDY_HEADINGS, tuple(_study_row(study) for study in studies), title)


def study_listing(view: StudyView) -> Listing:
    """One study: what it was asked, how it ended, its best trials, its models."""
    study, score = view.study, score_of(view.study.metric)
    about = pairs(
        "study",
        [
            ("study", study.id),
            ("table", study.name),
            ("status", study.status.value),
            ("metric", study.metric),
            ("best score", score_text(score(study.best_loss))),
            ("baseline", score_text(score(study.baseline_loss))),
            ("scored by", study.split),
            ("seed", str(study.seed)),
            ("started", f"{study.created_at:%Y-%m-%d %H:%M}"),
            ("trials", counts_text(states_of(view.trials))),
            *(("model", model.path) for model in view.models),
        ],
    )
    best = ranked(view.trials)[:5]  # a glance; `trials list` shows them all
    values = _record_values(study, score)
    values["models"] = plain(view.models)
    values["n_trials"] = plain(states_of(view.trials))
    values["best_trials"] = [trial_values(trial) for trial in best]
    return Listing((about, _trials_section(best, score, "best trials")), values)


def trials_listing(found: Found[FoundTrial]) -> Listing:
    """A line for each trial, with its study and table unless all are of one."""
    values: JSON = [_found_values(one) for one in found.rows]
    if found.study is not None:
        metric = found.rows[0].metric if found.rows else ""
        trials = [one.trial for one in found.rows]
        return Listing((_trials_section(trials, score_of(metric), ""),), values, found.nothing)
    rows = tuple(_found_row(one) for one in found.rows)
    return Listing((Section(_FOUND_HEADINGS, rows),), values, found.nothing)


def _found_values(found: FoundTrial) -> dict[str, JSON]:
    about: dict[str, JSON] = {
        "study": found.study,
        "table": found.table,
        "table_name": found.table_name,
        "metric": found.metric,
        "score": plain(score_from(found.metric, found.trial.loss)),
    }
    return about | trial_values(found.trial)


def _found_row(found: FoundTrial) -> tuple[str, ...]:
    trial, when = found.trial, started_at(found)
    return (
        found.study,
        found.table_name,
        str(trial.number),
        trial.learner,
        found.metric,
        score_text(score_from(found.metric, trial.loss)),
        trial.state.value,
        seconds_text(trial.duration_s),
        "-" if when is None else f"{when.astimezone():%Y-%m-%d %H:%M}",
        settings_text(trial.config),
    )


def trial_listing(view: StudyView, number: int) -> Listing:
    """One trial: its settings, its score on each fold, what it cost, how it failed."""
    trial, score = view.find_trial(number), score_of(view.study.metric)
    folds = tuple(
        (str(fold), score_text(score(loss))) for fold, loss in enumerate(trial.fold_losses)
    )
    settings = [(name, cell_text(value)) for name, value in trial.config.items()]
    sections = (
        pairs("trial", _about_trial(view, trial, score)),
        pairs("settings", settings),
        Section(("fold", view.study.metric), folds, "folds"),
    )
    values = {"study": view.study.id, **trial_values(trial, has_curve=True)}
    return Listing(sections, values)


def reason_listing(view: StudyView, number: int) -> Listing:
    """Why one trial has its config: where it came from, and what was expected of it."""
    trial, values = view.find_trial(number), reason_values(view, number)
    score = score_text(score_of(view.study.metric)(trial.loss))
    rows = [
        ("trial", f"{number} of study {view.study.id}"),
        ("learner", trial.learner),
        ("why", str(values["why"])),
        ("what came of it", f"{trial.state.value}, {view.study.metric} {score}"),
    ]
    return Listing((pairs("", rows),), dict(values))


def reason_values(view: StudyView, number: int) -> dict[str, JSON]:
    """The same for a program."""
    trial, why = view.find_trial(number), view.reasons.get(number)
    return {
        "study": view.study.id,
        "trial": number,
        "learner": trial.learner,
        "origin": trial.origin,
        "why": reason_in_words(why, trial.origin),
        "explanation": None if why is None else plain(why.as_attribute()),
        "loss": plain(trial.loss),
    }


def score_of(metric: str) -> Score:
    """From a loss, as the store keeps it, to the metric's own sign."""
    return partial(score_from, metric)


def _study_row(study: StudySummary) -> tuple[str, ...]:
    score = score_of(study.metric)
    return (
        study.id,
        study.table_name,
        study.metric,
        score_text(score(study.best_loss)),
        score_text(score(study.baseline_loss)),
        counts_text(study.n_trials),
        study.status.value,
        seconds_text(study.duration_s),
        f"{study.created_at.astimezone():%Y-%m-%d %H:%M}",
    )


def _study_values(study: StudySummary) -> dict[str, JSON]:
    return _record_values(study, score_of(study.metric))


def _record_values(study: StudySummary | StudyRecord, score: Score) -> dict[str, JSON]:
    values = record_values(study)
    values["best_score"] = plain(score(study.best_loss))
    values["baseline_score"] = plain(score(study.baseline_loss))
    return values


def _about_trial(view: StudyView, trial: TrialRecord, score: Score) -> list[tuple[str, str]]:
    return [
        ("study", view.study.id),
        ("trial", str(trial.number)),
        ("learner", trial.learner),
        ("state", trial.state.value),
        (view.study.metric, score_text(score(trial.loss))),
        ("origin", trial.origin),
        ("why", reason_in_words(view.reasons.get(trial.number), trial.origin)),
        ("steps", "" if trial.n_steps is None else str(trial.n_steps)),
        ("took", seconds_text(trial.duration_s)),
        ("memory", f"{trial.peak_memory_mb:.0f} MB" if trial.peak_memory_mb else ""),
        ("error", trial.error or ""),
    ]


def _trials_section(trials: Sequence[TrialRecord], score: Score, title: str) -> Section:
    rows = tuple(
        (
            str(trial.number),
            trial.learner,
            score_text(score(trial.loss)),
            trial.state.value,
            seconds_text(trial.duration_s),
            trial.origin,
            settings_text(trial.config),
        )
        for trial in trials
    )
    return Section(_TRIAL_HEADINGS, rows, title)


def settings_text(config: Config) -> str:
    """A config in one line."""
    return " ".join(f"{name}={cell_text(value)}" for name, value in config.items())


def cell_text(value: object) -> str:
    """A setting's value, short."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def states_of(trials: Sequence[TrialRecord]) -> dict[TrialState, int]:
    """How many trials ended in each state."""
    states = [trial.state for trial in trials]
    return {state: states.count(state) for state in TrialState if state in states}


def counts_text(by_state: Mapping[TrialState, int]) -> str:
    """The same in words, all failures together."""
    done, pruned = by_state.get(TrialState.COMPLETE, 0), by_state.get(TrialState.PRUNED, 0)
    failed = sum(n for state, n in by_state.items() if state.is_failure)
    return f"{done} done, {pruned} pruned, {failed} failed"
