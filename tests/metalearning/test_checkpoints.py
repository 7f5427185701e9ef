"""Checkpoints: of something else, of other options, or damaged."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import SGD, Adam

from autometa.errors import MetaLearningError
from autometa.metalearning._base import MetaLearner
from autometa.metalearning.checkpoints import Checkpoint, read_checkpoint, write_checkpoint
from autometa.metalearning.gradient.maml import MAML
from autometa.metalearning.gradient.reptile import Reptile
from autometa.metalearning.resuming import ChangedOptionsWarning
from autometa.metalearning.sources.sinusoids import Sinusoids
from autometa.metalearning.training import (
    meta_train,
)
from tests.metalearning.small_runs import (
    SHORT,
    assert_same,
    maml,
    net,
)


def damaged_by(path: Path, how: str) -> MetaLearner:
    """Damages the checkpoint or gives a learner that it does not fit."""
    if how == "cut short":
        path.write_bytes(path.read_bytes()[:-20])
    elif how == "noise":
        path.write_bytes(b"\x00" * 100)
    elif how == "empty":
        path.write_bytes(b"")
    others: dict[str, Callable[[], MetaLearner]] = {
        "other class": lambda: Reptile(net(), 0.05),
        "other module": lambda: MAML(net(9), 0.05, n_steps=2, multi_step_until=4),
    }
    return others.get(how, maml)()


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("cut short", "cannot read .* delete it"),
        ("noise", "cannot read .* delete it"),
        ("empty", "cannot read .* delete it"),
        ("other class", "is of MAML by Adam, not of Reptile by Adam"),
        ("other module", "of a module with other parameters"),
        ("other optimizer", "of MAML by Adam, not of MAML by SGD"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_told(tmp_path: Path, how: str, said: str) -> None:
    """A damaged checkpoint, and one of something else, are refused and left where they are."""
    training = replace(SHORT, checkpoint=tmp_path / "run", n_steps=2)
    meta_train(maml(), Sinusoids(), training)
    learner = damaged_by(tmp_path / "run", how)
    if how == "other optimizer":
        training = replace(training, make_optimizer=lambda parameters: SGD(parameters, lr=1e-2))
    held = (tmp_path / "run").read_bytes()
    with pytest.raises(MetaLearningError, match=said):
        meta_train(learner, Sinusoids(), training)
    assert (tmp_path / "run").read_bytes() == held


def test_a_checkpoint_of_another_version_is_told(tmp_path: Path) -> None:
    """A file that lacks what this version writes is refused, by the names of that."""
    training = replace(SHORT, checkpoint=tmp_path / "run", n_steps=2)
    meta_train(maml(), Sinusoids(), training)
    held = read_checkpoint(tmp_path / "run")
    facts = {name: one for name, one in held.facts.items() if name not in ("rng", "n_read")}
    write_checkpoint(tmp_path / "run", Checkpoint(held.tensors, facts))
    with pytest.raises(MetaLearningError, match=r"lacks n_read, rng.*delete it"):
        meta_train(maml(), Sinusoids(), training)


@pytest.mark.parametrize(
    ("make", "change", "said"),
    [
        (
            lambda: MAML(net(), 0.06, n_steps=2, multi_step_until=4),
            {},
            "rule.rate was 0.05, is 0.06",
        ),
        (maml, {"seed": 5}, "seed was 0, is 5"),
        (maml, {"clip": 1.0}, "clip was None, is 1.0"),
        (maml, {"n_tasks": 3}, "n_tasks was 4, is 3"),
        (
            maml,
            {"make_optimizer": lambda parameters: Adam(parameters, lr=1.0)},
            r"lr was \[0.001\], is \[1.0\]",
        ),
    ],
)
def test_changed_options_are_told(
    tmp_path: Path, make: Callable[[], MAML], change: dict[str, Any], said: str
) -> None:
    """A run goes on with other options, and says which, and what they were, on the user's line."""
    training = replace(SHORT, checkpoint=tmp_path / "run", n_steps=2)
    meta_train(maml(), Sinusoids(), training)
    with pytest.warns(ChangedOptionsWarning, match=said) as told:
        found = meta_train(make(), Sinusoids(), replace(training, n_steps=4, **change))
    assert found.n_steps == 4
    assert [one.filename for one in told] == [__file__]
    assert str(told[0].message).count(", is ") == 1


def test_checkpoints_hold_tied_weights(tmp_path: Path) -> None:
    """Weights under two names are saved, though safetensors takes no shared memory."""
    module = nn.Sequential(nn.Linear(1, 1), nn.Tanh(), nn.Linear(1, 1))
    module[2].weight = module[0].weight
    learner, training = MAML(module, 0.1), replace(SHORT, checkpoint=tmp_path / "run")
    meta_train(learner, Sinusoids(), training)
    other = copy.deepcopy(learner)
    with torch.no_grad():
        module.get_parameter("0.weight").zero_()
    meta_train(learner, Sinusoids(), training)
    assert_same(learner, other)
