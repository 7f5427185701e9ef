"""How `prior learn` learns, and how it judges what it has learned."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from autometa.errors import OptionError
from autometa.priors.proposer.adjusting import Adjustment

FEWEST_FOR_WEIGHTS = 8
"""Own tables to learn weights from, too; fewer teach rates and stop alone."""


@dataclass(frozen=True, slots=True)
class LearnRecipe:
    """What is learned of many tables and of few, and on how much it is judged.

    Each of `n_folds` priors is trained without a part of the tables, and judged on it by `n_draws`
    tasks a table; the one of all tables is judged on `n_synthetic` synthetic ones. Tasks are drawn
    once for all: `n_synthetic_groups` groups of half a meta-step's tasks, and `n_groups_a_table`
    for each own table, whose target is another column of it in a share `retargeted` of them.
    """

    weights: Adjustment = field(default_factory=lambda: Adjustment(150))
    settings: Adjustment = field(
        default_factory=lambda: Adjustment(
            24, (5, 10, 30), settings_lr=5e-3, settings_only=True, n_stop_groups=8
        )
    )
    n_folds: int = 4
    n_draws: int = 2
    n_synthetic: int = 80
    n_synthetic_groups: int = 48
    n_groups_a_table: int = 3
    support: tuple[int, int] = (40, 700)
    retargeted: float = 0.3

    def __post_init__(self) -> None:
        """Refuse what cannot be judged."""
        counts = (self.n_draws, self.n_synthetic_groups, self.n_groups_a_table)
        if self.n_folds < 2 or self.n_synthetic < 2 or min(counts) < 1:
            raise OptionError("a prior is judged by 2 folds and 2 synthetic tables or more")

    def adjustment(self, n_tables: int) -> Adjustment:
        """What is learned of so many tables."""
        return self.weights if n_tables >= FEWEST_FOR_WEIGHTS else self.settings

    def facts(self) -> dict[str, Any]:
        """Itself as JSON."""
        return asdict(self)
