"""Leases: at most one run of one process holds a study.

A lease lapses with its process. On the same machine that can be seen, however long the process has
been silent; on another the only sign of it is a silence of `LEASE_S`.
"""

from __future__ import annotations

import os
import secrets
import socket
from datetime import datetime, timedelta
from typing import Any

import psutil
from sqlalchemy import Connection, and_, or_, select, update

from autometa.errors import StoreError
from autometa.storage.records import Owner, StudyRecord, StudyStatus, utc_now
from autometa.storage.schema import StudyRow

# a driver beats every few seconds; this allows for a long stall of a swapping machine
LEASE_S = 120.0


class LeaseLostError(StoreError):
    """A study is another run's by now."""


def new_owner() -> Owner:
    """An owner to claim with: this process, and a token that no other run in it has."""
    pid = os.getpid()
    started_at = psutil.Process(pid).create_time()
    return Owner(socket.gethostname(), pid, started_at, secrets.token_hex(8))


def is_held(owner: Owner | None, heartbeat_at: datetime | None) -> bool:
    """Whether a lease still holds."""
    if owner is None or heartbeat_at is None:
        return False
    if owner.host == socket.gethostname():
        return _is_running(owner)
    return utc_now() - heartbeat_at <= timedelta(seconds=LEASE_S)


def require_free(study: StudyRecord) -> None:
    """Raise `StoreError` while a run is at the study."""
    if study.status is StudyStatus.RUNNING and is_held(study.owner, study.heartbeat_at):
        raise StoreError(f"a run is at study {study.id} of {study.name}: end it first")


def _is_running(owner: Owner) -> bool:
    try:
        process = psutil.Process(owner.pid)
        started_at = process.create_time()
        if process.status() == psutil.STATUS_ZOMBIE:  # killed, and nobody has waited for it
            return False
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True  # there is such a process, of another user
    # a clock step moves create_time between two readings; a pid comes round far later
    return abs(started_at - owner.started_at) < 2.0


def owner_of(row: Any) -> Owner | None:
    """The owner in a study's row."""
    if row.owner_host is None:
        return None
    return Owner(row.owner_host, row.owner_pid, row.owner_started_at, row.owner_token)


def owner_values(owner: Owner | None) -> dict[str, Any]:
    """A study's columns that say who holds it since now."""
    return {
        "owner_host": None if owner is None else owner.host,
        "owner_pid": None if owner is None else owner.pid,
        "owner_started_at": None if owner is None else owner.started_at,
        "owner_token": None if owner is None else owner.token,
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
    """Renew the lease; raises `LeaseLostError` if it was lost."""
    now = utc_now()
    renewed = connection.execute(
        update(StudyRow).where(_is_owned(study_id, owner)).values(heartbeat_at=now)
    )
    if renewed.rowcount != 1:
        raise LeaseLostError(
            f"study {study_id} is no longer this run's: another one took it over "
            "after a long silence"
        )


def release(connection: Connection, study_id: str, owner: Owner) -> None:
    """Give the lease back; does nothing if it is another's by now."""
    connection.execute(
        update(StudyRow).where(_is_owned(study_id, owner)).values(owner_values(None))
    )


def finish(connection: Connection, study_id: str, owner: Owner, values: dict[str, Any]) -> bool:
    """Set a study's last values and give it back; False if another has it, or finished it."""
    is_nobodys = and_(
        StudyRow.id == study_id,
        StudyRow.owner_host.is_(None),
        StudyRow.status != StudyStatus.FINISHED.value,
    )
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
        StudyRow.owner_token == owner.token,
    )
