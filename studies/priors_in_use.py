"""Which prior a study listens to: the one that was promoted last, or the one that comes with us.

Workers read a prior from a path, so that the store's is written to a file beside the store, named
by its digest, and checked each time against it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import platformdirs

from autometa.errors import StoreError
from autometa.priors.proposer.start import digest_of, is_of_this_version
from autometa.storage import Store
from autometa.storage.engine import NoStoreError
from autometa.storage.records import PriorRecord, Promotion
from autometa.studies.options import TuneOptions

NETWORKS = "networks"
"""The kind of a prior of initial weights and learning rates, in the store."""
SHIPPED = "shipped"
"""What the prior that comes with us is called where one of the store may be named."""


def cache_folder(store: Store) -> Path:
    """Where copies of a store's priors and checkpoints lie: beside its file, else in the cache."""
    return store.folder or Path(platformdirs.user_cache_dir("autometa"))


def learning_folder(store: Store) -> Path:
    """Where `prior learn` has lock, log and runs; several stores may lie in one folder."""
    mark = hashlib.sha256(store.shown_url.encode()).hexdigest()[:8]
    return cache_folder(store) / "learning" / mark


def runs_folder(store: Store) -> Path:
    """Where runs of `prior learn` have their state."""
    return learning_folder(store) / "runs"


def digest_in_use(store: Store) -> str:
    """The digest of the prior in use, that of the one that comes with us included."""
    return store.priors.in_use(NETWORKS) or digest_of(None)


def materialise(store: Store, prior: PriorRecord) -> Path:
    """The file of a prior of the store, written if it is not there as it should be.

    Raises `StoreError` if what the store has is not what its digest says.
    """
    path = cache_folder(store) / "priors" / f"{prior.digest}.safetensors"
    if path.exists() and digest_of(path) == prior.digest:
        return path
    content = prior.content or store.priors.find(prior.digest).content
    if hashlib.sha256(content).hexdigest() != prior.digest:
        raise StoreError(
            f"the prior {prior.name} ({prior.digest[:12]}) in the store is damaged: use "
            "another by `autometa prior rollback`"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{os.getpid()}.new")
    beside.write_bytes(content)
    beside.replace(path)
    return path


def file_of(store: str | Path | None, named: str | None) -> Path | None:
    """The file of a prior: one of the store by name or digest, or without a name the one in use.

    None is the one that comes with us. Raises `StoreError` if there is none of that name.
    """
    if named is not None and (named == SHIPPED or digest_of(None).startswith(named.lower())):
        return None
    try:
        with Store.open(store, is_made=False) as opened:
            digest = opened.priors.in_use(NETWORKS) if named is None else named
            return None if digest is None else materialise(opened, opened.priors.find(digest))
    except NoStoreError:
        if named is None and store is None:
            return None
        raise


def with_prior_in_use(options: TuneOptions, say: Callable[[str], None]) -> TuneOptions:
    """The options with the file of the prior that the store has in use, if the study may ask it.

    Where trials alone are the budget, runs of one seed are equal, which a store that learns would
    not let them be: these have the prior that comes with us, unless another is named. A prior that
    this version cannot read is not used, and that is said.
    """
    is_counted = options.is_counted and not options.is_instant
    if not options.use_prior or options.prior_file is not None or is_counted:
        return options
    try:
        with Store.open(options.store, is_made=False) as store:
            digest = store.priors.in_use(NETWORKS)
            if digest is None:
                return options
            prior = store.priors.find(digest)
            path = materialise(store, prior)
    except NoStoreError:
        return options
    if not is_of_this_version(path):
        say(
            f"the prior in use, {prior.name}, was made by another version and is not used: "
            "`autometa prior learn` makes a new one"
        )
        return options
    say(f"networks may start from {prior.name}, which has learned from your own tables")
    return replace(options, prior_file=path)


def trained_on(store: Store, fingerprint: str) -> tuple[str, ...]:
    """The digests of the priors that have learned from a table, by themselves or before."""
    return tuple(
        one.digest for one in store.priors.every() if fingerprint in own_tables_of(one.card)
    )


def own_tables_of(card: Mapping[str, object]) -> tuple[str, ...]:
    """The fingerprints of the store's tables that a prior's card names."""
    own = card.get("own_tables", ())
    return tuple(str(mark) for mark in own) if isinstance(own, Sequence) else ()


def promote(store: Store, digest: str | None, reason: str) -> None:
    """Put a prior to use from now on, None for the one that comes with us."""
    store.priors.promote(Promotion(NETWORKS, digest, reason))
