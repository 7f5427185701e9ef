"""Tables of a store as listings."""

from __future__ import annotations

from autometa.storage.answers import TableSummary
from autometa.studies.frames import score_from
from autometa.studies.questions import Found, TableView
from autometa.studies.reports.figures import counted, score_text
from autometa.studies.reports.history import studies_section
from autometa.studies.reports.listing import Listing, Section, pairs
from autometa.studies.reports.outcome import JSON, plain

# fmt: off
_HEADINGS = (
    "table", "rows", "columns", "target", "task", "studies", "trials", "best", "kept", "last",
    "fingerprint",
)
# fmt: on


def tables_listing(found: Found[TableSummary]) -> Listing:
    """A line for each table."""
    rows = tuple(_row(one) for one in found.rows)
    values: JSON = [_values(one) for one in found.rows]
    return Listing((Section(_HEADINGS, rows),), values, found.nothing)


def table_listing(view: TableView) -> Listing:
    """One table: what it is, what is kept of it, its best scores, its newest studies."""
    found = view.summary
    table = found.table
    about = pairs(
        "table",
        [
            ("table", table.name),
            ("fingerprint", table.fingerprint),
            ("rows", str(table.n_rows)),
            ("columns", str(table.n_columns)),
            ("target", table.target),
            ("task", _task(found)),
            ("first tuned", f"{table.created_at.astimezone():%Y-%m-%d %H:%M}"),
            ("studies", str(found.n_studies)),
            ("trials", str(found.n_trials)),
            ("kept", _kept(found)),
            ("columns kept", ", ".join(table.column_names or ())),
        ],
    )
    best = tuple(
        (metric, score_text(score_from(metric, loss)))
        for metric, loss in found.best_losses.items()
    )
    newest = studies_section(view.studies, "newest studies")
    values = _values(found)
    values["description"] = plain(table.description)
    values["newest_studies"] = [study.id for study in view.studies]
    return Listing((about, Section(("metric", "score"), best, "best scores"), newest), values)


def _row(found: TableSummary) -> tuple[str, ...]:
    table = found.table
    metric, loss = next(iter(found.best_losses.items()), ("", None))
    return (
        table.name,
        str(table.n_rows),
        str(table.n_columns),
        table.target,
        _task(found),
        str(found.n_studies),
        str(found.n_trials),
        f"{score_text(score_from(metric, loss))} {metric}".strip(),
        _kept(found),
        "-" if found.last_at is None else f"{found.last_at.astimezone():%Y-%m-%d %H:%M}",
        table.fingerprint[:8],
    )


def _task(found: TableSummary) -> str:
    table = found.table
    return f"{table.n_classes} classes" if table.kind == "multiclass" else table.kind


def _kept(found: TableSummary) -> str:
    """The description always is; rows and names of columns only if the user lets them be."""
    kept = [counted(found.n_kept_rows, "row")] if found.n_kept_rows else []
    return ", ".join(kept + ["names"] * (found.table.column_names is not None)) or "description"


def _values(found: TableSummary) -> dict[str, JSON]:
    table = found.table
    return {
        "table": table.name,
        "fingerprint": table.fingerprint,
        "n_rows": table.n_rows,
        "n_columns": table.n_columns,
        "target": table.target,
        "kind": table.kind,
        "n_classes": table.n_classes,
        "n_studies": found.n_studies,
        "n_trials": found.n_trials,
        "best_scores": {
            metric: plain(score_from(metric, loss)) for metric, loss in found.best_losses.items()
        },
        "n_kept_rows": found.n_kept_rows,
        "column_names": plain(table.column_names),
        "first": str(table.created_at),
        "last": plain(found.last_at),
    }
