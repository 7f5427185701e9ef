"""What our sampler costs: seconds to learn from a large history, ms of a suggestion, megabytes.

The history is made: tasks whose losses are a bowl around an optimum of their own, near a shared
one, over numbers on both scales, whole numbers and choices. TPE suggests in the same studies.
"""

from __future__ import annotations

import resource
import statistics
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, TPESampler
from threadpoolctl import threadpool_limits

from autometa.search.histories._base import History, PastTask
from autometa.spaces import Config
from autometa.studies.benchmarks.metalearning._results import markdown_table
from autometa.studies.benchmarks.search._spaces import SearchSpace

Array = NDArray[np.float64]

_N_ASKED = 20  # suggestions that are timed; the first, which reads the whole study, is told apart


@dataclass(frozen=True, slots=True)
class CostPlan:
    """How large the history and the studies are: 500 tasks of 200 evaluations, if not told."""

    n_tasks: int = 500
    n_evaluations: int = 200
    n_parameters: int = 14
    n_trials: tuple[int, ...] = (100, 5000)
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Cost:
    """Of a sampler in a study of so many trials: ms of the first suggestion, and of later ones."""

    sampler: str
    n_trials: int
    first_ms: float
    median_ms: float
    worst_ms: float


def measure_cost(plan: CostPlan) -> tuple[dict[str, object], str]:
    """The report, without where it comes from, and its text. One thread."""
    from autometa.search.prior_sampler import PriorSampler  # noqa: PLC0415  other parts need none
    from autometa.search.responses.learning import learn_responses  # noqa: PLC0415  as above

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with threadpool_limits(1):
        space = made_space(plan.n_parameters)
        history = made_history(plan, space)
        before_mb = _peak_mb()
        begun = time.perf_counter()
        learned = learn_responses(history)
        build_s = time.perf_counter() - begun
        built_mb = _peak_mb()
        costs: list[Cost] = []
        for n_trials in plan.n_trials:
            ours = PriorSampler(learned, space=space.distributions, seed=plan.seed)
            costs.append(_ask("prior", ours, space, n_trials, plan.seed))
            costs.append(_ask("tpe", TPESampler(seed=plan.seed), space, n_trials, plan.seed))
    facts: dict[str, object] = {
        "n_evaluations": history.n_evaluations,
        "build_s": build_s,
        "peak_mb_before": before_mb,
        "peak_mb_built": built_mb,
        "peak_mb": _peak_mb(),
    }
    return {"cost": {**facts, "suggestions": [asdict(one) for one in costs]}}, _text(facts, costs)


def made_space(n_parameters: int) -> SearchSpace:
    """Numbers, numbers on a log scale, whole numbers and choices in turn; none is conditional."""
    kinds: tuple[BaseDistribution, ...] = (
        FloatDistribution(0.0, 1.0),
        FloatDistribution(1e-5, 1e-1, log=True),
        IntDistribution(1, 64, log=True),
        CategoricalDistribution(("a", "b", "c")),
    )
    return SearchSpace({f"p{at}": kinds[at % len(kinds)] for at in range(n_parameters)})


def made_history(plan: CostPlan, space: SearchSpace) -> History:
    """Tasks of their own configs, and losses around optima that lie near one another."""
    rng = np.random.default_rng(plan.seed)
    shared = rng.random(plan.n_parameters)
    tasks: list[PastTask] = []
    for at in range(plan.n_tasks):
        configs = draw_configs(space, plan.n_evaluations, rng)
        optimum = np.clip(shared + 0.1 * rng.standard_normal(len(shared)), 0.0, 1.0)
        tasks.append(PastTask(f"task {at}", configs, _bowl(space.places(configs), optimum)))
    return History(tuple(tasks), dict(space.distributions), "the benchmark")


def draw_configs(space: SearchSpace, n: int, rng: np.random.Generator) -> tuple[Config, ...]:
    """Configs by chance, evenly over the ranges as the distributions scale them."""
    sampler = optuna.samplers.RandomSampler(seed=int(rng.integers(2**31)))
    study = optuna.create_study(sampler=sampler)
    return tuple(space.suggest(study.ask()) for _ in range(n))


def _bowl(places: Array, optimum: Array) -> Array:
    found: Array = ((places - optimum) ** 2).sum(axis=1)
    return found


def _ask(name: str, sampler: BaseSampler, space: SearchSpace, n_trials: int, seed: int) -> Cost:
    """The time of suggestions in a study that has so many trials."""
    rng = np.random.default_rng((seed, 1))
    study = optuna.create_study(sampler=sampler)
    configs = draw_configs(space, n_trials, rng)
    optimum = rng.random(len(space.distributions))
    losses = _bowl(space.places(configs), optimum)
    study.add_trials(
        [
            optuna.create_trial(
                params=dict(config),
                distributions=dict(space.distributions),
                value=float(loss),
            )
            for config, loss in zip(configs, losses, strict=True)
        ]
    )
    spent: list[float] = []
    for _ in range(_N_ASKED):
        begun = time.perf_counter()
        trial = study.ask()
        config = space.suggest(trial)
        halfway = time.perf_counter()
        loss = float(_bowl(space.places([config]), optimum)[0])
        going_on = time.perf_counter()
        study.tell(trial, loss)
        spent.append(1e3 * (halfway - begun + time.perf_counter() - going_on))
    return Cost(name, n_trials, spent[0], statistics.median(spent[1:]), max(spent[1:]))


def _peak_mb() -> float:
    """The most memory that this process has had so far."""
    unit = 1024**2 if sys.platform == "darwin" else 1024  # bytes there, kilobytes elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def _text(facts: Mapping[str, object], costs: list[Cost]) -> str:
    rows = [
        (
            c.sampler,
            str(c.n_trials),
            f"{c.first_ms:.1f}",
            f"{c.median_ms:.1f}",
            f"{c.worst_ms:.1f}",
        )
        for c in costs
    ]
    head = ("sampler", "trials", "first ms", "median ms", "worst ms")
    lines = [
        f"{name}: {value:.6g}" for name, value in facts.items() if isinstance(value, float | int)
    ]
    return "\n\n".join(["\n".join(lines), markdown_table(head, rows)])
