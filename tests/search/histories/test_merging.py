"""Histories together: the same task once, with the evaluations of all."""

from __future__ import annotations

import numpy as np

from autometa.search.histories._base import Curve, History, PastTask, merge

TRAITS = {"log_rows": 4.123456789}


def _task(name: str, lrs: list[float], losses: list[float], **more: object) -> PastTask:
    configs = tuple({"lr": lr} for lr in lrs)
    return PastTask(name, configs, np.array(losses), description=TRAITS, **more)  # type: ignore[arg-type]


def test_the_same_task_has_the_evaluations_of_both() -> None:
    one = History((_task("iris", [0.1, 0.2], [1.0, 2.0], costs_s=np.array([3.0, 4.0])),))
    curve = Curve(np.array([1.0, 2.0]), np.array([0.9, 0.8]))
    two = History((_task("iris", [0.2, 0.3], [2.0, 5.0], curves=(None, curve)),))
    (task,) = merge((one, two)).tasks
    assert [config["lr"] for config in task.configs] == [0.1, 0.2, 0.3]
    assert task.losses.tolist() == [1.0, 2.0, 5.0]
    assert task.costs_s is not None
    assert task.costs_s[:2].tolist() == [3.0, 4.0]
    assert np.isnan(task.costs_s[2])
    assert task.curves == (None, None, curve)


def test_a_history_adds_nothing_to_itself() -> None:
    """Nor does its copy in a file, which rounds traits to float32."""
    history = History((_task("iris", [0.1, 0.2], [1.0, 2.0]), _task("wine", [0.1], [3.0])))
    rounded = PastTask(
        "iris",
        history.tasks[0].configs,
        history.tasks[0].losses,
        description={"log_rows": float(np.float32(TRAITS["log_rows"]))},
    )
    merged = merge((history, history, History((rounded,))))
    assert [(task.name, len(task.configs)) for task in merged.tasks] == [("iris", 2), ("wine", 1)]


def test_losses_of_another_metric_are_no_comparison() -> None:
    """Where those of the same configs differ, or none is the same, both tasks are kept."""
    one = History((_task("iris", [0.1, 0.2], [0.3, 0.4]),))
    other = History((_task("iris", [0.1, 0.2], [-0.9, -0.8]),))
    strange = History((_task("iris", [0.7], [0.3]),))
    assert len(merge((one, other)).tasks) == len(merge((one, strange)).tasks) == 2


def test_tasks_that_may_be_others_stay_apart() -> None:
    """Another description is another table; without one nothing tells, not even in one history."""
    first = _task("train", [0.1], [1.0])
    other = PastTask("train", ({"lr": 0.1},), np.array([2.0]), description={"log_rows": 9.0})
    unknown = PastTask("train", ({"lr": 0.1},), np.array([3.0]))
    merged = merge((History((first, unknown)), History((other, unknown))))
    assert [task.losses[0] for task in merged.tasks] == [1.0, 3.0, 2.0, 3.0]
    assert len(merge((History((unknown,)),) * 2).tasks) == 2


def test_other_seeds_are_no_other_task() -> None:
    """One loss that is the same tells it, whatever chance did to others; or all that are near."""
    one = History((_task("iris", [0.1, 0.2], [0.3, 0.4]),))
    by_chance = History((_task("iris", [0.1, 0.2], [0.3, 0.6]),))
    near = History((_task("iris", [0.1, 0.2], [0.301, 0.402]),))
    assert len(merge((one, by_chance)).tasks) == len(merge((one, near)).tasks) == 1
