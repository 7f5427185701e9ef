"""What the prior in use makes of each table as a whole, kept with the tables of the store."""

from __future__ import annotations

from collections.abc import Sequence

from autometa.priors.proposer.proposer import Proposer
from autometa.priors.proposer.proposing import propose_network
from autometa.storage import Store
from autometa.studies.learning.own_tables import OwnTable


def embed_tables(store: Store, own: Sequence[OwnTable], proposer: Proposer, digest: str) -> int:
    """Keep the embeddings that are missing, and say how many these were.

    Of the rows that are kept: a fifth of a second for each table.
    """
    known = store.remembered.embeddings(digest)
    missing = [one for one in own if one.fingerprint not in known]
    for one in missing:
        table = one.prior_table
        proposal = propose_network(proposer, table.sample, table.n_classes)
        store.remembered.add_embedding(one.fingerprint, digest, proposal.embedding.tolist())
    return len(missing)
