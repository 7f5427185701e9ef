"""Studies side by side as a listing: a column for each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from autometa.studies.comparing import ComparedStudy, Comparison
from autometa.studies.frames import score_from
from autometa.studies.reports.figures import score_text, seconds_text
from autometa.studies.reports.history import cell_text, counts_text, states_of
from autometa.studies.reports.listing import Listing, Section
from autometa.studies.reports.outcome import JSON, plain

_Row = tuple[str, ...]
_Losses = Mapping[str, Sequence[float | None]]


def comparison_listing(compared: Comparison) -> Listing:
    """What was asked, what came of it, by which learner, with which settings, and when."""
    studies = compared.studies
    ids = tuple(one.study.id for one in studies)

    def section(title: str, what: str, rows: Iterator[_Row]) -> Section:
        return Section((what, *ids), tuple(rows), title)

    sections = (
        Section(("can their scores be compared?",), tuple(_verdict(compared))),
        section("studies", "what", _about(studies)),
        section("asked for otherwise", "option", _texts(compared.choices)),
        section("best score by learner", "learner", _scores(studies, _by_learner(compared))),
        section("where the best configs differ", "setting", _texts(compared.best_settings)),
        section("best score after", "time", _scores(studies, _by_moment(compared))),
    )
    return Listing(sections, _values(compared))


def _verdict(compared: Comparison) -> Iterator[_Row]:
    yield (f"no: {'; '.join(compared.reasons)}" if compared.reasons else "yes",)
    yield from ((f"mind that {caution}",) for caution in compared.cautions)


def _about(studies: Sequence[ComparedStudy]) -> Iterator[_Row]:
    yield "table", *(one.study.name for one in studies)
    yield "metric", *(one.study.metric for one in studies)
    yield "scored by", *(one.study.split for one in studies)
    yield "seed", *(str(one.study.seed) for one in studies)
    yield "status", *(one.study.status.value for one in studies)
    yield "best score", *(_score(one, one.best_loss) for one in studies)
    yield "baseline", *(_score(one, one.study.baseline_loss) for one in studies)
    yield "trials", *(counts_text(states_of(one.trials)) for one in studies)
    yield "took", *(seconds_text(one.took_s) for one in studies)
    yield "best after", *(seconds_text(one.time_to_best_s) for one in studies)
    yield "best trial", *("-" if one.best is None else str(one.best.number) for one in studies)


def _by_learner(compared: Comparison) -> _Losses:
    return {
        learner: [one.loss_of(learner) for one in compared.studies]
        for learner in compared.learners
    }


def _by_moment(compared: Comparison) -> _Losses:
    return {
        seconds_text(moment): [one.loss_at(moment) for one in compared.studies]
        for moment in compared.moments_s
    }


def _scores(studies: Sequence[ComparedStudy], losses: _Losses) -> Iterator[_Row]:
    for name, row in losses.items():
        yield name, *(_score(one, loss) for one, loss in zip(studies, row, strict=True))


def _score(one: ComparedStudy, loss: float | None) -> str:
    return score_text(score_from(one.study.metric, loss))


def _texts(values: Mapping[str, Sequence[object]]) -> Iterator[_Row]:
    for name, row in values.items():
        yield name, *("-" if one is None else cell_text(one) for one in row)


def _values(compared: Comparison) -> JSON:
    return {
        "is_comparable": not compared.reasons,
        "reasons": plain(compared.reasons),
        "cautions": plain(compared.cautions),
        "choices": plain(compared.choices),
        "best_settings": plain(compared.best_settings),
        "studies": [_study_values(compared, one) for one in compared.studies],
    }


def _study_values(compared: Comparison, one: ComparedStudy) -> JSON:
    study = one.study

    def score(loss: float | None) -> JSON:
        return plain(score_from(study.metric, loss))

    return {
        "study": study.id,
        "table": study.table,
        "table_name": study.name,
        "metric": study.metric,
        "split": study.split,
        "seed": study.seed,
        "status": study.status.value,
        "best_score": score(one.best_loss),
        "baseline_score": score(study.baseline_loss),
        "best_trial": None if one.best is None else one.best.number,
        "best_config": None if one.best is None else plain(one.best.config),
        "n_trials": plain(states_of(one.trials)),
        "took_s": one.took_s,
        "time_to_best_s": one.time_to_best_s,
        "best_by_learner": {name: score(one.loss_of(name)) for name in compared.learners},
        "best_after": [
            {"after_s": moment, "score": score(one.loss_at(moment))}
            for moment in compared.moments_s
        ],
    }
