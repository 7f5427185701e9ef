"""What the Omniglot benchmark reports: accuracies beside the goals and the papers' figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from autometa.studies.benchmarks.metalearning._commits import older_state
from autometa.studies.benchmarks.metalearning._omniglot_recipes import RECIPES, Setting
from autometa.studies.benchmarks.metalearning._results import Figure, markdown_table

# by algorithm, in per cent, 5 ways with 1 and 5 shots, 40 minutes on a CPU: the goals
GOALS: Mapping[str, Mapping[int, float]] = {
    "matching": {1: 97.0, 5: 98.5},
    "maml": {1: 96.0, 5: 98.5},
    "reptile": {1: 93.0, 5: 98.0},
}
# by algorithm, ways and shots, on the papers' split: research/metalearning.md, section 3.2
PAPERS: Mapping[str, Mapping[tuple[int, int], float]] = {
    "matching": {(5, 1): 98.1, (5, 5): 98.9, (20, 1): 93.8, (20, 5): 98.5},
    "maml": {(5, 1): 98.7, (5, 5): 99.9, (20, 1): 95.8, (20, 5): 98.9},
    "fomaml": {(5, 1): 98.3, (5, 5): 99.2, (20, 1): 89.4, (20, 5): 97.9},
    "reptile": {(5, 1): 97.68, (5, 5): 99.48, (20, 1): 89.43, (20, 5): 97.12},
    "meta-sgd": {(5, 1): 99.53, (5, 5): 99.93, (20, 1): 95.93, (20, 5): 98.97},
}


@dataclass(frozen=True, slots=True)
class Result:
    """What an algorithm reached, in per cent; `n_inner_steps` is what counts.

    `n_meta_steps` and `ended` have one entry for each phase of training. `papers` is of the mixed
    split. `commits` made the state that was measured, the last of them the measurement.
    """

    algorithm: str
    commits: list[str]
    n_meta_steps: list[int]
    ended: list[str]
    minutes: float
    test_minutes: float
    is_transductive: bool
    n_inner_steps: int
    unturned: list[Figure]
    turned: list[Figure]
    goal: float | None
    is_goal_met: bool | None
    papers: float | None


def judged(
    algorithm: str, setting: Setting, unturned: list[Figure], *, is_papers_split: bool
) -> tuple[float | None, bool | None, float | None]:
    """The goal, whether it is reached, and the paper's figure."""
    ways, shots = setting.n_ways, setting.n_shots
    is_asked = ways == 5 and not is_papers_split
    goal = GOALS.get(algorithm, {}).get(shots) if is_asked else None
    n_steps = RECIPES[algorithm].test_steps
    reached = next(one.mean for one in unturned if one.steps == n_steps)
    is_met = None if goal is None else reached is not None and reached >= goal
    return goal, is_met, PAPERS.get(algorithm, {}).get((ways, shots))


def as_markdown(results: list[Result], setting: Setting) -> str:
    """One row for each algorithm, then what is of older commits."""
    rows = [
        [
            result.algorithm + ("" if result.is_transductive else " (inductive)"),
            str(result.n_inner_steps),
            _headline(result.unturned, result.n_inner_steps),
            _headline(result.turned, result.n_inner_steps),
            "" if result.goal is None else f"{result.goal:g}",
            {True: "reached", False: "missed", None: ""}[result.is_goal_met],
            "" if result.papers is None else f"{result.papers:g}",
            " + ".join(map(str, result.n_meta_steps)),
            f"{result.minutes:g} + {result.test_minutes:g}",
        ]
        for result in results
    ]
    what = f"{setting.n_ways} ways, {setting.n_shots} shots, %"
    paper = "in the paper (mixed split)"
    head = ["inner steps", what, "with turns", "goal", "", paper, "meta-steps", "minutes"]
    older = older_state({result.algorithm: result.commits for result in results})
    return markdown_table(["algorithm", *head], rows) + (f"\n\n{older}" if older else "")


def _headline(all_: list[Figure], n_steps: int) -> str:
    return next(one.text for one in all_ if one.steps == n_steps)
