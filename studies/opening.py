"""Opening a study: the store, an earlier run to go on with or a new one, and its workspace."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import platformdirs

from autometa._version import __version__
from autometa.errors import StoreError
from autometa.priors._base import ProposedConfig
from autometa.records import TrialRecord
from autometa.storage import Store
from autometa.storage.records import (
    NewStudy,
    ProposalRecord,
    StudyRecord,
    TableRecord,
)
from autometa.studies.keeping import keeps_column_names
from autometa.studies.options import TuneOptions
from autometa.studies.setting import Setting
from autometa.studies.workspace import Workspace
from autometa.tables.description import DESCRIPTION_VERSION


@dataclass(frozen=True, slots=True)
class OpenStudy:
    """A study that this process runs: its record, its folder and the trials of earlier runs."""

    record: StudyRecord
    workspace: Workspace
    past: Sequence[TrialRecord]


def open_study(
    store: Store, setting: Setting, options: TuneOptions, baseline_loss: float
) -> OpenStudy:
    """Claim the unfinished study of the same key, or start a new one.

    One that another run holds, in this process or elsewhere, is left alone.
    """
    store.add_table(_table_record(setting, keeps_names=keeps_column_names(store)))
    record = _claim_earlier(store, setting.key)
    if record is not None and (options.is_fresh or not _is_laid_out(record)):
        _abandon(store, record)
        record = None
    if record is None:
        record = store.start_study(_new_study(store, setting, options, baseline_loss))
    past = store.trials(record.id)
    folder = Path(str(record.workspace))  # every study of `_new_study` has one
    workspace = Workspace.create(folder, setting.table, setting.plan, setting.metric, options.seed)
    workspace.clear_unknown({trial.number for trial in past})
    return OpenStudy(record, workspace, past)


def record_proposals(store: Store, study_id: str, first: Sequence[ProposedConfig]) -> None:
    """Remember which configs were proposed, and by whom."""
    store.add_proposals(
        ProposalRecord(
            study_id,
            "config",
            {"learner": proposed.learner, "config": dict(proposed.config)},
            proposed.origin,
        )
        for proposed in first
    )


def _claim_earlier(store: Store, key: str) -> StudyRecord | None:
    earlier = store.find_resumable(key)
    if earlier is None:
        return None
    try:
        store.claim_study(earlier.id)
    except StoreError:  # another run holds it at this moment: ours is a study of its own
        return None
    return earlier


def _is_laid_out(record: StudyRecord) -> bool:
    """Whether the study's folder is on this machine: without it no past trial can be used."""
    return record.workspace is not None and Workspace(Path(record.workspace)).is_laid_out


def _abandon(store: Store, record: StudyRecord) -> None:
    """Give an unfinished study up for good, and free the disk."""
    store.abandon_study(record.id)
    if record.workspace is not None:
        shutil.rmtree(record.workspace, ignore_errors=True)


def _table_record(setting: Setting, *, keeps_names: bool) -> TableRecord:
    table = setting.table
    names = tuple(column.name for column in table.schema.used)
    target = table.schema.target
    return TableRecord(
        fingerprint=setting.fingerprint,
        name=table.name,
        n_rows=len(table),
        n_columns=len(table.schema.used),
        target=target.name,
        kind=target.kind.value,
        n_classes=len(target.classes),
        description=setting.description,
        description_version=DESCRIPTION_VERSION,
        column_names=names if keeps_names else None,
    )


def _new_study(
    store: Store, setting: Setting, options: TuneOptions, baseline_loss: float
) -> NewStudy:
    plain = (str, int, float, bool)
    asked = {name: value for name, value in asdict(options).items() if isinstance(value, plain)}
    return NewStudy(
        table=setting.fingerprint,
        name=setting.table.name,
        key=setting.key,
        metric=setting.metric.name,
        seed=options.seed,
        split=setting.plan.name,
        options=asked,
        baseline_loss=baseline_loss,
        workspace=str(workspaces_folder(store) / secrets.token_hex(8)),
        autometa_version=__version__,
    )


def workspaces_folder(store: Store) -> Path:
    """Where studies have their workspaces: beside the store's file, else in the user's cache."""
    beside = store.folder or Path(platformdirs.user_cache_dir("autometa"))
    return beside / "workspaces"
