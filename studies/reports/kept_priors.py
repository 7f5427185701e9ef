"""Priors that a store holds, as listings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from autometa.studies.kept_priors import KeptPrior
from autometa.studies.reports.listing import Listing, Section, pairs
from autometa.studies.reports.outcome import JSON, plain, record_values

_HEADINGS = ("prior", "kind", "in use", "parent", "made", "digest")
_NOTHING = (
    "no prior of your own yet: `autometa prior learn` makes one from your studies; what comes "
    "with us is in use, `autometa prior show` says what it is"
)
_N_DIGITS = 12  # of a digest: enough to tell any two apart


def priors_listing(found: Sequence[KeptPrior]) -> Listing:
    """A line for each prior."""
    rows = tuple(
        (
            kept.prior.name,
            kept.prior.kind,
            "yes" if kept.is_in_use else "no",
            _parent(kept),
            f"{kept.prior.created_at.astimezone():%Y-%m-%d %H:%M}",
            kept.prior.digest[:_N_DIGITS],
        )
        for kept in found
    )
    values: JSON = [_values(kept) for kept in found]
    return Listing((Section(_HEADINGS, rows),), values, _NOTHING)


def prior_listing(kept: KeptPrior) -> Listing:
    """One prior: whose child it is, how it fared at its gates, what it was trained on."""
    prior = kept.prior
    line = " <- ".join(f"{one.name} ({one.digest[:_N_DIGITS]})" for one in kept.parents)
    about = pairs(
        "prior",
        [
            ("prior", prior.name),
            ("kind", prior.kind),
            ("digest", prior.digest),
            ("in use", "yes" if kept.is_in_use else "no"),
            ("made from", line or _parent(kept)),
            ("made", f"{prior.created_at.astimezone():%Y-%m-%d %H:%M}"),
            *(
                (f"since {one.created_at.astimezone():%F %H:%M}", one.reason)
                for one in kept.promotions
            ),
        ],
    )
    sections = about, pairs("gates", _facts(prior.gates)), pairs("card", _facts(prior.card))
    return Listing(sections, _values(kept))


def _parent(kept: KeptPrior) -> str:
    if kept.prior.parent is None:
        return "what comes with us"
    return kept.parents[0].name if kept.parents else kept.prior.parent[:_N_DIGITS]


def _facts(values: Mapping[str, object], inside: str = "") -> list[tuple[str, str]]:
    """Names with their values, those of nested ones after a dot."""
    facts: list[tuple[str, str]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            facts += _facts(value, f"{inside}{name}.")
        else:
            facts.append((f"{inside}{name}", _text(value)))
    return facts


def _text(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(_text(one) for one in value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _values(kept: KeptPrior) -> dict[str, JSON]:
    values = record_values(kept.prior)
    del values["content"]
    values["is_in_use"] = kept.is_in_use
    values["parents"] = [one.digest for one in kept.parents]
    values["promotions"] = plain(kept.promotions)
    return values
