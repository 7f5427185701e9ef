"""What learning leaves in the store: a prior with its card and its gates, in use if it passed."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import torch

from autometa.priors.proposer.adjusting import Adjustment
from autometa.priors.proposer.checkpoint import Prior, PriorCard, save_prior
from autometa.priors.proposer.proposer import Proposer
from autometa.storage import Store
from autometa.storage.records import PriorRecord
from autometa.studies.learning.gates import Verdict
from autometa.studies.learning.own_tables import OwnTable
from autometa.studies.priors_in_use import NETWORKS, digest_in_use, own_tables_of, promote
from autometa.studies.provenance import current_commit, machine_name


@dataclass(frozen=True, slots=True)
class Origin:
    """What a prior was made from: the one it began with, and tables; how, and in what time."""

    parent: Prior
    digest: str
    tables: Sequence[OwnTable]
    how: Adjustment
    seed: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Learned:
    """What came of it: `prior` is None if there was nothing to learn from, or no time."""

    sentence: str
    prior: PriorRecord | None = None
    is_promoted: bool = False
    is_paused: bool = False


def keep_prior(store: Store, proposer: Proposer, origin: Origin, verdict: Verdict) -> PriorRecord:
    """Add the new prior to the store, with its card and how it was judged."""
    every = {one.digest: one for one in store.priors.every()}
    card = _card(origin, f"own-{len(every) + 1}")
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "prior.safetensors"
        save_prior(Prior(proposer, card), path)
        content = path.read_bytes()
    before = every.get(origin.digest)
    own = {one.fingerprint for one in origin.tables}
    own |= set(() if before is None else own_tables_of(before.card))
    record = PriorRecord(
        digest=hashlib.sha256(content).hexdigest(),
        name=card.name,
        kind=NETWORKS,
        parent=origin.digest,
        card={**asdict(card), "own_tables": sorted(own)},
        gates={"beside": origin.digest, **verdict.to_json()},
        content=content,
    )
    store.priors.add(record)
    return record


def put_to_use(store: Store, record: PriorRecord, verdict: Verdict) -> Learned:
    """Promote a prior that has passed beside the one that is still in use; else say why not."""
    called = f"{record.name} ({record.digest[:12]})"
    if not verdict.has_passed:
        return Learned(f"{called} is kept, but not used: {verdict.sentence}", record)
    if digest_in_use(store) != record.parent:
        said = f"{called} is kept, but not used: another prior was promoted meanwhile"
        return Learned(said, record)
    promote(store, record.digest, f"passed its gates: {verdict.sentence}")
    said = f"{called} is in use from now on: {verdict.sentence}"
    return Learned(said, record, is_promoted=True)


def _card(origin: Origin, name: str) -> PriorCard:
    """The parent's, with what was added to it."""
    before, how = origin.parent.card, origin.how
    names = {f"{own.record.name} ({own.fingerprint[:8]})" for own in origin.tables}
    families = {f"own {own.family[:8]}" for own in origin.tables}
    return replace(
        before,
        name=name,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        commit=current_commit(),
        machine=machine_name(torch.device("cpu")),
        seed=origin.seed,
        n_meta_steps=before.n_meta_steps + how.n_meta_steps,
        n_tasks=before.n_tasks + how.n_meta_steps * how.n_tasks,
        hours=round(before.hours + origin.seconds / 3600, 3),
        training=how.facts(),
        tables=tuple(sorted({*before.tables, *names})),
        families=tuple(sorted({*before.families, *families})),
        scores={},
        parent=f"{before.name} of {before.made_at}",
    )
