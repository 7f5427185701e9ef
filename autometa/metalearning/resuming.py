"""Meta-training that goes on: what a checkpoint holds of a run, and what has changed since."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch.optim import Optimizer

from autometa.errors import MetaLearningError
from autometa.metalearning._base import MetaLearner
from autometa.metalearning._running import TaskRunner, warn_caller
from autometa.metalearning.checkpoints import (
    Checkpoint,
    optimizer_tensors,
    read_checkpoint,
    restore_optimizer,
    write_checkpoint,
)
from autometa.metalearning.watching import Watch

# what `save_run` writes besides the two kinds
_FACTS = frozenset(
    (
        *("options", "settings", "step", "loss", "elapsed_s", "n_read", "is_together"),
        *("rng", "optimizer_numbers", "before", "after"),
    )
)


class ChangedOptionsWarning(UserWarning):
    """A run goes on with other options than it was begun with."""


@dataclass(slots=True)
class Run:
    """What meta-training changes: all that a checkpoint must hold.

    `loss` is a moving mean; `elapsed_s` is the time of earlier runs; `n_read` counts the tasks
    that were read of a stream. `settings` are what is told of if a checkpoint has others.
    """

    learner: MetaLearner
    optimizer: Optimizer
    watch: Watch
    rng: np.random.Generator
    settings: Mapping[str, object]
    step: int = 0
    loss: float = float("nan")
    elapsed_s: float = 0.0
    n_read: int = 0


def save_run(path: Path, run: Run, elapsed_s: float) -> None:
    """Write the checkpoint of a run that has taken so long in all."""
    tensors, numbers = optimizer_tensors(run.optimizer)
    named = {
        "learner": run.learner.state_dict(),
        "optimizer": tensors,
        "best": run.watch.best,
    }
    facts = {
        **_kinds(run),
        "options": run.learner.facts(),
        "settings": run.settings,
        "step": run.step,
        "loss": run.loss,
        "elapsed_s": elapsed_s,
        "n_read": run.n_read,
        "is_together": _is_together(run.learner),
        "rng": run.rng.bit_generator.state,
        "optimizer_numbers": numbers,
        "before": list(run.watch.before.items()),
        "after": list(run.watch.after.items()),
    }
    flat = {f"{part}.{name}": one for part, all_ in named.items() for name, one in all_.items()}
    write_checkpoint(path, Checkpoint(flat, facts))


def resume_run(path: Path, run: Run) -> None:
    """Bring a run to where the checkpoint's was, and tell of options that changed since.

    Raises `MetaLearningError` for the checkpoint of another class, optimiser or module.
    """
    checkpoint = read_checkpoint(path)
    facts = checkpoint.facts
    _require_own(path, run, facts)
    try:
        run.learner.load_state_dict(checkpoint.under("learner"))
    except RuntimeError as error:
        raise MetaLearningError(
            f"the checkpoint {path} is of a module with other parameters; delete it to start "
            f"over, or name another file: {error}"
        ) from error
    restore_optimizer(run.optimizer, checkpoint.under("optimizer"), facts["optimizer_numbers"])
    run.rng.bit_generator.state = facts["rng"]
    run.step, run.loss, run.elapsed_s = facts["step"], facts["loss"], facts["elapsed_s"]
    run.n_read = facts["n_read"]
    run.watch.before, run.watch.after = dict(facts["before"]), dict(facts["after"])
    run.watch.best = checkpoint.under("best")
    runner = getattr(run.learner, "runner", None)
    if isinstance(runner, TaskRunner) and not facts["is_together"]:
        runner.is_together = False
    _tell_changes(path, run, facts)


def how_to_go_on(path: Path | str | None, step: int) -> str:
    """What a run that failed after so many good steps leaves behind."""
    if path is None or step == 0:
        return f"The learner is as after step {step}"
    return (
        f"{path} holds the state after step {step}: meta_train goes on from it with other options "
        "of the learner, a lower rate of the optimiser, or other tasks"
    )


def differences(theirs: object, ours: object, name: str = "") -> Iterator[str]:
    """What differs between two JSON values, entry by entry: `rule.rate was 0.1, is 0.2`."""
    if isinstance(theirs, Mapping) and isinstance(ours, Mapping):
        for key in {**theirs, **ours}:
            inner = f"{name}.{key}" if name else str(key)
            yield from differences(theirs.get(key), ours.get(key), inner)
    elif theirs != ours:
        yield f"{name} was {theirs}, is {ours}"


def _kinds(run: Run) -> dict[str, str]:
    return {"learner": type(run.learner).__name__, "optimizer": type(run.optimizer).__name__}


def _is_together(learner: MetaLearner) -> bool:
    runner = getattr(learner, "runner", None)
    return not isinstance(runner, TaskRunner) or runner.is_together


def _require_own(path: Path, run: Run, facts: Mapping[str, Any]) -> None:
    if not facts.keys() >= _FACTS:
        raise MetaLearningError(
            f"the checkpoint {path} lacks {', '.join(sorted(_FACTS - facts.keys()))}, and is none "
            "of this version: delete it to start over, or name another file"
        )
    ours = _kinds(run)
    theirs = {name: facts.get(name) for name in ours}
    if theirs != ours:
        raise MetaLearningError(
            f"the checkpoint {path} is of {theirs['learner']} by {theirs['optimizer']}, not of "
            f"{ours['learner']} by {ours['optimizer']}: delete it to start over, or name another "
            "file"
        )


def _tell_changes(path: Path, run: Run, facts: Mapping[str, Any]) -> None:
    # as JSON has them: lists for tuples
    options, settings = json.loads(json.dumps([run.learner.facts(), dict(run.settings)]))
    changed = [
        *differences(facts["options"], options),
        *differences(facts["settings"], settings),
    ]
    if changed:
        warn_caller(
            f"the checkpoint {path} goes on with other options than it was begun with: "
            f"{'; '.join(changed)}. Draws go on where they were; name another file to start over",
            ChangedOptionsWarning,
        )
