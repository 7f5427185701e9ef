"""Keeping a store in order: what it holds and takes, copies, space given back, upgrades."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from autometa.storage import Store
from autometa.storage.engine import no_store, shown, store_url
from autometa.storage.migrate import found_version
from autometa.storage.paths import default_store
from autometa.storage.records import StudyStatus, StudySummary
from autometa.storage.schema import SCHEMA_VERSION
from autometa.storage.upkeep import Holdings, place_for_backup
from autometa.studies.reports.figures import megabytes_text


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """Where a store is, what it holds, and which studies are being run now."""

    place: str
    database: str
    version: str
    n_bytes: int
    holdings: Holdings
    running: tuple[StudySummary, ...]


@dataclass(frozen=True, slots=True)
class BackedUp:
    """A copy of a store, looked through."""

    store: str
    file: Path
    n_bytes: int

    @property
    def sentence(self) -> str:
        """The same in words."""
        return f"{self.store} is copied to {self.file} ({megabytes_text(self.n_bytes)})"


@dataclass(frozen=True, slots=True)
class Vacuumed:
    """The size of a store before its free space was given back, and after."""

    store: str
    before: int
    after: int

    @property
    def sentence(self) -> str:
        """The same in words."""
        given = megabytes_text(max(0, self.before - self.after))
        return f"{self.store} gave back {given}, and takes {megabytes_text(self.after)}"


@dataclass(frozen=True, slots=True)
class Migrated:
    """From which schema to which a store was upgraded, and where the old one was copied to."""

    store: str
    before: str
    after: str
    backup: Path | None

    @property
    def sentence(self) -> str:
        """The same in words."""
        if self.before == self.after:
            return f"{self.store} is up to date: its schema is {self.after}"
        kept = f"; as it was it lies in {self.backup}" if self.backup is not None else ""
        return f"{self.store} is upgraded from schema {self.before} to {self.after}{kept}"


def store_status(store: str | Path | None) -> StoreStatus:
    """What there is. Raises `StoreError` without a store."""
    with Store.open(store, is_made=False) as opened:
        upkeep = opened.upkeep
        running = opened.studies(status=StudyStatus.RUNNING)
        return StoreStatus(
            opened.shown_url,
            upkeep.database,
            upkeep.version(),
            upkeep.size(),
            upkeep.holdings(),
            # those of processes that are no more show as interrupted
            tuple(one for one in running if one.status is StudyStatus.RUNNING),
        )


def back_up_store(file: str | Path, store: str | Path | None, *, is_forced: bool) -> BackedUp:
    """Copy a SQLite store to a file while others write; refuses to overwrite, unless forced."""
    with Store.open(store, is_made=False) as opened:
        target = Path(file).expanduser().absolute()
        opened.upkeep.back_up(target, is_forced=is_forced)
        return BackedUp(opened.shown_url, target, target.stat().st_size)


def vacuum_store(store: str | Path | None) -> Vacuumed:
    """Give back the space of what was deleted."""
    with Store.open(store, is_made=False) as opened:
        before = opened.upkeep.size()
        opened.upkeep.vacuum()
        return Vacuumed(opened.shown_url, before, opened.upkeep.size())


def migrate_store(store: str | Path | None) -> Migrated:
    """Upgrade a store to this version's schema; of a SQLite file a copy is kept beside it."""
    url = store_url(default_store() if store is None else store)
    before = found_version(url)
    if before is None:
        raise no_store(url)
    Store.open(url.render_as_string(hide_password=False), is_made=False).close()
    backup = place_for_backup(url, before)
    is_kept = backup is not None and backup.exists()
    return Migrated(shown(url), before, SCHEMA_VERSION, backup if is_kept else None)
