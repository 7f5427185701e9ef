"""The network that a study leaves to those of kin tables, and where theirs may start from it.

Axes as in `priors.proposer.kin`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from pathlib import Path

from autometa.priors._base import StartProposer
from autometa.priors.proposer.kin_start import KinStart
from autometa.priors.proposer.start import PriorStart
from autometa.records import TrialRecord, TrialState
from autometa.storage import NetworkRecord
from autometa.studies.execution import Executor
from autometa.studies.workspace import Workspace

_NETWORK = "network"
_FILE = "kin.safetensors"
_MOST_BYTES = 4_000_000  # 4 members of 128 units on 190 cell columns
_PACKING_S = 3.0  # at most, after a study


@dataclass(frozen=True, slots=True)
class KinNetwork:
    """A network that was kept of a table that is kin, and the table's name."""

    record: NetworkRecord
    table: str


@dataclass(frozen=True, slots=True)
class PackUnit:
    """Which trial's network to pack; a worker's, where torch is loaded already."""

    workspace: Path
    number: int


def pack_network(unit: PackUnit) -> bytes | None:
    """The network of the trial's first fold as the file that is kept, if a prior proposed it."""
    # torch: not in the driver
    from autometa.learners.network.model import load_network  # noqa: PLC0415
    from autometa.priors.proposer.kin import KeptNetwork  # noqa: PLC0415

    workspace = Workspace(unit.workspace)
    proposed = load_network(workspace.trial_folder(unit.number) / "0").proposed
    if proposed is None:
        return None
    kept = KeptNetwork.of(*proposed, workspace.fold(0).fit.features)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / _FILE
        kept.write(path)
        return path.read_bytes()


def find_trained(records: Sequence[TrialRecord]) -> TrialRecord | None:
    """The best trial of a network that the prior proposed and that was trained then."""
    trained = [
        record
        for record in records
        if record.learner == _NETWORK
        and record.state is TrialState.COMPLETE
        and record.loss is not None
        and record.config.get("start", "standard") != "standard"
        and record.config.get("length") != 0
    ]
    return min(trained, key=lambda record: record.loss or 0.0, default=None)


def network_of_study(
    executor: Executor, workspace: Workspace, study_id: str, records: Sequence[TrialRecord]
) -> NetworkRecord | None:
    """What to keep of a study's networks; None if none was trained, or if it is too large.

    A worker has a few seconds for it: it is a convenience, and not worth waiting for.
    """
    best = find_trained(records)
    if best is None or executor.n_free == 0:
        return None
    future = executor.submit(pack_network, PackUnit(workspace.folder, best.number))
    try:
        content = future.result(timeout=_PACKING_S)
    except FutureTimeoutError:
        executor.end(future)
        return None
    if content is None or len(content) > _MOST_BYTES:
        return None
    return NetworkRecord(study_id, best.number, {"config": dict(best.config)}, content)


def start_beside(start: StartProposer, kin: KinNetwork | None, folder: Path) -> StartProposer:
    """A prior's start with the network of kin beside it, whose file is written to `folder`."""
    if kin is None or not isinstance(start, PriorStart):
        return start
    path = folder / _FILE
    path.write_bytes(kin.record.content)
    return KinStart(start, path, kin.table)
