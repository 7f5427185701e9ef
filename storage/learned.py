"""Priors made from the store: their files, whose children they are, and which one is in use."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, insert, select

from autometa.errors import StoreError
from autometa.storage.encoding import from_json, to_json
from autometa.storage.engine import reading, writing
from autometa.storage.records import PriorRecord, Promotion
from autometa.storage.schema import PriorRow, PromotionRow
from autometa.storage.upserts import add_unless_known


class Priors:
    """The priors of a store, as `Store.priors`; each call is one transaction.

    Which prior is in use is the last promotion of its kind: nothing is ever overwritten, so that
    what was promoted can be rolled back.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, prior: PriorRecord) -> None:
        """Keep a prior; one whose digest is known is the same file, and is ignored."""
        values = {
            "digest": prior.digest,
            "name": prior.name,
            "kind": prior.kind,
            "parent": prior.parent,
            "card": to_json(dict(prior.card)),
            "gates": to_json(dict(prior.gates)),
            "content": prior.content,
            "created_at": prior.created_at,
        }
        with writing(self._engine) as connection:
            add_unless_known(connection, PriorRow, values)

    def every(self) -> list[PriorRecord]:
        """Every prior, the oldest first, without its content."""
        columns = [column for column in PriorRow.__table__.c if column.name != "content"]
        query = select(*columns).order_by(PriorRow.created_at, PriorRow.digest)
        with reading(self._engine) as connection:
            return [_prior(row) for row in connection.execute(query)]

    def find(self, prefix: str) -> PriorRecord:
        """The one prior whose digest starts so, or that is called so, with its content.

        Raises `StoreError` if there is none, or if there are several.
        """
        is_meant = PriorRow.digest.startswith(prefix.lower(), autoescape=True)
        query = select(*PriorRow.__table__.c).where(is_meant | (PriorRow.name == prefix))
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
        if len(rows) == 1:
            return _prior(rows[0])
        if not rows:
            raise StoreError(f"the store has no prior {prefix!r}; `autometa priors` lists them")
        names = ", ".join(f"{row.digest[:12]} ({row.name})" for row in rows)
        raise StoreError(f"{prefix!r} may be several priors: {names}; give more of the digest")

    def promote(self, promotion: Promotion) -> None:
        """Put a prior to use from now on."""
        values = {
            "kind": promotion.kind,
            "digest": promotion.digest,
            "reason": promotion.reason,
            "created_at": promotion.created_at,
        }
        with writing(self._engine) as connection:
            connection.execute(insert(PromotionRow), values)

    def promotions(self, kind: str) -> list[Promotion]:
        """What was in use, in order; the last one is now. Empty: always what comes with us."""
        query = select(*PromotionRow.__table__.c).where(PromotionRow.kind == kind)
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(PromotionRow.id)).all()
        return [Promotion(row.kind, row.digest, row.reason, row.created_at) for row in rows]

    def in_use(self, kind: str) -> str | None:
        """The digest of the prior of this kind in use; None is the one that comes with us."""
        promotions = self.promotions(kind)
        return promotions[-1].digest if promotions else None


def _prior(row: Any) -> PriorRecord:
    return PriorRecord(
        digest=row.digest,
        name=row.name,
        kind=row.kind,
        parent=row.parent,
        card=from_json(row.card),
        gates=from_json(row.gates),
        content=getattr(row, "content", b""),
        created_at=row.created_at,
    )
