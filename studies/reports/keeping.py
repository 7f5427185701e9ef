"""What a store keeps of tables, as a listing."""

from __future__ import annotations

from dataclasses import asdict

from autometa.studies.keeping import Kept
from autometa.studies.reports.listing import Listing, pairs
from autometa.studies.reports.outcome import plain


def kept_listing(kept: Kept) -> Listing:
    """What is kept from now on, and of how many tables there are rows."""
    rows = f"at most {kept.n_rows:,} of a table" if kept.n_rows else "none"
    cells = [
        ("store", kept.store),
        ("descriptions", "always"),
        ("rows", rows),
        ("column names", "yes" if kept.has_column_names else "no"),
        ("tables with rows", f"{kept.n_sampled} of {kept.n_tables}"),
    ]
    return Listing((pairs("", cells),), plain(asdict(kept)))
