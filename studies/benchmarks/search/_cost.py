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
from optuna.trial import FrozenTrial
from threadpoolctl import threadpool_limits

from autometa.search.histories._base import History, PastTask
from autometa.spaces import Config, Scalar
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
    median_cpu_ms: float
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
        building = _Clock()
        with building:
            learned = learn_responses(history)
        built_mb = _peak_mb()
        costs: list[Cost] = []
        for n_trials in plan.n_trials:
            ours = PriorSampler(learned, space=space.distributions, seed=plan.seed)
            costs.append(_ask("prior", ours, space, n_trials, plan))
            costs.append(_ask("tpe", TPESampler(seed=plan.seed), space, n_trials, plan))
    facts: dict[str, object] = {
        "n_evaluations": history.n_evaluations,
        "build_s": building.wall_ms / 1e3,
        "build_cpu_s": building.cpu_ms / 1e3,
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
    tasks: list[PastTask] = []
    for at in range(plan.n_tasks):
        configs = draw_configs(space, plan.n_evaluations, rng)
        losses = _bowl(space.places(configs), _optimum(plan, rng))
        tasks.append(PastTask(f"task {at}", configs, losses))
    return History(tuple(tasks), dict(space.distributions), "the benchmark")


def draw_configs(space: SearchSpace, n: int, rng: np.random.Generator) -> tuple[Config, ...]:
    """Configs by chance, evenly over the ranges as the distributions scale them."""
    drawn = {name: _draw(one, n, rng) for name, one in space.distributions.items()}
    return tuple({name: values[at] for name, values in drawn.items()} for at in range(n))


def _draw(distribution: BaseDistribution, n: int, rng: np.random.Generator) -> list[Scalar]:
    if isinstance(distribution, CategoricalDistribution):
        return [distribution.choices[at] for at in rng.integers(len(distribution.choices), size=n)]
    assert isinstance(distribution, FloatDistribution | IntDistribution)  # noqa: S101  for types
    low, high = float(distribution.low), float(distribution.high)
    numbers = low + (high - low) * rng.random(n)
    if distribution.log:
        numbers = np.exp(np.log(low) + (np.log(high) - np.log(low)) * rng.random(n))
    if isinstance(distribution, IntDistribution):
        return [round(number) for number in numbers.tolist()]
    return list(np.clip(numbers, low, high).tolist())


def _optimum(plan: CostPlan, rng: np.random.Generator) -> Array:
    """Where a task is best: near a place that all tasks of the plan share."""
    shared = np.random.default_rng((plan.seed, 1)).random(plan.n_parameters)
    return np.clip(shared + 0.1 * rng.standard_normal(len(shared)), 0.0, 1.0)


def _bowl(places: Array, optimum: Array) -> Array:
    found: Array = ((places - optimum) ** 2).sum(axis=1)
    return found


def _ask(
    name: str, sampler: BaseSampler, space: SearchSpace, n_trials: int, plan: CostPlan
) -> Cost:
    """The time of suggestions in a study that has so many trials."""
    rng = np.random.default_rng((plan.seed, n_trials))
    optimum = _optimum(plan, rng)
    study = optuna.create_study(sampler=sampler)
    study.add_trials(_made_trials(space, n_trials, optimum, rng))
    spent: list[_Clock] = []
    for _ in range(_N_ASKED):
        clock = _Clock()
        with clock:
            trial = study.ask()
            config = space.suggest(trial)
        loss = float(_bowl(space.places([config]), optimum)[0])
        with clock:
            study.tell(trial, loss)
        spent.append(clock)
    later = [clock.wall_ms for clock in spent[1:]]
    of_processor = statistics.median(clock.cpu_ms for clock in spent[1:])
    median = statistics.median(later)
    return Cost(name, n_trials, spent[0].wall_ms, median, of_processor, max(later))


def _made_trials(
    space: SearchSpace, n: int, optimum: Array, rng: np.random.Generator
) -> list[FrozenTrial]:
    configs = draw_configs(space, n, rng)
    losses = _bowl(space.places(configs), optimum).tolist()
    known = dict(space.distributions)
    return [
        optuna.create_trial(params=dict(config), distributions=known, value=loss)
        for config, loss in zip(configs, losses, strict=True)
    ]


class _Clock:
    """Adds up what passes inside of it: on the wall, and of this process's processor time.

    On a machine that does other work besides, the latter is what the work itself takes.
    """

    def __init__(self) -> None:
        self.wall_ms = self.cpu_ms = 0.0
        self._begun = (0.0, 0.0)

    def __enter__(self) -> None:
        self._begun = (time.perf_counter(), time.process_time())

    def __exit__(self, *_: object) -> None:
        self.wall_ms += 1e3 * (time.perf_counter() - self._begun[0])
        self.cpu_ms += 1e3 * (time.process_time() - self._begun[1])


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
            f"{c.median_cpu_ms:.1f}",
            f"{c.worst_ms:.1f}",
        )
        for c in costs
    ]
    head = ("sampler", "trials", "first ms", "median ms", "of processor", "worst ms")
    lines = [
        f"{name}: {value:.6g}" for name, value in facts.items() if isinstance(value, float | int)
    ]
    return "\n\n".join(["\n".join(lines), markdown_table(head, rows)])
