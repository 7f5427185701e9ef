"""Going on from a prior with few tables: rates and stop alone, or a little of the weights too.

Tasks come from pools (`replay`), half of them synthetic, so that what a prior knows of other
tables is met again while it learns of these.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from autometa.errors import OptionError
from autometa.metalearning._tasks import TaskBatch, TaskSource
from autometa.metalearning.training import MetaProgress, MetaTraining, meta_train
from autometa.priors.proposer.proposer import Proposer
from autometa.priors.proposer.recipe import Phase
from autometa.priors.proposer.stop import shift_stop
from autometa.priors.proposer.training import free_parts, make_optimizer, warm_cosine

_CLIP = 1.0
_WEIGHT_DECAY = 1e-2  # as the shipped recipe's


@dataclass(frozen=True, slots=True)
class Adjustment:
    """`n_meta_steps` of `n_tasks` each, with loops of one of `n_steps` steps.

    With `settings_only` rates, decay and schedule alone are learned. At the end a share `kept` of
    what it began with is mixed in, which on other tables is better than either (Wortsman et al.,
    2022), and `n_stop_groups` groups of tasks tell where loops should stop.
    """

    n_meta_steps: int
    n_steps: tuple[int, ...] = (0, 1, 2, 3, 5, 10)
    n_tasks: int = 8
    lr: float = 1e-3
    settings_lr: float = 5e-4
    settings_only: bool = False
    kept: float = 0.5
    n_stop_groups: int = 6

    def __post_init__(self) -> None:
        """Refuse groups that cannot be halved."""
        if self.n_tasks < 2 or self.n_tasks % 2:
            raise OptionError(f"{self.n_tasks} tasks have no half: give an even number")
        if not 0 <= self.kept < 1:
            raise OptionError(f"a share {self.kept} of the old weights leaves no new ones")

    def facts(self) -> dict[str, Any]:
        """Itself as JSON."""
        return asdict(self)

    @property
    def phase(self) -> Phase:
        """The same as a phase of a recipe."""
        return Phase(
            "own tables",
            self.n_meta_steps,
            self.n_steps,
            self.n_tasks,
            lr=self.lr,
            settings_lr=self.settings_lr,
            is_settings_only=self.settings_only,
        )


def adjust(
    begin_with: Proposer,
    source: TaskSource,
    stops: Callable[[], Sequence[TaskBatch]],
    how: Adjustment,
    *,
    seed: int = 0,
    checkpoint: Path | None = None,
    listen: Callable[[MetaProgress], None] = lambda progress: None,
) -> Proposer:
    """A proposer that has gone on learning; the one it begins with is left as it is.

    From a `checkpoint` that is there it goes on. `stops` gives the tasks that tell when to stop.
    What `listen` raises ends it: if it is a `KeyboardInterrupt` the checkpoint is written first.
    Raises `MetaLearningError` for losses that are not finite.
    """
    proposer = copy.deepcopy(begin_with)
    phase = how.phase
    free_parts(proposer, phase)
    training = MetaTraining(
        n_steps=how.n_meta_steps,
        n_tasks=how.n_tasks,
        make_optimizer=partial(make_optimizer, proposer, phase, _WEIGHT_DECAY),
        schedule=warm_cosine,
        clip=_CLIP,
        seed=seed,
        checkpoint=checkpoint,
        checkpoint_every=20,
    )
    meta_train(proposer, source, training, listen=listen)
    _mix_in(proposer, begin_with, how.kept)
    if how.n_stop_groups:
        shift_stop(proposer, stops())
    return proposer.eval().requires_grad_(requires_grad=False)


def _mix_in(proposer: Proposer, old: Proposer, share: float) -> None:
    """Move all parameters a share of the way back to the old ones."""
    with torch.no_grad():
        for new, before in zip(proposer.parameters(), old.parameters(), strict=True):
            new.lerp_(before.to(new.device), share)
