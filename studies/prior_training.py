"""`autometa prior train`: from a folder of tables to a prior's file."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypedDict

import numpy as np
import torch

from autometa.errors import OptionError
from autometa.priors.proposer.checkpoint import Prior, PriorCard, load_prior, save_prior
from autometa.priors.proposer.families import part_by_family
from autometa.priors.proposer.recipe import SHIPPED_RECIPE, Recipe
from autometa.priors.proposer.tasks import PriorTable
from autometa.priors.proposer.training import (
    Hardware,
    PhaseListener,
    TrainedProposer,
    train_proposer,
    unwatched,
)
from autometa.studies.cores import usable_cores
from autometa.studies.prior_tables import load_prior_tables
from autometa.studies.progress import Listener, Note, ignore
from autometa.studies.provenance import current_commit, machine_name
from autometa.studies.table_folders import HALVES, read_manifest

_WATCHED_SHARE = 0.15  # of the families: watched, not trained on


class PriorTrainWords(TypedDict):
    """What may be asked of a training, in the words of the command line."""

    output: Path
    tables: Path | None
    manifest: Path | None
    half: str
    scale: float
    seed: int
    checkpoints: Path | None
    device: str
    workers: int | None
    begin_with: Path | None


@dataclass(frozen=True, slots=True)
class PriorTrainOptions:
    """What to train on and where to keep it.

    Without `tables` and `manifest` all tasks are synthetic. `scale` multiplies the meta-steps of
    the shipped prior's recipe. With `checkpoints` a run that was broken off goes on. With
    `begin_with` it begins with that prior's weights, and learns from inner loops alone; of tables
    that prior was trained on, settings see families new to its weights only by its own `seed`.
    """

    output: Path
    tables: Path | None = None
    manifest: Path | None = None
    half: str = "all"
    scale: float = 1.0
    seed: int = 0
    checkpoints: Path | None = None
    device: str = "cpu"
    workers: int | None = None
    begin_with: Path | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be trained on."""
        if (self.tables is None) != (self.manifest is None):
            raise OptionError("--tables and --manifest go together: give both, or neither")
        if self.half not in HALVES:
            raise OptionError(f"half {self.half!r} is unknown: give one of {', '.join(HALVES)}")
        if not 0 < self.scale < math.inf:
            raise OptionError(f"--scale is {self.scale}: give a number above 0")
        if self.seed < 0:
            raise OptionError(f"--seed is {self.seed}: give 0 or more")
        if self.workers is not None and self.workers < 0:
            raise OptionError(f"--workers is {self.workers}: give 0 or more")
        if self.device not in ("cpu", "cuda"):
            raise OptionError(f"--device {self.device!r} is unknown: give cpu or cuda")
        if self.device == "cuda" and not torch.cuda.is_available():
            raise OptionError("there is no GPU that torch can use: leave --device out")
        self._check_output()

    def _check_output(self) -> None:
        """Only trying tells whether a file can be written, and training takes hours."""
        if self.output.is_dir():
            raise OptionError(f"--output {self.output} is a folder: name a file")
        try:
            self.output.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.output.parent):
                pass
        except OSError as error:
            raise OptionError(f"--output {self.output} cannot be written: {error}") from error

    @property
    def recipe(self) -> Recipe:
        """The shipped recipe, as long as was asked."""
        phases = tuple(
            replace(phase, n_meta_steps=max(1, round(phase.n_meta_steps * self.scale)))
            for phase in SHIPPED_RECIPE.phases
        )
        n_stop_tasks = max(4, round(SHIPPED_RECIPE.n_stop_tasks * min(self.scale, 1.0)))
        recipe = replace(SHIPPED_RECIPE, phases=phases, seed=self.seed, n_stop_tasks=n_stop_tasks)
        return recipe if self.begin_with is None else recipe.without_first_weights()


def train_prior(
    options: PriorTrainOptions, listen: Listener = ignore, watch: PhaseListener = unwatched
) -> Prior:
    """Meta-train a prior and write its file.

    Raises `AutometaError` for what the user can mend; checkpoints are kept then.
    """
    recipe = options.recipe
    parent = None if options.begin_with is None else load_prior(options.begin_with)
    tables, watched = _read_tables(options, parent, listen)
    n_processes = usable_cores() - 1 if options.workers is None else options.workers
    trained = train_proposer(
        recipe,
        tables,
        watched,
        begin_with=None if parent is None else parent.proposer,
        checkpoints=options.checkpoints,
        hardware=Hardware(options.device, n_processes),
        listen=watch,
        listen_to_stop=partial(_tell_of_stop, listen),
    )
    card = _with_parent(_card(options, recipe, tables, watched, trained), parent)
    prior = Prior(trained.proposer, card)
    save_prior(prior, options.output)
    return prior


def _card(
    options: PriorTrainOptions,
    recipe: Recipe,
    tables: Sequence[PriorTable],
    watched: Sequence[PriorTable],
    trained: TrainedProposer,
) -> PriorCard:
    return PriorCard(
        name=options.output.stem,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        commit=current_commit(),
        machine=machine_name(torch.device(options.device)),
        seed=options.seed,
        n_meta_steps=recipe.n_meta_steps,
        n_tasks=recipe.n_tasks,
        hours=round(trained.elapsed_s / 3600, 3),
        training=recipe.facts(),
        tables=tuple(table.name for table in tables),
        families=tuple(sorted({table.family for table in tables})),
        watched=tuple(sorted({table.family for table in watched})),
        scores={f"held-out loss after {name}": loss for name, loss in trained.held_out.items()},
    )


def _with_parent(card: PriorCard, parent: Prior | None) -> PriorCard:
    """The card with what the prior that training began with was trained on."""
    if parent is None:
        return card
    before = parent.card
    return replace(
        card,
        n_meta_steps=before.n_meta_steps + card.n_meta_steps,
        n_tasks=before.n_tasks + card.n_tasks,
        hours=round(before.hours + card.hours, 3),
        tables=tuple(sorted({*before.tables, *card.tables})),
        families=tuple(sorted({*before.families, *card.families})),
        parent=f"{before.name} of {before.made_at}",
    )


def _tell_of_stop(listen: Listener, n_done: int, n_tasks: int) -> None:
    listen(Note(f"when to stop: {n_done} of {n_tasks} inner loops"))


def _read_tables(
    options: PriorTrainOptions, parent: Prior | None, listen: Listener
) -> tuple[list[PriorTable], list[PriorTable]]:
    """Tables to train on, and those of other families, that no weight has seen, to watch."""
    if options.tables is None or options.manifest is None:
        return [], []
    listed = [
        table for table in read_manifest(options.manifest) if options.half in ("all", table.half)
    ]
    tables = load_prior_tables(options.tables, listed, lambda line: listen(Note(line)))
    rng = np.random.default_rng((options.seed, 3))
    training, watched = part_by_family(tables, _WATCHED_SHARE, rng)
    if not training:
        raise OptionError(
            f"none of the {len(listed)} tables in {options.manifest} can be trained on: give "
            "tables with a target and 14 rows or more"
        )
    known = set() if parent is None else set(parent.card.families)
    return (
        [*training, *(table for table in watched if table.family in known)],
        [table for table in watched if table.family not in known],
    )
