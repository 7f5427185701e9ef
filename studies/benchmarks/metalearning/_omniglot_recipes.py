"""How each algorithm is trained on Omniglot: the papers' recipes, shortened to a time limit.

Axes: T tasks, N rows, K ways.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from torch import nn

from autometa.metalearning import (
    ANIL,
    MAML,
    AdamOptions,
    MatchingNetwork,
    MetaLearner,
    MetaSGD,
    Reptile,
    RidgeLearner,
    RuleOptions,
    cosine,
    linear,
)
from autometa.metalearning.training import OptimizerFactory, Schedule, adam, constant
from autometa.studies.benchmarks.metalearning._meta_optimizers import unit_sgd
from autometa.studies.benchmarks.metalearning._networks import Halving, conv_network

Order = Literal[1, 2]
_ONE_STEP_RATE = 0.4  # as in MAML; each tensor learns its own from here
_FEW_STEPS, _FEW_STEPS_RATE = (1, 2, 3), 0.2
_HIGHEST_RATE = 1.0
_FEW_ROWS, _FEW_ROWS_OF_MANY_WAYS = 160, 320  # of a meta-step
_WIDE_WAYS = 20  # more ways in training than in test: Snell et al. (2017), section 3.1
_WIDE_ROWS = 480  # of a meta-step


@dataclass(frozen=True, slots=True)
class Setting:
    """The tasks to be good at, and the network for them."""

    n_ways: int = 5
    n_shots: int = 1
    n_filters: int = 64
    halving: Halving = "stride"


LearnerMaker = Callable[[nn.Module, Setting], MetaLearner]


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of training: `make` gives its meta-learner around the network.

    A later phase goes on with all that the one before has learned.
    """

    share: float
    make: LearnerMaker
    schedule: Schedule


@dataclass(frozen=True, slots=True)
class Rows:
    """The tasks of a meta-step."""

    n_tasks: int
    n_ways: int
    n_shots: int
    n_queries: int


@dataclass(frozen=True, slots=True)
class Recipe:
    """How an algorithm is trained, and after how many inner steps it is tested.

    `shown_steps` are reported beside; what counts are the figures after `test_steps`.
    `is_always_inductive` says that no query row's answer depends on the other query rows.
    """

    network: Callable[[Setting], nn.Module]
    phases: tuple[Phase, ...]
    rows: Callable[[Setting], Rows]
    test_steps: int
    shown_steps: tuple[int, ...] = ()
    make_optimizer: OptimizerFactory = adam
    is_always_inductive: bool = False


def _averaging(setting: Setting) -> nn.Module:
    """MAML's network: the last block's features averaged over the image."""
    return conv_network(
        setting.n_ways, setting.n_filters, halving=setting.halving, is_averaged=True
    )


def _flat(setting: Setting) -> nn.Module:
    """Reptile's network: a linear layer on all of the last block."""
    return conv_network(setting.n_ways, setting.n_filters, halving=setting.halving)


def _body(setting: Setting) -> nn.Module:
    return conv_network(None, setting.n_filters, halving=setting.halving)


def _embedding(setting: Setting) -> nn.Module:
    """Its weights are the same for all tasks, so that ordinary batch norm serves."""
    return conv_network(
        None, setting.n_filters, halving=setting.halving, has_running_statistics=True
    )


def _maml(order: Order) -> LearnerMaker:
    """MAML with one inner step, as in the paper for 5 ways, and a learned rate for each tensor.

    More inner steps cost as many meta-steps: after 100 s held-out accuracy is 90.3 % with one,
    87.8 % with two, 86.4 % with three (1 shot, seed 0, 200 tasks, one point more or less).
    """

    def make(network: nn.Module, setting: Setting) -> MetaLearner:
        del setting
        rule = RuleOptions(_ONE_STEP_RATE, per="tensor", high=_HIGHEST_RATE)
        return MAML(network, rule, n_steps=1, order=order)

    return make


def _meta_sgd(order: Order) -> LearnerMaker:
    def make(network: nn.Module, setting: Setting) -> MetaLearner:
        del setting
        rule = RuleOptions(_FEW_STEPS_RATE, per="parameter", high=_HIGHEST_RATE)
        return MetaSGD(network, rule, n_steps=_FEW_STEPS, order=order)

    return make


def _anil(network: nn.Module, setting: Setting) -> MetaLearner:
    del setting
    rule = RuleOptions(
        _FEW_STEPS_RATE, per="tensor", n_steps=5, high=10.0
    )  # a linear head bears more
    return ANIL(network, rule, head="head.", n_steps=5)


def _reptile(network: nn.Module, setting: Setting) -> MetaLearner:
    """About the flags of Reptile's own 5-shot runs (openai/supervised-reptile, README).

    Second moments live on from task to task, as in its code. The rate of 5 ways is three times
    its own, for less time: after 100 s held-out accuracy is 86.0 % (1 shot, seed 0), 80.9 % at its
    own rate, 85.6 % at ten times that, and 73.0 % where each task's moments begin at zero.
    """
    is_wide = setting.n_ways > 5
    rule = AdamOptions(5e-4 if is_wide else 3e-3, betas=(0.0, 0.999), is_moment_kept=True)
    n_steps, size = (10, 20) if is_wide else (5, 10)
    return Reptile(network, rule, n_steps=n_steps, batch_size=size)


def _ridge(network: nn.Module, setting: Setting) -> MetaLearner:
    del setting
    return RidgeLearner(network, scale=10.0)  # at 1 the softmax is nearly flat: slow to begin


def _matching(network: nn.Module, setting: Setting) -> MetaLearner:
    del setting
    return MatchingNetwork(network)


def _narrow_rows(setting: Setting) -> Rows:
    """Tasks as in the test. MAML takes 32, MAML++ 16: in little time more steps go further.

    Seed 0, held-out accuracy: 1 shot, the first 14 CPU seconds, 75 % with 8 tasks, 71 % with 16;
    5 shots, the first 220 s, 96.4 % with 4 tasks, 95.7 % with 8 (each .5 more or less).
    """
    n_queries = 3
    n_rows = _FEW_ROWS if setting.n_ways <= 5 else _FEW_ROWS_OF_MANY_WAYS
    n_tasks = max(1, round(n_rows / (setting.n_ways * (setting.n_shots + n_queries))))
    return Rows(n_tasks, setting.n_ways, setting.n_shots, n_queries)


def _wide_rows(setting: Setting) -> Rows:
    n_ways = max(_WIDE_WAYS, setting.n_ways)
    n_queries = 5
    n_tasks = max(1, round(_WIDE_ROWS / (n_ways * (setting.n_shots + n_queries))))
    return Rows(n_tasks, n_ways, setting.n_shots, n_queries)


def _reptile_rows(setting: Setting) -> Rows:
    """Ten rows of each way whatever the shots (`--train-shots 10`), five tasks."""
    return Rows(5, setting.n_ways, setting.n_shots, max(10 - setting.n_shots, 1))


def _in_two_phases(first: LearnerMaker, last: LearnerMaker, test_steps: int = 1) -> Recipe:
    """To first order until details count, as MAML++ (section 4) begins.

    With one inner step second order alone is as good after 100 s (90.8 and 90.3 %, 1 shot).
    """
    return Recipe(
        _averaging,
        (Phase(0.35, first, constant), Phase(0.65, last, cosine)),
        _narrow_rows,
        test_steps=test_steps,
        shown_steps=(0, 5),
    )


RECIPES: Mapping[str, Recipe] = {
    "matching": Recipe(
        _embedding,
        (Phase(1.0, _matching, cosine),),
        _wide_rows,
        test_steps=1,
        is_always_inductive=True,
    ),
    "maml": _in_two_phases(_maml(1), _maml(2)),
    "fomaml": _in_two_phases(_maml(1), _maml(1)),
    "reptile": Recipe(
        _flat,
        (Phase(1.0, _reptile, linear),),
        _reptile_rows,
        test_steps=50,
        shown_steps=(0, 5),
        make_optimizer=unit_sgd,
    ),
    "meta-sgd": _in_two_phases(_meta_sgd(1), _meta_sgd(2), max(_FEW_STEPS)),
    "anil": Recipe(
        _averaging,
        (Phase(1.0, _anil, cosine),),
        _narrow_rows,
        test_steps=5,
        shown_steps=(0, 1),
    ),
    "ridge": Recipe(_body, (Phase(1.0, _ridge, cosine),), _wide_rows, test_steps=1),
}
