"""What a store holds, for `autometa store status`."""

from __future__ import annotations

from datetime import datetime

from autometa.studies.reports.figures import megabytes_text
from autometa.studies.reports.listing import Listing, Section, pairs
from autometa.studies.reports.outcome import JSON
from autometa.studies.store_upkeep import StoreStatus


def status_listing(status: StoreStatus) -> Listing:
    """Names and values, then a row for each study that is being run."""
    held = status.holdings
    cells = [
        ("place", status.place),
        ("database", status.database),
        ("schema", status.version),
        ("size", megabytes_text(status.n_bytes)),
        ("tables", str(held.n_tables)),
        ("studies", str(held.n_studies)),
        ("trials", str(held.n_trials)),
        ("curves", str(held.n_curves)),
        ("priors", str(held.n_priors)),
        ("rows kept", str(held.n_sampled_rows)),
        ("oldest study", _moment(held.oldest)),
        ("newest study", _moment(held.newest)),
        ("running", str(len(status.running))),
    ]
    rows = tuple((one.id, one.table_name, _moment(one.created_at)) for one in status.running)
    running = Section(("study", "table", "since"), rows, "running now")
    return Listing((pairs("", cells), running), _values(status))


def _values(status: StoreStatus) -> JSON:
    held = status.holdings
    return {
        "place": status.place,
        "database": status.database,
        "schema": status.version,
        "n_bytes": status.n_bytes,
        "n_tables": held.n_tables,
        "n_studies": held.n_studies,
        "n_trials": held.n_trials,
        "n_curves": held.n_curves,
        "n_priors": held.n_priors,
        "n_sampled_rows": held.n_sampled_rows,
        "oldest": None if held.oldest is None else held.oldest.isoformat(),
        "newest": None if held.newest is None else held.newest.isoformat(),
        "running": [one.id for one in status.running],
    }


def _moment(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M} UTC"
