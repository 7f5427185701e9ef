"""How a study's settings and a history's go together.

Settings are matched by name. Numbers match numbers, whatever their ranges and scales: values are
compared as they are. Choices match choices by their options.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from optuna.distributions import BaseDistribution, CategoricalDistribution


@dataclass(frozen=True, slots=True)
class Match:
    """Settings by name: told by the past, unknown to it, of no use here, and of another kind."""

    matched: tuple[str, ...]
    filled: tuple[str, ...]
    ignored: tuple[str, ...]
    clashing: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """The same in words."""
        parts = [f"{len(self.matched)} settings are known from the past"]
        if not self.matched:
            parts = ["no setting of the study is known from the past"]
        if self.filled:
            parts.append(f"new are {', '.join(self.filled)}")
        if self.ignored:
            parts.append(f"the past also has {', '.join(self.ignored)}")
        if self.clashing:
            parts.append(f"numbers in one and choices in the other are {', '.join(self.clashing)}")
        return "; ".join(parts)


def match_spaces(
    past: Mapping[str, BaseDistribution], study: Mapping[str, BaseDistribution]
) -> Match:
    """Which settings of a study the past tells of."""
    shared = [name for name in study if name in past]
    matched = tuple(name for name in shared if _is_alike(past[name], study[name]))
    return Match(
        matched,
        filled=tuple(name for name in study if name not in past),
        ignored=tuple(name for name in past if name not in study),
        clashing=tuple(name for name in shared if name not in matched),
    )


def _is_alike(past: BaseDistribution, study: BaseDistribution) -> bool:
    if isinstance(past, CategoricalDistribution) and isinstance(study, CategoricalDistribution):
        return any(
            type(one) is type(other) and one == other
            for one in past.choices
            for other in study.choices
        )
    return not isinstance(past, CategoricalDistribution | type(None)) and not isinstance(
        study, CategoricalDistribution
    )
