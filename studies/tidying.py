"""Deleting the working files of studies that nobody went on with, before they fill the disk.

A folder goes when nothing was written in it for `STALE_AFTER`, and no run holds its study. Its
trials stay in the store; a study that could have gone on is given up.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

from autometa.errors import StoreError
from autometa.storage import Store
from autometa.storage.leases import is_held
from autometa.storage.records import StudyRecord, StudyStatus, utc_now
from autometa.studies.reports.figures import counted

STALE_AFTER = timedelta(days=14)
_UNFINISHED = (StudyStatus.RUNNING, StudyStatus.INTERRUPTED)
# a folder called `workspaces` beside the store may hold a user's own: only what looks like ours
# is ever deleted
_NAME = re.compile(r"[0-9a-f]{16}")
_PARTS = {"table", "splits", "folds", "trials", "staged", "test"}


def delete_stale_workspaces(store: Store, folder: Path, say: Callable[[str], None]) -> None:
    """Delete what is stale in `folder`, where the store's studies have their workspaces.

    A folder is known by its random name, as the store may be reached by several paths; one of no
    study, left by a deleted store, is stale by its age alone.
    """
    old = list(_old_folders(folder))
    if not old:
        return
    records = {Path(str(one.workspace)).name: one for one in store.studies_with_workspace()}
    stale = [path for path in old if _is_free(store, records.get(path.name))]
    for path in stale:
        shutil.rmtree(path, ignore_errors=True)
    if stale:
        say(
            f"the working files of {counted(len(stale), 'unfinished run')}, untouched for "
            f"{STALE_AFTER.days} days, were deleted"
        )


def _old_folders(folder: Path) -> Iterator[Path]:
    """The workspaces in which nothing was written for long: each trial appears in `trials/`."""
    before = time.time() - STALE_AFTER.total_seconds()
    for path in folder.iterdir() if folder.is_dir() else ():
        try:
            parts = list(path.iterdir())
            written_at = max(part.stat().st_mtime for part in (path, *parts))
        except OSError:  # another run deletes it at this moment, or it is a file
            continue
        is_ours = _NAME.fullmatch(path.name) and {part.name for part in parts} <= _PARTS
        if is_ours and written_at < before:
            yield path


def _is_free(store: Store, record: StudyRecord | None) -> bool:
    """Whether no run needs the workspace of this study; an unfinished study is given up."""
    if record is None:
        return True
    if record.status not in _UNFINISHED:
        return not is_held(record.owner, record.heartbeat_at)
    if utc_now() - record.updated_at < STALE_AFTER:
        return False
    try:
        store.claim_study(record.id)  # from now on nobody else goes on with it
    except StoreError:
        return False
    return store.abandon_study(record.id)
