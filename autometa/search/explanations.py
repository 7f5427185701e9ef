"""Why a trial has the config it has: kept with the trial, and told to who asks.

A trial's user attribute `autometa_why` holds the explanation as JSON; `explain` reads it back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, cast

from optuna.trial import FrozenTrial

ATTRIBUTE = "autometa_why"

_N_TOLD = 3  # tasks that are named


class Origin(StrEnum):
    """Where a config came from."""

    MEMBER = "past member"
    PORTFOLIO = "portfolio"
    PAST = "past config"
    NEAR = "near the best"
    CHANCE = "chance"


@dataclass(frozen=True, slots=True)
class Explanation:
    """What led to a config.

    `entry` is the portfolio's entry, from 1, or a trial: the one that the config is near, or that
    it was in the past. `tasks` are
    the past tasks that spoke for it, with their shares. `expected` is the value of the study's
    objective, `low` and `high` nine tenths of the chance around it; None where too few trials tell
    the scale. `better_than` is the share of middling configs that it is expected to beat.
    `prior_weight` is how much the past was listened to, 0 to 1.
    """

    origin: Origin
    entry: int | None = None
    tasks: Mapping[str, float] = field(default_factory=dict[str, float])
    expected: float | None = None
    low: float | None = None
    high: float | None = None
    better_than: float | None = None
    prior_weight: float | None = None

    @property
    def sentence(self) -> str:
        """The same in words."""
        parts = [self._beginning]
        if self.tasks:
            best = sorted(self.tasks.items(), key=lambda one: (-one[1], one[0]))[:_N_TOLD]
            parts.append("from " + ", ".join(f"{name} ({share:.0%})" for name, share in best))
        if self.better_than is not None:
            parts.append(f"expected to beat {self.better_than:.0%} of configs")
        if self.expected is not None and self.low is not None and self.high is not None:
            parts.append(f"expected {self.expected:.4g} ({self.low:.4g} to {self.high:.4g})")
        if self.prior_weight is not None:
            parts.append(f"weight of the past {self.prior_weight:.2f}")
        return "; ".join(parts)

    @property
    def _beginning(self) -> str:
        if self.origin is Origin.PORTFOLIO:
            return f"entry {self.entry} of the portfolio of past configs"
        if self.origin is Origin.MEMBER:
            return f"trial {self.entry} of a past study, a member of its model"
        if self.origin is Origin.NEAR:
            return f"near trial {self.entry}, by expected improvement"
        if self.origin is Origin.PAST:
            return "a config of the past, by expected improvement"
        if self.expected is None:
            return "drawn by chance, to begin with"
        return "drawn by chance, kept by expected improvement"

    @classmethod
    def from_attribute(cls, kept: Mapping[str, Any]) -> Explanation:
        """What `as_attribute` told."""
        return cls(
            Origin(kept["origin"]),
            kept.get("entry"),
            dict(kept.get("tasks", {})),
            kept.get("expected"),
            kept.get("low"),
            kept.get("high"),
            kept.get("better_than"),
            kept.get("prior_weight"),
        )

    def as_attribute(self) -> dict[str, object]:
        """As JSON takes it; what is not known is left out."""
        known = {name: value for name, value in asdict(self).items() if value not in (None, {})}
        found: dict[str, object] = {**known, "origin": str(self.origin)}
        return found


def explain(trial: FrozenTrial | Mapping[str, Any]) -> Explanation | None:
    """Why a trial, given itself or by its user attributes, has its config.

    None if no prior proposed it.
    """
    attributes = trial.user_attrs if isinstance(trial, FrozenTrial) else trial
    kept = cast("Mapping[str, Any] | None", attributes.get(ATTRIBUTE))
    return None if kept is None else Explanation.from_attribute(kept)
