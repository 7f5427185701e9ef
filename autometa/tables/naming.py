"""Column names that can be told apart: none empty, none twice."""

from __future__ import annotations

from collections.abc import Sequence

from autometa.tables.wording import counted


def mend_names(names: Sequence[object]) -> tuple[list[str], tuple[str, ...]]:
    """Names stripped, empty ones named by their place, repeated ones numbered; and what was done.

    An empty name becomes "unnamed_0" in the first column: an index written without a name.
    """
    bare = ["" if name is None else " ".join(str(name).split()) for name in names]
    taken = {name for name in bare if name}
    seen: set[str] = set()
    mended: list[str] = []
    changed: list[str] = []
    for place, name in enumerate(bare):
        wanted = name or f"unnamed_{place}"
        is_new = bool(name) and name not in seen
        unique = wanted if is_new else _free_name(wanted, taken | seen)
        if name and unique != name:
            changed.append(f"{name!r} to {unique!r}")
        seen.add(unique)
        mended.append(unique)
    n_empty = sum(not name for name in bare)
    notes: list[str] = []
    if changed:
        more = f" and {len(changed) - 5:,} more" if len(changed) > 5 else ""
        notes.append(f"column names that came twice were changed: {', '.join(changed[:5])}{more}")
    if n_empty:
        notes.append(f"{counted(n_empty, 'column')} without a name, now called unnamed_<place>")
    return mended, tuple(notes)


def _free_name(wanted: str, used: set[str]) -> str:
    if wanted not in used:
        return wanted
    number = 2
    while f"{wanted}_{number}" in used:
        number += 1
    return f"{wanted}_{number}"
