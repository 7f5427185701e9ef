"""Leases: at most one process runs a study.

A lease lapses when its process is gone (seen on the same machine) or has been silent for
`LEASE_S`, which is how another machine, or the same one after a restart, can tell.
"""

from __future__ import annotations

import os
import socket
from datetime import datetime, timedelta
from typing import Any

import psutil
from sqlalchemy import Connection, and_, or_, select, update

from autometa.errors import StoreError
from autometa.storage.records import Owner, StudyStatus, utc_now
from autometa.storage.schema import StudyRow

# a driver beats every few seconds; this allows for a long stall of a swapping machine
LEASE_S = 120.0


def this_process() -> Owner:
    """The owner to claim with."""
    pid = os.getpid()
    return Owner(socket.gethostname(), pid, psutil.Process(pid).create_time())


def is_held(owner: Owner | None, heartbeat_at: datetime | None) -> bool:
    """Whether a lease still holds."""
    if owner is None or heartbeat_at is None:
        return False
    if utc_now() - heartbeat_at > timedelta(seconds=LEASE_S):
        return False
    return owner.host != socket.gethostname() or _is_running(owner)


def _is_running(owner: Owner) -> bool:
    try:
        started_at = psutil.Process(owner.pid).create_time()
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True  # there is such a process, of another user: believe its heartbeat
    # a clock step moves create_time between two readings; a pid comes round far later
    return abs(started_at - owner.started_at) < 2.0


def owner_of(row: Any) -> Owner | None:
    """The owner in a study's row."""
    if row.owner_host is None:
        return None
    return Owner(row.owner_host, row.owner_pid, row.owner_started_at)


def owner_values(owner: Owner | None) -> dict[str, Any]:
    """A study's columns that say who holds it since now."""
    return {
        "owner_host": None if owner is None else owner.host,
        "owner_pid": None if owner is None else owner.pid,
        "owner_started_at": None if owner is None else owner.started_at,
        "heartbeat_at": None if owner is None else utc_now(),
    }


def claim(connection: Connection, study_id: str, owner: Owner) -> None:
    """Take the lease and mark the study as running; raises `StoreError` while another holds it."""
    # FOR UPDATE makes a second claimer wait where writers run side by side; SQLite has one writer
    row = connection.execute(
        select(*StudyRow.__table__.c).where(StudyRow.id == study_id).with_for_update()
    ).first()
    if row is None:
        raise StoreError(f"the store has no study {study_id!r}")
    holder = owner_of(row)
    if holder is not None and holder != owner and is_held(holder, row.heartbeat_at):
        raise StoreError(
            f"study {study_id} is being run by process {holder.pid} on {holder.host}; "
            "wait for it or start another study with --fresh"
        )
    values = owner_values(owner) | {"status": StudyStatus.RUNNING.value, "finished_at": None}
    connection.execute(update(StudyRow).where(StudyRow.id == study_id).values(values))


def beat(connection: Connection, study_id: str, owner: Owner) -> None:
    """Renew the lease; raises `StoreError` if it was lost."""
    now = utc_now()
    renewed = connection.execute(
        update(StudyRow).where(_is_owned(study_id, owner)).values(heartbeat_at=now)
    )
    if renewed.rowcount != 1:
        raise StoreError(
            f"study {study_id} is no longer this process's: another one took it over "
            "after a long silence"
        )


def release(connection: Connection, study_id: str, owner: Owner) -> None:
    """Give the lease back; does nothing if it is another's by now."""
    connection.execute(
        update(StudyRow).where(_is_owned(study_id, owner)).values(owner_values(None))
    )


def finish(connection: Connection, study_id: str, owner: Owner, values: dict[str, Any]) -> bool:
    """Set a study's last values and give it back; False if it is another's by now."""
    is_nobodys = and_(StudyRow.id == study_id, StudyRow.owner_host.is_(None))
    ended = connection.execute(
        update(StudyRow)
        .where(or_(_is_owned(study_id, owner), is_nobodys))
        .values(values | owner_values(None))
    )
    return ended.rowcount == 1


def _is_owned(study_id: str, owner: Owner) -> Any:
    return and_(
        StudyRow.id == study_id,
        StudyRow.owner_host == owner.host,
        StudyRow.owner_pid == owner.pid,
        StudyRow.owner_started_at == owner.started_at,
    )
