"""Meta-training of a proposer by a recipe: can be watched, broken off and gone on with."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.optim import AdamW, Optimizer

from autometa.errors import MetaLearningError
from autometa.metalearning._tasks import TaskSource
from autometa.metalearning.sources.ahead import DrawnAhead
from autometa.metalearning.training import MetaProgress, MetaTraining, cosine, meta_train
from autometa.priors.proposer.families import part_by_family
from autometa.priors.proposer.proposer import Proposer
from autometa.priors.proposer.recipe import Phase, Recipe
from autometa.priors.proposer.sources import MixedTasks, RealTasks, SyntheticTasks
from autometa.priors.proposer.stop import learn_stop
from autometa.priors.proposer.tasks import PriorTable, TaskSize

PhaseListener = Callable[[str, MetaProgress], None]
_WARM_SHARE = 0.01  # of the meta-steps, until the meta-rate is whole
_BETAS = (0.9, 0.98)
_CLIP = 1.0
_FEWEST_FAMILIES = 5  # of a part: what one or two ask for is no rule


def unwatched(phase: str, progress: MetaProgress) -> None:
    """Listens to nothing."""
    del phase, progress


@dataclass(frozen=True, slots=True)
class Hardware:
    """What trains: a device, and other processes that draw tasks ahead.

    These are the same ones however many processes there are.
    """

    device: torch.device | str = "cpu"
    n_processes: int = 0


@dataclass(frozen=True, slots=True)
class TrainedProposer:
    """A proposer, and mean losses of held-out tasks at the end of each phase, by its name."""

    proposer: Proposer
    held_out: dict[str, float]
    elapsed_s: float


def train_proposer(
    recipe: Recipe,
    tables: Sequence[PriorTable],
    held_out: Sequence[PriorTable] = (),
    *,
    begin_with: Proposer | None = None,
    checkpoints: Path | None = None,
    hardware: Hardware | None = None,
    listen: PhaseListener = unwatched,
    listen_to_stop: Callable[[int, int], None] = lambda n_done, n_tasks: None,
) -> TrainedProposer:
    """Meta-train by a recipe on these tables and synthetic ones; without tables on the latter.

    `held_out` are tables of other families, whose loss is watched. It begins with the weights of
    `begin_with`, or with ones drawn by the recipe's seed, and goes on from files that are in
    `checkpoints` already. `listen_to_stop` hears how many inner loops have told when to stop.
    Raises `MetaLearningError` for losses that are not finite, for weights of another
    shape, and for checkpoints of another recipe, other tables or other first weights.
    """
    proposer = _first_proposer(recipe, begin_with)
    if checkpoints is not None:
        first = None if begin_with is None else _digest_of(proposer)
        parts = {"tables": tables, "held out": held_out}
        _require_same_run(checkpoints, recipe, parts, first)
    hardware = hardware or Hardware()
    proposer = proposer.to(hardware.device)
    sources = _Sources.of(tables, recipe)
    sources.check(held_out)
    losses: dict[str, float] = {}
    elapsed_s = 0.0
    for place, phase in enumerate(recipe.phases):
        name = f"{place}-{phase.name.replace(' ', '-')}.safetensors"
        size = recipe.size_of(phase)
        seed = recipe.seed + place
        with DrawnAhead(sources.of_phase(phase), seed, hardware.n_processes) as source:
            done = meta_train(
                free_parts(proposer, phase),
                source,
                MetaTraining(
                    n_steps=phase.n_meta_steps,
                    n_tasks=phase.n_tasks,
                    make_optimizer=partial(make_optimizer, proposer, phase, recipe.weight_decay),
                    schedule=warm_cosine,
                    clip=_CLIP,
                    seed=seed,
                    n_held_out=200,
                    evaluate_every=math.ceil(phase.n_meta_steps / phase.n_measurements),
                    checkpoint=None if checkpoints is None else checkpoints / name,
                    checkpoint_every=max(1, min(200, phase.n_meta_steps // 4)),
                ),
                held_out=RealTasks(held_out, size) if held_out else (),
                listen=partial(listen, phase.name),
            )
        elapsed_s += done.elapsed_s
        if done.after:
            losses[phase.name] = done.after[max(done.after)]
    _learn_stop(proposer, sources, listen_to_stop)
    return TrainedProposer(proposer.cpu(), losses, elapsed_s)


@dataclass(frozen=True, slots=True)
class _Sources:
    """Where tasks come from: tables for weights, and others for settings."""

    recipe: Recipe
    for_weights: Sequence[PriorTable]
    for_settings: Sequence[PriorTable]

    @classmethod
    def of(cls, tables: Sequence[PriorTable], recipe: Recipe) -> _Sources:
        """Parted by family; of too few families all serve both."""
        rng = np.random.default_rng((recipe.seed, 5))
        parts = part_by_family(tables, recipe.settings_share, rng)
        if min(len({table.family for table in part}) for part in parts) < _FEWEST_FAMILIES:
            return cls(recipe, tables, tables)
        return cls(recipe, *parts)

    def check(self, held_out: Sequence[PriorTable]) -> None:
        """Raise `MetaLearningError` now, not after hours, if tables make no tasks."""
        for tables in (self.for_weights, self.for_settings, held_out):
            for phase in self.recipe.phases if tables else ():
                source = RealTasks(tables, self.recipe.size_of(phase))
                source.draw(1, np.random.default_rng(self.recipe.seed))

    def of_phase(self, phase: Phase) -> TaskSource:
        """Real tables and synthetic ones; where there are none, the latter."""
        tables = self.for_settings if phase.is_settings_only else self.for_weights
        return self._mixed(tables, self.recipe.size_of(phase))

    def of_stop(self) -> TaskSource:
        """As the last phase's tasks, of tables that settings are learned from."""
        return self._mixed(self.for_settings, self.recipe.size_of(self.recipe.phases[-1]))

    def _mixed(self, tables: Sequence[PriorTable], size: TaskSize) -> TaskSource:
        synthetic = SyntheticTasks(size)
        if not tables:
            return synthetic
        real = RealTasks(tables, size, self.recipe.retargeted)
        return MixedTasks(synthetic, real, self.recipe.real_share)


def _first_proposer(recipe: Recipe, begin_with: Proposer | None) -> Proposer:
    """With weights drawn by the recipe's seed, or those of another of its shape."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(recipe.seed)
        proposer = Proposer(recipe.shape, cells=recipe.cells, seed=recipe.seed)
    if begin_with is not None:
        if begin_with.generator.shape != recipe.shape:
            raise MetaLearningError(
                f"the prior to begin with has the shape {begin_with.generator.shape.facts()}, and "
                f"the recipe {recipe.shape.facts()}: begin with one of this version"
            )
        proposer.load_state_dict(begin_with.state_dict())
    return proposer


def _digest_of(proposer: Proposer) -> str:
    """Of its weights."""
    found = hashlib.sha256()
    for name, one in sorted(proposer.state_dict().items()):
        found.update(name.encode() + one.cpu().numpy().tobytes())
    return found.hexdigest()


def _require_same_run(
    folder: Path,
    recipe: Recipe,
    tables: Mapping[str, Sequence[PriorTable]],
    first: str | None,
) -> None:
    """Raise `MetaLearningError` if the folder's state is of another run than this.

    `first` stands for the weights it begins with, None for those that the seed draws.
    """
    of_families = {
        what: [[table.name, table.family] for table in part] for what, part in tables.items()
    }
    facts = {"recipe": recipe.facts(), "begins with": first, **of_families}
    wanted = json.dumps(facts, sort_keys=True)
    path = folder / "run.json"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(wanted, encoding="utf-8")
    elif path.read_text(encoding="utf-8") != wanted:
        raise MetaLearningError(
            f"the checkpoints in {folder} are of another recipe, seed, length, other tables, "
            "families or first weights: give another folder, or the same options to go on"
        )


def free_parts(proposer: Proposer, phase: Phase) -> Proposer:
    """The proposer with what a phase learns free, and its inner loops."""
    proposer.requires_grad_(requires_grad=not phase.is_settings_only)
    proposer.generator.settings.requires_grad_(requires_grad=True)
    proposer.step_choices = phase.n_steps
    return proposer


def make_optimizer(
    proposer: Proposer, phase: Phase, weight_decay: float, parameters: list[nn.Parameter]
) -> Optimizer:
    """Two groups: weights, and what settings come from."""
    settings = list(proposer.generator.settings.parameters())
    own = {id(one) for one in settings}
    weights = [one for one in parameters if id(one) not in own]
    # decay would draw each setting to the middle of its bounds
    groups = [
        {"params": weights, "lr": phase.lr, "weight_decay": weight_decay},
        {"params": settings, "lr": phase.settings_lr, "weight_decay": 0.0},
    ]
    return AdamW(groups, betas=_BETAS)


def warm_cosine(done: float) -> float:
    """The share of the meta-rate: up within a hundredth of the steps, then half a cosine."""
    return min(1.0, (done + 1e-4) / _WARM_SHARE) * cosine(done)


def _learn_stop(proposer: Proposer, sources: _Sources, listen: Callable[[int, int], None]) -> None:
    """By whole inner loops, on tables that weights were not learned from."""
    recipe = sources.recipe
    n_tasks = recipe.n_stop_tasks
    if n_tasks == 0 or not any(phase.has_loops for phase in recipe.phases):
        return
    rng = np.random.default_rng((recipe.seed, 2))
    drawn = sources.of_stop().draw(n_tasks, rng)
    learn_stop(proposer, drawn, lambda n_done: listen(n_done, n_tasks))
