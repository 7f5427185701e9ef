"""How each algorithm is trained on sine curves: its network, its rows of a task, its optimiser."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import nn

from autometa.metalearning import (
    ANIL,
    MAML,
    MetaLearner,
    MetaSGD,
    Reptile,
    RidgeLearner,
    RuleOptions,
    linear,
)
from autometa.metalearning.training import OptimizerFactory, Schedule, adam, constant
from autometa.studies.benchmarks.metalearning._meta_optimizers import unit_sgd
from autometa.studies.benchmarks.metalearning._networks import seeded, sine_network


@dataclass(frozen=True, slots=True)
class SineNetwork:
    """Two hidden layers; 40 ReLUs each are MAML's."""

    widths: tuple[int, int] = (40, 40)
    activation: type[nn.Module] = nn.ReLU
    has_head: bool = True

    def make(self, seed: int) -> nn.Module:
        """The network with first weights from `seed`."""
        return seeded(
            lambda: sine_network(self.widths, self.activation, has_head=self.has_head), seed
        )

    @property
    def text(self) -> str:
        """Such as `ReLU 40-40`."""
        return f"{self.activation.__name__} {'-'.join(map(str, self.widths))}"


@dataclass(frozen=True, slots=True)
class Recipe:
    """How an algorithm is trained.

    Of a task it sees the support rows and `n_query` others. `is_joint` says that its inner loop
    sees both: nothing is kept apart to judge adaptation by.
    """

    make: Callable[[nn.Module], MetaLearner]
    network: SineNetwork = field(default_factory=SineNetwork)
    n_query: int = 10
    is_joint: bool = False
    make_optimizer: OptimizerFactory = adam
    schedule: Schedule = constant

    def learner(self, seed: int) -> MetaLearner:
        """The meta-learner before training."""
        return self.make(self.network.make(seed))

    def rows_text(self, n_support: int) -> str:
        """The rows of a task that training sees: `10 + 10`, or `50 at once`."""
        if self.is_joint:
            return f"{n_support + self.n_query} at once"
        return f"{n_support} + {self.n_query}"


def _maml(network: nn.Module) -> MetaLearner:
    # the paper's single step bears no more at test time: some curves diverge at the fifth. The
    # loss after each of two counts (MAML++), to the end
    return MAML(network, 0.01, n_steps=2, multi_step_until=None)


def _anil(network: nn.Module) -> MetaLearner:
    return ANIL(network, RuleOptions(0.01, per="tensor"), head="head.", n_steps=5)


def _reptile(network: nn.Module) -> MetaLearner:
    # network and rate are those of Nichol et al. (2018), section 4; that the inner loop goes
    # through 50 rows of a task, 10 a step, is their published script's
    return Reptile(network, 0.02, n_steps=5, batch_size=10)


RECIPES: Mapping[str, Recipe] = {
    "maml": Recipe(_maml),
    "maml-one-step": Recipe(lambda network: MAML(network, 0.01, n_steps=1)),
    "fomaml": Recipe(lambda network: MAML(network, 0.01, n_steps=1, order=1)),
    "reptile": Recipe(
        _reptile,
        SineNetwork((64, 64), nn.Tanh),
        n_query=40,
        is_joint=True,
        make_optimizer=unit_sgd,
        schedule=linear,
    ),
    "meta-sgd": Recipe(lambda network: MetaSGD(network, 0.01)),
    "meta-sgd-tensor": Recipe(lambda network: MetaSGD(network, 0.01, per="tensor")),
    "anil": Recipe(_anil),
    "ridge": Recipe(RidgeLearner, SineNetwork(has_head=False)),
}
