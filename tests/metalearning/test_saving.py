"""Meta-learners as folders of plain files."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from autometa.errors import MetaLearningError
from autometa.metalearning._base import MetaLearner
from autometa.metalearning._tasks import Examples, TaskBatch
from autometa.metalearning.checkpoints import Checkpoint, read_checkpoint, write_checkpoint
from autometa.metalearning.gradient._base import InnerRule, Move, Parameters
from autometa.metalearning.gradient.adam import AdamOptions
from autometa.metalearning.gradient.maml import ANIL, MAML, MetaSGD
from autometa.metalearning.gradient.reptile import Reptile
from autometa.metalearning.gradient.rules import RuleOptions
from autometa.metalearning.matching.column_kernel import ColumnMatching
from autometa.metalearning.matching.network import MatchingNetwork
from autometa.metalearning.ridge import RidgeLearner
from autometa.metalearning.saving import load_learner, save_learner
from autometa.metalearning.stochastic.strategy import StochasticStrategy

DTYPES = [torch.float32, torch.float64]


def net(seed: int = 0, dtype: torch.dtype = torch.float32, n_hidden: int = 4) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(2, n_hidden), nn.Tanh(), nn.Linear(n_hidden, 3)).to(dtype)


def tasks(dtype: torch.dtype = torch.float32) -> TaskBatch:
    rng = np.random.default_rng(0)

    def rows() -> Examples:
        inputs = torch.as_tensor(rng.normal(size=(2, 6, 2)), dtype=dtype)
        return Examples(inputs, torch.arange(6).remainder(3).repeat(2, 1))

    return TaskBatch(rows(), rows())


LEARNERS: dict[str, Callable[[nn.Module], MetaLearner]] = {
    "MAML": lambda module: MAML(
        module, RuleOptions(0.1, "one", momentum=0.3, clip=1.0), order=1, multi_step_until=7
    ),
    "MAML++": lambda module: MAML(
        module, RuleOptions(0.1, "tensor", n_steps=3, max_growth=2.0), n_steps=3
    ),
    "ANIL": lambda module: ANIL(module, 0.2, head=["2."], n_steps=(2, 4)),
    "Meta-SGD": lambda module: MetaSGD(
        module, RuleOptions(0.1, "parameter", is_momentum_learned=True, is_decay_learned=True)
    ),
    "Reptile": lambda module: Reptile(module, AdamOptions(0.01, (0.5, 0.9)), batch_size=None),
    "Reptile, moments kept": lambda module: Reptile(module, AdamOptions(is_moment_kept=True)),
    "ridge": lambda module: RidgeLearner(module, penalty=3.0, scale=2.0),
    "stochastic": lambda module: StochasticStrategy(module, n_rows_read=20),
    "matching": MatchingNetwork,
    "matching in context": lambda module: MatchingNetwork(module, n_reads=2, n_dimensions=3),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", LEARNERS)
def test_what_is_saved_comes_back(tmp_path: Path, kind: str, dtype: torch.dtype) -> None:
    """Around another module of the same shapes, a loaded learner has the same outputs and options.

    Every tensor was moved away from where it starts, so that none can be right by chance.
    """
    learner, batch = LEARNERS[kind](net(dtype=dtype)), tasks(dtype)
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in learner.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    learner.accumulate(batch, 1.0, np.random.default_rng(0))
    save_learner(learner, tmp_path / "new" / "folder")
    found = load_learner(tmp_path / "new" / "folder", net(seed=1, dtype=dtype))
    assert type(found) is type(learner)
    assert found.facts() == learner.facts()
    torch.testing.assert_close(found.state_dict(), learner.state_dict(), rtol=0, atol=0)
    outputs = [one.query_outputs(batch, [0, 3]) for one in (learner, found)]
    assert torch.equal(outputs[0], outputs[1])
    assert found.n_inner_steps == learner.n_inner_steps


def test_what_has_no_module_comes_back_without_one(tmp_path: Path) -> None:
    """Matching by columns is saved and loaded by itself; others say that they need a module."""
    torch.manual_seed(0)
    learner, batch = ColumnMatching(width=4), tasks()
    with torch.no_grad():
        for parameter in learner.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    save_learner(learner, tmp_path / "columns")
    found = load_learner(tmp_path / "columns")
    outputs = [one.query_outputs(batch, [1]) for one in (learner, found)]
    assert torch.equal(outputs[0], outputs[1])
    save_learner(MAML(net()), tmp_path / "maml")
    with pytest.raises(MetaLearningError, match="without a module"):
        load_learner(tmp_path / "maml")


def test_one_file_holds_tensors_and_json(tmp_path: Path) -> None:
    """A folder holds one file: tensors, and JSON in its header; nothing that loading would run."""
    save_learner(LEARNERS["MAML"](net()), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["learner.safetensors"]
    facts = read_checkpoint(tmp_path / "learner.safetensors").facts
    assert json.loads(json.dumps(facts)) == facts
    assert facts["kind"] == "MAML"
    assert facts["options"]["rule"]["momentum"] == 0.3


def test_what_cannot_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    """Options that are no JSON break saving off, and the learner saved before is still there."""
    save_learner(LEARNERS["ridge"](net()), tmp_path)
    with pytest.raises(TypeError):
        save_learner(MAML(net(), OwnRule(object())), tmp_path)
    assert isinstance(load_learner(tmp_path, net()), RidgeLearner)


def test_saving_again_replaces(tmp_path: Path) -> None:
    """A folder holds what was saved last."""
    save_learner(LEARNERS["ridge"](net()), tmp_path)
    save_learner(LEARNERS["Reptile"](net()), tmp_path)
    assert isinstance(load_learner(tmp_path, net()), Reptile)


@pytest.mark.parametrize("module", [net(n_hidden=5), nn.Linear(2, 3), nn.Identity()])
@pytest.mark.parametrize("kind", ["MAML", "Meta-SGD", "ridge", "matching"])
def test_a_module_that_does_not_fit_is_told(tmp_path: Path, kind: str, module: nn.Module) -> None:
    """Parameters of other names or shapes raise an error that a user can mend."""
    save_learner(LEARNERS[kind](net()), tmp_path)
    with pytest.raises(MetaLearningError):
        load_learner(tmp_path, module)


@pytest.mark.parametrize(
    "facts",
    [
        {"kind": "Pickle", "options": {}},
        {},
        {"kind": "MAML"},
        {"kind": "MAML", "options": {"colour": "red"}},
        {"kind": "MAML", "options": {"rule": {"kind": "gradient", "speed": 1}}},
        {"kind": "MAML", "options": {"rule": {"kind": "newton"}}},
        {"kind": "MAML", "options": {"n_steps": "many"}},
    ],
)
def test_damaged_options_are_told(tmp_path: Path, facts: dict[str, object]) -> None:
    """Options that no meta-learner has raise an error that names the file or the option."""
    save_learner(MAML(net()), tmp_path)
    path = tmp_path / "learner.safetensors"
    write_checkpoint(path, Checkpoint(read_checkpoint(path).tensors, facts))
    with pytest.raises(MetaLearningError):
        load_learner(tmp_path, net())


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    """What cannot be read is named, with what to do."""
    with pytest.raises(MetaLearningError, match=r"cannot read .*nowhere.* save the learner again"):
        load_learner(str(tmp_path / "nowhere"), net())


class Mine(MAML):
    """A meta-learner of one's own, which takes other options."""

    def __init__(self, module: nn.Module, *, boldness: float) -> None:
        super().__init__(module, 0.1 * boldness)
        self.boldness = boldness

    def facts(self) -> dict[str, object]:
        return {"boldness": self.boldness}


def test_a_learner_of_ones_own_comes_back(tmp_path: Path) -> None:
    """Its class is given to load it; who does not give it is told how."""
    learner = Mine(net(), boldness=2.0)
    save_learner(learner, tmp_path)
    found = load_learner(tmp_path, net(seed=1), kinds=[Mine])
    assert isinstance(found, Mine)
    assert found.boldness == 2.0
    torch.testing.assert_close(found.state_dict(), learner.state_dict(), rtol=0, atol=0)
    with pytest.raises(MetaLearningError, match=r"a meta-learner 'Mine'.*kinds=\[\.\.\.\]"):
        load_learner(tmp_path, net())


class Signs(InnerRule):
    """Steps by the gradient's sign, by a learned rate."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.names = tuple(tensors)
        self.rate = nn.Parameter(torch.tensor(0.1))

    def rates(self, step: int) -> dict[str, Tensor]:
        return dict.fromkeys(self.names, self.rate)

    def step(
        self, parameters: Parameters, gradients: Parameters, memory: Parameters, step: int
    ) -> Move:
        moved = {
            name: one - self.rate * gradients[name].sign() for name, one in parameters.items()
        }
        return Move(moved, memory)


@dataclass(frozen=True)
class OwnRule:
    """An inner rule's options of one's own."""

    fact: object = 1

    def make(self, tensors: Mapping[str, Tensor]) -> InnerRule:
        return Signs(tensors)

    def facts(self) -> dict[str, object]:
        return {"kind": "signs", "fact": self.fact}


def test_an_inner_rule_of_ones_own_comes_back(tmp_path: Path) -> None:
    """What it learned is loaded into the rule that is given; without one the error says how."""
    learner, batch = MAML(net(), OwnRule()), tasks()
    with torch.no_grad():
        learner.rule.get_parameter("rate").fill_(0.5)
    save_learner(learner, tmp_path)
    found = load_learner(tmp_path, net(seed=1), rule=OwnRule())
    outputs = [one.query_outputs(batch, [0, 3]) for one in (learner, found)]
    assert torch.equal(outputs[0], outputs[1])
    assert found.facts() == learner.facts()
    with pytest.raises(MetaLearningError, match=r"'signs' is unknown.*rule=\.\.\."):
        load_learner(tmp_path, net())


@pytest.mark.parametrize("kind", LEARNERS)
def test_a_loss_with_tensors_comes_back(tmp_path: Path, kind: str) -> None:
    """A weighted cross-entropy is given again, and has the weights that were saved."""
    learner = LEARNERS[kind](net())
    learner.loss = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 3.0]))
    save_learner(learner, tmp_path)
    loss = nn.CrossEntropyLoss(weight=torch.ones(3))
    found = load_learner(tmp_path, net(seed=1), loss=loss)
    assert found.loss is loss
    assert loss.get_buffer("weight").tolist() == [1, 2, 3]
    with pytest.raises(MetaLearningError, match=r"a loss with loss\.weight: give such a one"):
        load_learner(tmp_path, net())


def test_another_loss_may_be_given(tmp_path: Path) -> None:
    """One that was not saved keeps the tensors that it comes with."""
    save_learner(MAML(net()), tmp_path)
    loss = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 3.0]))
    assert load_learner(tmp_path, net(), loss=loss).loss is loss
    assert loss.get_buffer("weight").tolist() == [1, 2, 3]


def test_half_precision_comes_back(tmp_path: Path) -> None:
    """Types that NumPy does not have are saved as they are."""
    learner = MAML(net(dtype=torch.bfloat16))
    save_learner(learner, tmp_path)
    found = load_learner(tmp_path, net(seed=1, dtype=torch.bfloat16))
    torch.testing.assert_close(found.state_dict(), learner.state_dict(), rtol=0, atol=0)
