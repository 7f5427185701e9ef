"""Looking at the priors of a store, and choosing by hand which one is used."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autometa.errors import StoreError
from autometa.priors.proposer.start import SHIPPED_PRIOR, digest_of, facts_of
from autometa.storage import Store
from autometa.storage.engine import NoStoreError
from autometa.storage.records import PriorRecord, Promotion
from autometa.studies.priors_in_use import NETWORKS, SHIPPED, file_of, own_tables_of, promote


@dataclass(frozen=True, slots=True)
class PriorView:
    """A prior: the store's, or the one that comes with us, whose `record` is None.

    `lineage` are the names of those that it was made from, its parent first. `has_passed` is None
    if it was never judged.
    """

    name: str
    digest: str
    is_in_use: bool
    card: Mapping[str, Any]
    lineage: tuple[str, ...] = ()
    gates: Mapping[str, Any] = field(default_factory=dict[str, Any])
    record: PriorRecord | None = None

    @property
    def has_passed(self) -> bool | None:
        """How its gates went."""
        found = self.gates.get("has_passed")
        return found if isinstance(found, bool) else None

    @property
    def n_own_tables(self) -> int:
        """How many tables of the store it has learned from."""
        return len(own_tables_of(self.card))


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is in use now, in words."""

    sentence: str


@dataclass(frozen=True, slots=True)
class Compared:
    """Two priors, and their losses on each table that the store has rows of, by its name."""

    first: PriorView
    second: PriorView
    losses: Mapping[str, tuple[float, float]]


def list_priors(store: str | Path | None) -> list[PriorView]:
    """The one that comes with us, then the store's, the oldest first."""
    try:
        with Store.open(store, is_made=False) as opened:
            return _views(opened)
    except NoStoreError:
        if store is not None:
            raise
        return [_shipped_view(is_in_use=True)]


def view_prior(store: str | Path | None, named: str | None) -> PriorView:
    """A prior by name or the start of its digest; without one, the one in use.

    Raises `StoreError` if there is none of that name, or several.
    """
    return _find(list_priors(store), named)


def promote_prior(store: str | Path | None, named: str, *, is_forced: bool = False) -> Chosen:
    """Use a prior from now on. Raises `StoreError` if its gates failed, unless it is forced."""
    with Store.open(store, is_made=False) as opened:
        view = _find(_views(opened), named)
        if view.is_in_use:
            return Chosen(f"{view.name} is in use already")
        if view.has_passed is False and not is_forced:
            raise StoreError(
                f"{view.name} did not pass its gates: {view.gates.get('sentence')}; "
                "--force uses it all the same"
            )
        why = "by hand, although its gates failed" if view.has_passed is False else "by hand"
        promote(opened, None if view.record is None else view.digest, why)
    return Chosen(f"{view.name} is in use from now on")


def roll_back(store: str | Path | None, to: str | None = None) -> Chosen:
    """Use the prior that was in use before, or one named, whatever its gates say.

    Raises `StoreError` if there is nothing to go back to.
    """
    with Store.open(store, is_made=False) as opened:
        views = _views(opened)
        if to is not None:
            view = _find(views, to)
            digest = None if view.record is None else view.digest
        else:
            digest = _before(opened.priors.promotions(NETWORKS))
            view = _find(views, digest or SHIPPED)
        if view.is_in_use:
            return Chosen(f"{view.name} is in use already")
        promote(opened, digest, "rolled back")
    return Chosen(f"{view.name} is in use from now on")


def compare_priors(
    store: str | Path | None,
    first: str,
    second: str,
    say: Callable[[str], None] = lambda line: None,
) -> Compared:
    """Cards, gates, and losses on the tables that the store has rows of.

    Losses are those that `prior learn` judges by; but a prior may have learned from the very rows,
    which its card tells. Raises `StoreError` if one is not there.
    """
    with Store.open(store, is_made=False) as opened:
        views = _views(opened)
        pair = _find(views, first), _find(views, second)
        losses = _losses(opened, [file_of(store, view.digest) for view in pair], say)
    return Compared(*pair, losses)


def _losses(
    store: Store, paths: Sequence[Path | None], say: Callable[[str], None]
) -> dict[str, tuple[float, float]]:
    import numpy as np  # noqa: PLC0415  with what follows a second that a listing need not wait for

    from autometa.priors.proposer.checkpoint import load_prior  # noqa: PLC0415
    from autometa.studies.learning.judges import judged_table, losses_of  # noqa: PLC0415
    from autometa.studies.learning.own_tables import read_own_tables  # noqa: PLC0415

    first, second = (load_prior(path).proposer for path in paths)
    found: dict[str, tuple[float, float]] = {}
    for own in read_own_tables(store, say):
        rows = np.arange(len(own.table))
        pair = [
            losses_of(proposer, [judged])[own.fingerprint]
            for proposer in (first, second)
            if (judged := judged_table(own, rows, proposer.cells, 2)) is not None
        ]
        if len(pair) == 2:
            found[f"{own.record.name} ({own.fingerprint[:8]})"] = (pair[0], pair[1])
    return found


def _views(store: Store) -> list[PriorView]:
    records = [one for one in store.priors.every() if one.kind == NETWORKS]
    in_use = store.priors.in_use(NETWORKS)
    by_digest = {one.digest: one for one in records}
    return [
        _shipped_view(is_in_use=in_use is None),
        *(
            PriorView(
                name=one.name,
                digest=one.digest,
                is_in_use=one.digest == in_use,
                card=one.card,
                lineage=tuple(_lineage(one, by_digest)),
                gates=one.gates,
                record=one,
            )
            for one in records
        ),
    ]


def _shipped_view(*, is_in_use: bool) -> PriorView:
    return PriorView(SHIPPED, digest_of(None), is_in_use, facts_of(SHIPPED_PRIOR)["card"])


def _lineage(record: PriorRecord, known: Mapping[str, PriorRecord]) -> list[str]:
    names: list[str] = []
    parent = record.parent
    while parent is not None and parent in known and len(names) < len(known):
        names.append(known[parent].name)
        parent = known[parent].parent
    if parent is not None:
        is_shipped = parent == digest_of(None)
        names.append(SHIPPED if is_shipped else f"{parent[:12]}, which is not there")
    return names


def _find(views: Sequence[PriorView], named: str | None) -> PriorView:
    if named is None:
        found = [view for view in views if view.is_in_use]
    else:
        found = [view for view in views if view.name == named]
        found = found or [view for view in views if view.digest.startswith(named.lower())]
    if len(found) == 1:
        return found[0]
    if not found:
        raise StoreError(f"there is no prior {named!r}: `autometa prior list` names them")
    names = ", ".join(f"{view.digest[:12]} ({view.name})" for view in found)
    raise StoreError(f"{named!r} may be several priors: {names}; give more of the digest")


def _before(promotions: Sequence[Promotion]) -> str | None:
    """What was in use before the last one, as if what was rolled back had never been promoted."""
    stack: list[str | None] = [None]
    for one in promotions:
        if len(stack) > 1 and one.digest == stack[-2]:
            stack.pop()
        else:
            stack.append(one.digest)
    if len(stack) == 1:
        raise StoreError("the prior that comes with us is in use, and was before: nothing to undo")
    return stack[-2]
