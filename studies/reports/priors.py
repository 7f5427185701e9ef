"""A prior's card, and its proposal for a table, as listings."""

from __future__ import annotations

from dataclasses import asdict

from autometa.priors.proposer.checkpoint import PriorCard
from autometa.studies.proposing import Proposal
from autometa.studies.reports.figures import score_text
from autometa.studies.reports.listing import Listing, Section, pairs
from autometa.studies.reports.outcome import plain

_PARTS = {"weight": "weights", "bias": "biases"}


def card_listing(card: PriorCard) -> Listing:
    """What the prior was trained on, and its figures."""
    about = pairs(
        "prior",
        [
            ("name", card.name),
            ("made", card.made_at),
            ("trained on", _trained_on(card)),
            ("began with", card.parent or ""),
            ("meta-steps", f"{card.n_meta_steps:,}"),
            ("tasks", f"{card.n_tasks:,}"),
            ("hours", score_text(card.hours)),
            ("machine", card.machine),
            ("seed", str(card.seed)),
            ("commit", card.commit),
        ],
    )
    scores = tuple((name, score_text(score)) for name, score in card.scores.items())
    return Listing((about, Section(("figure", "value"), scores, "measured")), plain(asdict(card)))


def _trained_on(card: PriorCard) -> str:
    if not card.tables:
        return "synthetic tables"
    n_families = len(card.families)
    return f"synthetic tables and {len(card.tables)} real ones of {n_families} families"


def proposal_listing(proposal: Proposal) -> Listing:
    """What is proposed for a table, in words and numbers."""
    network = proposal.network
    schema = proposal.table.schema
    units = f"{network.module.width} units, {network.module.n_blocks} blocks"
    n_weights = sum(one.numel() for one in network.module.parameters())
    about = pairs(
        "proposal",
        [
            ("table", proposal.table.name),
            ("rows", f"{len(proposal.table):,}"),
            ("columns", f"{len(schema.used)}, read as {network.encoder.n_columns} of cells"),
            ("target", f"{schema.target.name} ({schema.target.kind.value})"),
            ("network", f"{units}, {n_weights:,} weights that predict at once"),
            ("weight decay", score_text(network.decay)),
            ("rates fall as", f"(1 - share of steps done) ** {network.power:.2f}"),
            ("suggested stop", f"after {network.n_steps} steps"),
        ],
    )
    rates = tuple((_in_words(name), f"{rate:.2g}") for name, rate in network.rates.items())
    values = {
        "table": proposal.table.name,
        "rates": dict(network.rates),
        "weight_decay": network.decay,
        "power": network.power,
        "n_steps": network.n_steps,
        "n_columns": network.encoder.n_columns,
        "embedding": network.embedding.tolist(),
    }
    return Listing((about, Section(("tensor", "learning rate"), rates, "rates")), plain(values))


def _in_words(name: str) -> str:
    """`blocks.0.weight` as "block 1, weights"."""
    layer, _, part = name.rpartition(".")
    words = {"first": "first layer", "head": "output layer"}
    if layer.startswith("blocks."):
        words[layer] = f"block {int(layer.removeprefix('blocks.')) + 1}"
    return f"{words[layer]}, {_PARTS[part]}"
