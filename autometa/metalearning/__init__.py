"""Meta-learning over any torch module and any source of tasks.

    learner = MetaSGD(module)
    meta_train(learner, Sinusoids(), MetaTraining(n_steps=20_000))
    adapted = learner.adapt(task, n_steps=5).module

Each name loads its module when it is first used, for torch is slow to import.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from autometa.metalearning._base import (
        Adaptation,
        MetaLearner,
        MetaLosses,
        NotFiniteError,
    )
    from autometa.metalearning._running import OneByOneWarning
    from autometa.metalearning._tasks import (
        Examples,
        OrderedSource,
        Task,
        TaskBatch,
        TaskList,
        TaskSet,
        TaskSource,
        TaskStream,
    )
    from autometa.metalearning.evaluation import TaskScores, query_accuracies, query_losses
    from autometa.metalearning.gradient._base import InnerRule, Move, RuleSpec
    from autometa.metalearning.gradient.adam import AdamOptions
    from autometa.metalearning.gradient.maml import ANIL, MAML, MetaSGD
    from autometa.metalearning.gradient.reptile import Reptile
    from autometa.metalearning.gradient.rules import RuleOptions
    from autometa.metalearning.matching.column_kernel import ColumnMatching
    from autometa.metalearning.matching.network import MatchingNetwork
    from autometa.metalearning.matching.task_attention import TaskAttention, TaskEncoder
    from autometa.metalearning.resuming import ChangedOptionsWarning
    from autometa.metalearning.ridge import RidgeLearner
    from autometa.metalearning.saving import load_learner, save_learner
    from autometa.metalearning.sources import (
        DrawnAhead,
        Episodes,
        Omniglot,
        QuarterTurns,
        Sinusoids,
        load_omniglot,
    )
    from autometa.metalearning.sources.table_encoding import TableEncoder
    from autometa.metalearning.sources.tables import FewShotTable, FewShotTables, few_shot_table
    from autometa.metalearning.stochastic.evolution import Evolution
    from autometa.metalearning.stochastic.hypergradient import FirstOrder, Unrolled
    from autometa.metalearning.stochastic.settings import StochasticOptions
    from autometa.metalearning.stochastic.strategy import StochasticStrategy
    from autometa.metalearning.stopping._base import Stopper, StopStrategy
    from autometa.metalearning.stopping.adapting import StoppedAdaptation, adapt_until
    from autometa.metalearning.stopping.learned import LearnedStop, StopOptions
    from autometa.metalearning.stopping.patience import Patience
    from autometa.metalearning.training import (
        MetaProgress,
        MetaTrained,
        MetaTraining,
        cosine,
        linear,
        meta_train,
    )

_HOMES = {
    "ANIL": "gradient.maml",
    "AdamOptions": "gradient.adam",
    "Adaptation": "_base",
    "ChangedOptionsWarning": "resuming",
    "ColumnMatching": "matching.column_kernel",
    "DrawnAhead": "sources",
    "Episodes": "sources",
    "Evolution": "stochastic.evolution",
    "Examples": "_tasks",
    "FewShotTable": "sources.tables",
    "FewShotTables": "sources.tables",
    "FirstOrder": "stochastic.hypergradient",
    "InnerRule": "gradient._base",
    "LearnedStop": "stopping.learned",
    "MAML": "gradient.maml",
    "MatchingNetwork": "matching.network",
    "MetaLearner": "_base",
    "MetaLosses": "_base",
    "MetaProgress": "training",
    "MetaSGD": "gradient.maml",
    "MetaTrained": "training",
    "MetaTraining": "training",
    "Move": "gradient._base",
    "NotFiniteError": "_base",
    "Omniglot": "sources",
    "OneByOneWarning": "_running",
    "OrderedSource": "_tasks",
    "Patience": "stopping.patience",
    "QuarterTurns": "sources",
    "Reptile": "gradient.reptile",
    "RidgeLearner": "ridge",
    "RuleOptions": "gradient.rules",
    "RuleSpec": "gradient._base",
    "Sinusoids": "sources",
    "StochasticOptions": "stochastic.settings",
    "StochasticStrategy": "stochastic.strategy",
    "StopOptions": "stopping.learned",
    "StopStrategy": "stopping._base",
    "StoppedAdaptation": "stopping.adapting",
    "Stopper": "stopping._base",
    "TableEncoder": "sources.table_encoding",
    "Task": "_tasks",
    "TaskAttention": "matching.task_attention",
    "TaskBatch": "_tasks",
    "TaskEncoder": "matching.task_attention",
    "TaskList": "_tasks",
    "TaskScores": "evaluation",
    "TaskSet": "_tasks",
    "TaskSource": "_tasks",
    "TaskStream": "_tasks",
    "Unrolled": "stochastic.hypergradient",
    "adapt_until": "stopping.adapting",
    "cosine": "training",
    "few_shot_table": "sources.tables",
    "linear": "training",
    "load_learner": "saving",
    "load_omniglot": "sources",
    "meta_train": "training",
    "query_accuracies": "evaluation",
    "query_losses": "evaluation",
    "save_learner": "saving",
}
__all__ = [
    "ANIL",
    "MAML",
    "AdamOptions",
    "Adaptation",
    "ChangedOptionsWarning",
    "ColumnMatching",
    "DrawnAhead",
    "Episodes",
    "Evolution",
    "Examples",
    "FewShotTable",
    "FewShotTables",
    "FirstOrder",
    "InnerRule",
    "LearnedStop",
    "MatchingNetwork",
    "MetaLearner",
    "MetaLosses",
    "MetaProgress",
    "MetaSGD",
    "MetaTrained",
    "MetaTraining",
    "Move",
    "NotFiniteError",
    "Omniglot",
    "OneByOneWarning",
    "OrderedSource",
    "Patience",
    "QuarterTurns",
    "Reptile",
    "RidgeLearner",
    "RuleOptions",
    "RuleSpec",
    "Sinusoids",
    "StochasticOptions",
    "StochasticStrategy",
    "StopOptions",
    "StopStrategy",
    "StoppedAdaptation",
    "Stopper",
    "TableEncoder",
    "Task",
    "TaskAttention",
    "TaskBatch",
    "TaskEncoder",
    "TaskList",
    "TaskScores",
    "TaskSet",
    "TaskSource",
    "TaskStream",
    "Unrolled",
    "adapt_until",
    "cosine",
    "few_shot_table",
    "linear",
    "load_learner",
    "load_omniglot",
    "meta_train",
    "query_accuracies",
    "query_losses",
    "save_learner",
]


def __getattr__(name: str) -> object:
    """Load a public name's module on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names, loaded or not."""
    return sorted(set(globals()) | set(__all__))
