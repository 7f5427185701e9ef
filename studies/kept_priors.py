"""The priors that a store holds: made from its own history, one of each kind in use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from autometa.errors import OptionError
from autometa.storage import PriorRecord, Promotion, Store
from autometa.studies.filter_words import ListWords, read_moment

ORDERS = ("made", "name", "kind")


@dataclass(frozen=True, slots=True)
class KeptPrior:
    """A prior without its file; `parents` are the priors it descends from, the nearest first."""

    prior: PriorRecord
    is_in_use: bool
    parents: tuple[PriorRecord, ...]
    promotions: tuple[Promotion, ...]


def find_priors(store: str | Path | None, words: ListWords) -> list[KeptPrior]:
    """The priors made since a moment, the newest first. Raises `StoreError` without a store."""
    since, sort = read_moment(words.get("since")), words.get("sort") or "-made"
    name = sort.removeprefix("-")
    if name not in ORDERS:
        raise OptionError(f"--sort {sort!r}: give one of {', '.join(ORDERS)}, or -made ...")
    with Store.open(store, is_made=False) as opened:
        kept = _kept(opened)
    kept = [one for one in kept if since is None or one.prior.created_at >= since]
    keys = {
        "made": lambda one: one.prior.created_at,
        "name": lambda one: one.prior.name,
        "kind": lambda one: one.prior.kind,
    }
    kept.sort(key=keys[name], reverse=sort.startswith("-"))
    return kept[: words.get("n", 0) or None]


def view_prior(store: str | Path | None, named: str) -> KeptPrior:
    """The one prior of this name, or whose digest starts so. Raises without a store."""
    with Store.open(store, is_made=False) as opened:
        found = opened.priors.find(named)
        return next(one for one in _kept(opened) if one.prior.digest == found.digest)


def _kept(store: Store) -> list[KeptPrior]:
    priors = store.priors.every()
    promotions = {
        kind: store.priors.promotions(kind) for kind in sorted({one.kind for one in priors})
    }
    return [_one(prior, priors, promotions[prior.kind]) for prior in priors]


def _one(
    prior: PriorRecord, priors: Sequence[PriorRecord], promotions: Sequence[Promotion]
) -> KeptPrior:
    return KeptPrior(
        prior,
        is_in_use=bool(promotions) and promotions[-1].digest == prior.digest,
        parents=tuple(_line_of(prior, {one.digest: one for one in priors})),
        promotions=tuple(one for one in promotions if one.digest == prior.digest),
    )


def _line_of(prior: PriorRecord, by_digest: dict[str, PriorRecord]) -> list[PriorRecord]:
    """Its parent, that one's parent and so on, as far as the store has them."""
    line: list[PriorRecord] = []
    parent = by_digest.get(prior.parent or "")
    while parent is not None and parent not in line:
        line.append(parent)
        parent = by_digest.get(parent.parent or "")
    return line
