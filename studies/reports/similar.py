"""Similar tables, and what did best on them, as listings."""

from __future__ import annotations

from collections.abc import Sequence

from autometa.studies.reports.figures import score_text
from autometa.studies.reports.history import score_of, settings_text
from autometa.studies.reports.listing import Listing, Section
from autometa.studies.reports.outcome import JSON, plain
from autometa.studies.similar import BestTrial, SimilarTable

_TABLES = ("table", "similarity", "whose", "rows", "columns", "task")
_TRIALS = ("table", "similarity", "learner", "metric", "score", "study", "trial", "settings")


def similar_listing(found: Sequence[SimilarTable]) -> Listing:
    """A line for each table, the most similar first."""
    rows = tuple(
        (
            one.name,
            f"{one.similarity:.2f}",
            one.whose,
            "" if one.table is None else str(one.table.n_rows),
            "" if one.table is None else str(one.table.n_columns),
            "" if one.table is None else str(one.table.kind),
        )
        for one in found
    )
    values: JSON = [
        {
            "table": one.name,
            "similarity": one.similarity,
            "whose": one.whose,
            "fingerprint": None if one.table is None else one.table.fingerprint,
        }
        for one in found
    ]
    return Listing((Section(_TABLES, rows),), values, "no table is known")


def best_listing(found: Sequence[BestTrial]) -> Listing:
    """A line for the best trial of each study, those of the most similar table first."""
    rows: list[tuple[str, ...]] = []
    values: list[JSON] = []
    for one in found:
        score = score_of(one.study.metric)(one.trial.loss)
        rows.append(
            (
                one.table.name,
                f"{one.table.similarity:.2f}",
                one.trial.learner,
                one.study.metric,
                score_text(score),
                one.study.id,
                str(one.trial.number),
                settings_text(one.trial.config),
            )
        )
        values.append(
            {
                "table": one.table.name,
                "similarity": one.table.similarity,
                "learner": one.trial.learner,
                "config": plain(one.trial.config),
                "metric": one.study.metric,
                "score": score,
                "study": one.study.id,
                "trial": one.trial.number,
            }
        )
    nothing = "no study has finished a trial yet: make one with `autometa tune`"
    return Listing((Section(_TRIALS, tuple(rows)),), values, nothing)
