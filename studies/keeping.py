"""What the store keeps of a table beyond its description: how many rows, and columns' names.

Said last counts least: the option of a run, then `AUTOMETA_KEEP_ROWS`, then the choice for the
whole store (`autometa store keep`), then `MOST_ROWS`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from autometa.storage import Store
from autometa.studies.options import MOST_ROWS, TuneOptions, parse_rows
from autometa.studies.reports.figures import counted

ROWS_VARIABLE = "AUTOMETA_KEEP_ROWS"
_ROWS, _NAMES = "keep_rows", "keep_column_names"  # choices in the store


@dataclass(frozen=True, slots=True)
class Kept:
    """What a store is to keep of tables, and of how many it has rows; `n_rows` 0 is none."""

    store: str
    n_rows: int
    has_column_names: bool
    n_sampled: int
    n_tables: int


def rows_to_keep(store: Store, options: TuneOptions) -> int:
    """How many rows to keep of the table of this study, 0 for none.

    Of a model at once none is kept unless this run asks for it: it may be one of many, and no
    study. Raises `OptionError` if the environment says what cannot be.
    """
    if options.keep_rows is not None:
        return options.keep_rows
    return 0 if options.is_instant else _usual_rows(store)


def keeps_column_names(store: Store) -> bool:
    """Whether columns' names are kept with a table's description."""
    return store.remembered.choice(_NAMES) is not False


def choose_kept(
    store: str | Path | None,
    rows: str | None = None,
    column_names: bool | None = None,
    *,
    is_forgetting_rows: bool = False,
) -> tuple[Kept, str]:
    """Choose for the whole store what is kept from now on; None leaves a choice as it is.

    Gives the choices, and in words what was deleted, or what is still there though it would not be
    kept now. Names that are not to be kept are deleted at once: nothing needs them. Raises
    `OptionError`, and `StoreError` without a store if nothing is chosen for one.
    """
    n_rows = None if rows is None else parse_rows(rows, "--rows")
    said: list[str] = []
    is_chosen = n_rows is not None or column_names is not None
    with Store.open(store, is_made=is_chosen) as opened:
        remembered = opened.remembered
        if n_rows is not None:
            remembered.choose(_ROWS, n_rows)
        if column_names is not None:
            remembered.choose(_NAMES, column_names)
        if column_names is False:
            n = remembered.drop_column_names()
            said += [f"the columns' names of {counted(n, 'table')} were deleted"] if n else []
        if is_forgetting_rows:
            said.append(f"the rows of {counted(remembered.drop_samples(), 'table')} were deleted")
        kept = Kept(
            opened.shown_url,
            _usual_rows(opened),
            keeps_column_names(opened),
            len(remembered.sampled_tables()),
            len(opened.tables()),
        )
    if kept.n_rows == 0 and kept.n_sampled:
        said.append(
            f"rows of {counted(kept.n_sampled, 'table')} are there from before: --forget-rows "
            "deletes them"
        )
    return kept, "; ".join(said)


def _usual_rows(store: Store) -> int:
    from_environment = os.environ.get(ROWS_VARIABLE)
    if from_environment:
        return parse_rows(from_environment, ROWS_VARIABLE)
    chosen = store.remembered.choice(_ROWS)
    return MOST_ROWS if chosen is None else int(chosen)
