"""Inner loops that a stop strategy ends: in time, each step made once, at the best module."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.optim import Adam

from autometa.errors import MetaLearningError
from autometa.metalearning._tasks import Examples, Task
from autometa.metalearning.gradient.learner import GradientLearner
from autometa.metalearning.gradient.maml import MAML
from autometa.metalearning.gradient.reptile import Reptile
from autometa.metalearning.ridge import RidgeLearner
from autometa.metalearning.sources import Sinusoids
from autometa.metalearning.stochastic.settings import StochasticOptions
from autometa.metalearning.stochastic.strategy import StochasticStrategy
from autometa.metalearning.stopping.adapting import adapt_until
from autometa.metalearning.stopping.learned import LearnedStop
from autometa.metalearning.stopping.patience import Patience
from autometa.metalearning.training import MetaTraining, meta_train

MOST = 60
WHOLE = Patience(MOST)  # never runs out


class Counted(nn.Module):
    """A small network that counts how often it is called."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(
            nn.Linear(1, 40), nn.Tanh(), nn.Dropout(dropout), nn.Linear(40, 1)
        )
        self.n_calls = 0

    def forward(self, inputs: Tensor) -> Tensor:
        self.n_calls += 1
        return torch.as_tensor(self.layers(inputs))


def noisy(n_tasks: int, seed: int) -> Iterator[tuple[Task, Examples]]:
    """Sine curves whose rows are noisy, so that too many steps fit the noise; validation rows."""
    [batch] = Sinusoids(10, 20, noise=0.5).draw(n_tasks, np.random.default_rng(seed))
    for place in range(n_tasks):
        task = batch.task(place)
        yield task, task.query


def loss_of(module: nn.Module, rows: Examples) -> float:
    with torch.no_grad():
        return float(nn.functional.mse_loss(module(rows.inputs), rows.targets))


@pytest.fixture(scope="module")
def trained() -> GradientLearner:
    """MAML after a short meta-training."""
    torch.manual_seed(0)
    layers = (nn.Linear(1, 40), nn.Tanh(), nn.Linear(40, 40), nn.Tanh(), nn.Linear(40, 1))
    learner = MAML(nn.Sequential(*layers), 0.02, n_steps=2)
    training = MetaTraining(200, make_optimizer=lambda parameters: Adam(parameters, 3e-3))
    meta_train(learner, Sinusoids(10, 10), training)
    return learner


def test_learned_stop_ends_near_the_best_step_in_few(trained: GradientLearner) -> None:
    """Fitted on whole loops, it loses little on new tasks in less than half of the steps."""
    past = [adapt_until(trained, task, rows, WHOLE, MOST).losses for task, rows in noisy(120, 1)]
    assert all(len(losses) == MOST + 1 for losses in past)
    learned = LearnedStop().fit(None, [(np.arange(MOST + 1), losses) for losses in past], 0)
    regrets: list[float] = []
    steps: list[int] = []
    for task, rows in noisy(30, 2):
        whole = adapt_until(trained, task, rows, WHOLE, MOST).losses
        stopped = adapt_until(trained, task, rows, learned, MOST)
        assert stopped.losses == whole[: len(stopped.losses)]
        lost = stopped.losses[stopped.best_step] - min(whole)
        regrets.append(lost / (whole[0] - min(whole)))
        steps.append(len(stopped.losses) - 1)
    assert np.mean(regrets) < 0.06
    assert np.mean(steps) < 0.5 * MOST


def test_patience_ends_it_where_nothing_is_known(trained: GradientLearner) -> None:
    """A stop that was never fitted leaves it to patience, and the reason says both."""
    reasons: list[str] = []
    for task, rows in noisy(12, 3):
        stopped = adapt_until(trained, task, rows, LearnedStop(), MOST)
        assert stopped.losses[stopped.best_step] == min(stopped.losses)
        reasons.append(stopped.reason)
    early = [reason for reason in reasons if reason.startswith("patience: no gain")]
    assert len(early) > 6
    assert all("has not been fitted" in reason for reason in early)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_the_module_is_that_of_the_best_step(dropout: float) -> None:
    """It is what `adapt` gives after that many steps; learner and torch's randomness stay."""
    for make in (MAML, Reptile):
        learner = make(Counted(dropout), 0.05)
        state = {name: one.clone() for name, one in learner.state_dict().items()}
        torch.manual_seed(5)
        generator = torch.get_rng_state()
        for task, rows in noisy(3, 4):
            stopped = adapt_until(learner, task, rows, Patience(5), MOST)
            expected = learner.adapt(task, stopped.best_step).module
            for name, one in expected.state_dict().items():
                assert torch.equal(stopped.module.get_parameter(name), one)
            found = stopped.losses[stopped.best_step]
            assert loss_of(stopped.module, rows) == pytest.approx(found)
            assert not stopped.module.training
        assert torch.equal(torch.get_rng_state(), generator)
        assert learner.module.training
        assert all(torch.equal(one, state[name]) for name, one in learner.state_dict().items())


def test_each_step_is_made_once() -> None:
    """The module is called twice a step, to learn and to be validated, however many steps."""
    calls: list[int] = []
    for n_steps in (10, 20, 40):
        module = Counted()
        [(task, rows)] = noisy(1, 5)
        stopped = adapt_until(MAML(module, 1e-4), task, rows, WHOLE, n_steps)
        assert len(stopped.losses) == n_steps + 1
        assert stopped.reason == f"budget: all {n_steps} steps are done"
        calls.append(module.n_calls)
    assert calls[1] - calls[0] == 2 * 10
    assert calls[2] - calls[1] == 2 * 20


def test_stochastic_strategies_are_stopped_too() -> None:
    """A schedule is laid out over all steps: the last is `adapt`'s, an early stop's on the way."""
    options = StochasticOptions(rate=0.05, momentum=0.6, batch_size=4)
    strategy = StochasticStrategy(Counted(0.2), options, n_rows_read=4 * MOST, seed=7)
    with torch.no_grad():
        strategy.settings.raw["schedule"] -= torch.arange(4.0)
    is_early = 0
    for task, rows in noisy(6, 6):
        whole = adapt_until(strategy, task, rows, WHOLE, MOST)
        last = strategy.adapt(task, MOST).module
        assert whole.losses[-1] == pytest.approx(loss_of(last, rows))
        stopped = adapt_until(strategy, task, rows, Patience(4), MOST)
        is_early += len(stopped.losses) < MOST
        assert stopped.losses == whole.losses[: len(stopped.losses)]
        found = stopped.losses[stopped.best_step]
        assert loss_of(stopped.module, rows) == pytest.approx(found)
    assert is_early >= 3


def test_divergence_ends_it_at_the_best_step() -> None:
    """A rate that blows up ends the loop, with the module of before."""
    [(task, rows)] = noisy(1, 7)
    stopped = adapt_until(MAML(Counted(), 50.0), task, rows, Patience(30), 200)
    assert "diverged" in stopped.reason or "no gain" in stopped.reason
    assert all(torch.isfinite(one).all() for one in stopped.module.parameters())


def test_what_cannot_be_stopped_is_refused() -> None:
    """Learners without steps, no validation rows, and rows that are not finite."""
    [(task, rows)] = noisy(1, 8)
    with pytest.raises(MetaLearningError, match="RidgeLearner has no inner steps"):
        adapt_until(RidgeLearner(nn.Linear(1, 3)), task, rows, WHOLE, MOST)
    none = Examples(rows.inputs[:0], rows.targets[:0])
    with pytest.raises(MetaLearningError, match="no query rows"):
        adapt_until(MAML(Counted()), task, none, WHOLE, MOST)
    bad = Examples(rows.inputs * torch.nan, rows.targets)
    with pytest.raises(MetaLearningError, match="validation loss before the first step of task"):
        adapt_until(MAML(Counted()), task, bad, WHOLE, MOST)
    with pytest.raises(MetaLearningError, match="allow at least one"):
        adapt_until(MAML(Counted()), task, rows, WHOLE, 0)
