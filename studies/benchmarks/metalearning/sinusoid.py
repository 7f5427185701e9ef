"""Meta-learning algorithms on sine curves: losses of new curves after 0 to 30 inner steps.

    autometa bench sinusoid --algorithm maml --algorithm reptile --json

The problem of MAML, section 5.1 (Finn et al., 2017): curves of amplitude .1 to 5 and phase 0 to
pi, x from -5 to 5. Trained on 10 support rows, tested on 10 and on 5, with the mean squared error
over an even grid of 100 points. All are tested on the same curves of a seed; in training each has
the network and the rows of a task that its recipe says: Reptile has its authors', which are more.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from autometa.metalearning import (
    MetaLearner,
    MetaTrained,
    MetaTraining,
    Sinusoids,
    meta_train,
    query_losses,
)
from autometa.studies.benchmarks.metalearning._commits import commits_behind, older_state
from autometa.studies.benchmarks.metalearning._results import (
    Figure,
    add_shared_options,
    figures,
    markdown_table,
    provenance,
    require_counts,
    write,
)
from autometa.studies.benchmarks.metalearning._sinusoid_recipes import RECIPES
from autometa.studies.reports.meta_progress import MetaListener, listening_to_training

SHOWN_STEPS = (0, 1, 5, 10, 30)
_ALL_STEPS = tuple(range(31))  # whether more steps ever hurt is asked of each
_GRID = 100
# by algorithm, the largest loss with 10 support rows after so many inner steps
GOALS: Mapping[str, Mapping[int, float]] = {
    "maml": {1: 0.45, 5: 0.15, 10: 0.12},
    "fomaml": {1: 0.62, 5: 0.23, 10: 0.19},
    "reptile": {1: 0.95, 5: 0.52, 10: 0.46},
    "meta-sgd": {1: 0.31, 5: 0.06, 10: 0.045},
}
_MAY_NOT_GET_WORSE = ("meta-sgd",)  # from step 1 to 30: the same goal


@dataclass(frozen=True, slots=True)
class Result:
    """What an algorithm reached; figures by the number of support rows of a test task.

    `commits` made the state that was measured, the last of them the measurement.
    """

    algorithm: str
    network: str
    rows_trained: str
    commits: list[str]
    n_meta_steps: int
    ended: str
    minutes: float
    losses: Mapping[str, list[Figure]]
    is_never_worse: Mapping[str, bool]
    goals: Mapping[int, float] = field(default_factory=dict[int, float])
    is_goal_met: bool | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run."""

    n_steps: int = 20_000
    n_shots: int = 10
    test_shots: tuple[int, ...] = (10, 5)
    n_test_tasks: int = 1000
    seed: int = 0
    checkpoints: Path | None = None

    def checkpoint(self, algorithm: str) -> Path | None:
        """The file that holds the state of this run."""
        if self.checkpoints is None:
            return None
        name = f"sinusoid-{algorithm}-{self.n_shots}shot-{self.n_steps}steps-seed{self.seed}"
        return self.checkpoints / f"{name}.safetensors"


def train(
    algorithm: str, plan: Plan, listen: MetaListener | None = None
) -> tuple[MetaLearner, MetaTrained]:
    """Meta-train one algorithm, or read what its checkpoint holds."""
    recipe = RECIPES[algorithm]
    learner = recipe.learner(plan.seed)
    training = MetaTraining(
        plan.n_steps,
        make_optimizer=recipe.make_optimizer,
        schedule=recipe.schedule,
        seed=plan.seed,
        evaluate_every=max(1, plan.n_steps // 20),
        checkpoint=plan.checkpoint(algorithm),
    )
    source = Sinusoids(n_support=plan.n_shots, n_query=recipe.n_query)
    trained = meta_train(learner, source, training, held_out=_on_grid(plan.n_shots), listen=listen)
    return learner, trained


def run(algorithm: str, plan: Plan, listen: MetaListener | None = None) -> Result:
    """Train and test one algorithm."""
    commits = commits_behind(plan.checkpoint(algorithm))
    learner, trained = train(algorithm, plan, listen)
    found = {str(n_shots): measure(learner, n_shots, plan) for n_shots in plan.test_shots}
    goals, is_met = _judged(algorithm, found, plan.n_shots)
    recipe = RECIPES[algorithm]
    return Result(
        algorithm,
        recipe.network.text,
        recipe.rows_text(plan.n_shots),
        commits,
        trained.n_steps,
        trained.reason,
        round(trained.elapsed_s / 60, 2),
        {
            shots: [one for one in all_ if one.steps in SHOWN_STEPS]
            for shots, all_ in found.items()
        },
        {shots: is_never_worse(all_) for shots, all_ in found.items()},
        goals,
        is_met,
    )


def measure(learner: MetaLearner, n_shots: int, plan: Plan) -> list[Figure]:
    """Losses of new curves after each number of inner steps up to 30."""
    rng = np.random.default_rng((plan.seed, 2))
    batches = _on_grid(n_shots).draw(plan.n_test_tasks, rng)
    return figures(query_losses(learner, batches, _ALL_STEPS))


def is_never_worse(all_: list[Figure]) -> bool:
    """Whether no inner step after the first raises the mean loss."""
    means = [one.mean for one in all_ if one.steps >= 1]
    return all(
        before is not None and after is not None and after <= before
        for before, after in pairwise(means)
    )


def _on_grid(n_shots: int) -> Sinusoids:
    return Sinusoids(n_support=n_shots, n_query=_GRID, query="grid")


def _judged(
    algorithm: str, found: Mapping[str, list[Figure]], trained_shots: int
) -> tuple[Mapping[int, float], bool | None]:
    """The goals, and whether they are met; they are for 10 rows in training and test."""
    goals = GOALS.get(algorithm, {})
    if not goals or trained_shots != 10 or "10" not in found:
        return {}, None
    means = {one.steps: one.mean for one in found["10"]}
    is_met = all(
        (mean := means[step]) is not None and mean <= most for step, most in goals.items()
    )
    if algorithm in _MAY_NOT_GET_WORSE:
        is_met = is_met and is_never_worse(found["10"])
    return goals, is_met


def as_markdown(results: list[Result]) -> str:
    """One row for each algorithm and number of support rows, then what is of older commits."""
    rows: list[list[str]] = []
    for result in results:
        for shots, shown in result.losses.items():
            is_judged = shots == "10" and result.is_goal_met is not None
            goals = " / ".join(f"{most:g}" for most in result.goals.values()) if is_judged else ""
            verdict = ("reached" if result.is_goal_met else "missed") if is_judged else ""
            worse = "no" if result.is_never_worse[shots] else "yes"
            texts = [one.text for one in shown]
            of_training = [result.network, result.rows_trained]
            judged = [worse, goals, verdict, f"{result.minutes:g}"]
            rows.append([result.algorithm, *of_training, shots, *texts, *judged])
    steps = [f"step {step}" for step in SHOWN_STEPS]
    asked = ["ever worse, 1 to 30", "goal at 1 / 5 / 10", "goal", "minutes"]
    head = ["algorithm", "network", "rows of a task in training", "in test", *steps, *asked]
    older = older_state({result.algorithm: result.commits for result in results})
    return markdown_table(head, rows) + (f"\n\n{older}" if older else "")


def parse(given: list[str]) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").splitlines()[0], allow_abbrev=False
    )
    add = parser.add_argument
    add("--shots", type=int, default=10, help="support rows of a task in training [10]")
    add("--steps", type=int, default=20_000, help="meta-steps [20000]")
    add("--test-tasks", type=int, default=1000, help="new curves to test on [1000]")
    add_shared_options(parser, list(RECIPES))
    return parser.parse_args(given)


def main() -> None:
    """Run from the command line."""
    arguments = parse(sys.argv[1:])
    least = {"shots": 1, "steps": 1, "test_tasks": 2, "seed": 0, "threads": 1}
    require_counts(arguments, least)
    # with tensors this small a second thread costs more than it helps
    torch.set_num_threads(arguments.threads or 1)
    plan = Plan(
        arguments.steps,
        arguments.shots,
        n_test_tasks=arguments.test_tasks,
        seed=arguments.seed,
        checkpoints=arguments.checkpoints,
    )
    console = Console(stderr=True, highlight=False)
    results: list[Result] = []
    for algorithm in arguments.algorithms or RECIPES:
        with listening_to_training(console, algorithm, is_silent=arguments.quiet) as listen:
            results.append(run(algorithm, plan, listen))
    report = {
        "benchmark": "sinusoid",
        "seed": plan.seed,
        "n_shots": plan.n_shots,
        "n_test_tasks": plan.n_test_tasks,
        **provenance(),
        "results": [asdict(result) for result in results],
    }
    write(report, as_markdown(results), as_json=arguments.json)


if __name__ == "__main__":
    main()
