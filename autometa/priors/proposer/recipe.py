"""How a prior is meta-trained: phases one after another, each with its own inner loops.

`SHIPPED_RECIPE` is that of the prior that comes with the package.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from autometa.errors import OptionError
from autometa.priors.proposer.cells import CellOptions
from autometa.priors.proposer.generator import GeneratorShape
from autometa.priors.proposer.tasks import TaskSize


@dataclass(frozen=True, slots=True)
class Phase:
    """`n_meta_steps` of `n_tasks` each, with inner loops of one of `n_steps` steps.

    `lr` is of the weights, `settings_lr` of what rates and schedule come from, which a few numbers
    decide: at the weights' rate they hardly move. With `is_settings_only` these alone are learned,
    and weights stay. Held-out tables are measured before and `n_measurements` times after. Only
    with `has_trees` tasks have the recipe's columns of trees: they take long to draw.
    """

    name: str
    n_meta_steps: int
    n_steps: tuple[int, ...] = (0,)
    n_tasks: int = 8
    lr: float = 2e-3
    settings_lr: float = 1e-2
    is_settings_only: bool = False
    n_measurements: int = 20
    has_trees: bool = False
    size: TaskSize = field(default_factory=TaskSize)

    def __post_init__(self) -> None:
        """Refuse a phase that learns nothing."""
        if self.is_settings_only and min(self.n_steps) == 0:
            raise OptionError(f"phase {self.name!r} learns settings: give inner steps from 1 on")
        if min(self.n_meta_steps, self.n_tasks, self.n_measurements) < 1:
            raise OptionError(f"phase {self.name!r} has a count below 1: give 1 or more of each")

    @property
    def has_loops(self) -> bool:
        """Whether any of its tasks has inner steps."""
        return max(self.n_steps) > 0


@dataclass(frozen=True, slots=True)
class Recipe:
    """Phases by turns, and what of.

    `real_share` of the tasks are of real tables, where there are any, and a share `retargeted` of
    those have another column as their target. A share of the families, `settings_share`, is kept
    from the phases that learn weights: phases that learn settings alone see these, for on tables
    that weights were made for steps help less. At the end `n_stop_tasks` inner loops on them tell
    when to stop. Tables asked about later have `cells`.
    """

    phases: tuple[Phase, ...]
    shape: GeneratorShape = field(default_factory=GeneratorShape)
    cells: CellOptions = field(default_factory=CellOptions)
    real_share: float = 0.5
    retargeted: float = 0.0
    settings_share: float = 0.2
    weight_decay: float = 1e-2
    n_stop_tasks: int = 300
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse shares that are none."""
        for name in ("real_share", "retargeted", "settings_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise OptionError(f"{name} is {getattr(self, name)}: give a share from 0 to 1")

    def facts(self) -> dict[str, Any]:
        """Itself as JSON."""
        return asdict(self)

    def without_first_weights(self) -> Recipe:
        """The phases with inner loops alone: what is left of it for weights that are there."""
        return replace(self, phases=tuple(phase for phase in self.phases if phase.has_loops))

    def size_of(self, phase: Phase) -> TaskSize:
        """Of a phase's tasks, with this recipe's cells."""
        has_trees = self.cells.has_trees and phase.has_trees
        return replace(phase.size, cells=replace(self.cells, has_trees=has_trees))

    @property
    def n_meta_steps(self) -> int:
        """Of all phases."""
        return sum(phase.n_meta_steps for phase in self.phases)

    @property
    def n_tasks(self) -> int:
        """Drawn in all phases."""
        return sum(phase.n_meta_steps * phase.n_tasks for phase in self.phases)


# tasks of one shape learn in two thirds of the time on a core, and a GPU is idle without
_SIZE = TaskSize(n_alike=8)
SHIPPED_RECIPE = Recipe(
    # without products of columns interactions are lost; what trees buy: docs/log.md
    cells=CellOptions(n_pairs=8, has_trees=True),
    phases=(
        Phase("weights", 30_000, size=_SIZE),
        # rates are hardly moved: ten steps alone would have them all small
        Phase(
            "short loops",
            3_000,
            (0, 1, 2, 3, 5, 10),
            lr=5e-4,
            settings_lr=5e-4,
            n_measurements=5,
            has_trees=True,
            size=_SIZE,
        ),
        Phase(
            "long loops",
            300,
            (50, 100),
            is_settings_only=True,
            settings_lr=5e-3,
            n_measurements=2,
            has_trees=True,
            # loops are for tables of a thousand rows too, and there longer steps are right
            size=replace(_SIZE, support=(150, 2048)),
        ),
    ),
)
