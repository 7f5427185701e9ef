"""The Omniglot benchmark: its recipes, its phases and time limit, and what it reports."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from autometa.cli import main
from autometa.errors import OptionError
from autometa.metalearning import MAML, Episodes, Examples, Task, TaskBatch
from autometa.studies.benchmarks.metalearning._inductive import (
    accuracy_alone,
    inductive_accuracies,
)
from autometa.studies.benchmarks.metalearning._networks import conv_network, seeded
from autometa.studies.benchmarks.metalearning._omniglot_recipes import RECIPES, Setting
from autometa.studies.benchmarks.metalearning._omniglot_report import GOALS, PAPERS
from autometa.studies.benchmarks.metalearning._omniglot_training import Budget, Data, Trainer
from tests.omniglot_files import write_drawings
from tests.studies.bench_output import SHORT, bench, require_finite


@pytest.fixture(autouse=True)
def _same_threads() -> Generator[None]:
    n_before = torch.get_num_threads()
    yield
    torch.set_num_threads(n_before)


@pytest.fixture
def drawings(tmp_path: Path) -> Path:
    """The file of a tiny Omniglot."""
    path = tmp_path / "omniglot.npz"
    write_drawings(path)
    return path


def tiny_tasks(n_tasks: int = 2) -> TaskBatch:
    """Two ways of images, two support and four query rows."""
    rng = np.random.default_rng(1)
    images = rng.random((6, 20, 1, 28, 28), dtype=np.float32).reshape(-1, 1, 28, 28)
    source = Episodes(images, np.repeat(np.arange(6), 20), 2, 1, 2)
    return source.draw(n_tasks, rng)[0]


@pytest.mark.parametrize("algorithm", list(RECIPES))
def test_every_omniglot_recipe_reports_accuracies(
    algorithm: str, drawings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each algorithm is trained in all its phases and tested without turns and with them."""
    words = ["--data", str(drawings), "--algorithm", algorithm, "--ways", "2", "--filters", "2"]
    report = bench(capsys, "omniglot", *words, "--steps", "2", "--test-tasks", "2", *SHORT)
    assert report["split"] == "alphabets"
    assert {"commit", "machine", "n_filters", "n_shots", "n_ways"} <= set(report)
    (result,) = report["results"]
    assert len(result["n_meta_steps"]) == len(RECIPES[algorithm].phases)
    assert result["is_transductive"] == (algorithm != "matching")
    for shown in (result["unturned"], result["turned"]):
        require_finite(shown)
        assert all(0 <= one["mean"] <= 100 for one in shown)
        assert result["n_inner_steps"] in [one["steps"] for one in shown]
    assert result["commits"] == [report["commit"]]


def test_omniglot_has_the_goals_of_five_ways(
    drawings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The goal and the paper's figure stand beside those of 5 ways on unseen alphabets."""
    words = ["--data", str(drawings), "--algorithm", "matching", "--filters", "2", "--shots", "5"]
    words += ["--steps", "1", "--test-tasks", "2"]
    (result,) = bench(capsys, "omniglot", *words, *SHORT)["results"]
    assert result["goal"] == GOALS["matching"][5]
    assert result["papers"] == PAPERS["matching"][5, 5]
    assert isinstance(result["is_goal_met"], bool)


def test_omniglot_says_how_many_rows_are_asked_about(
    drawings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The report has the query rows of a way; Markdown says which split the paper's are of."""
    words = ["--data", str(drawings), "--algorithm", "matching", "--filters", "2", "--ways", "2"]
    words += ["--steps", "1", "--test-tasks", "2", "--test-queries", "1", "--threads", "1"]
    report = bench(capsys, "omniglot", *words, "--quiet", "--json")
    assert report["n_test_queries"] == 1
    # one row of each of two ways: halves of a task
    assert {one["mean"] % 25 for one in report["results"][0]["unturned"]} == {0.0}
    with pytest.raises(SystemExit):
        main(["bench", "omniglot", *words, "--quiet"])
    assert "in the paper (mixed split)" in capsys.readouterr().out


def test_each_query_row_can_be_asked_about_alone(
    drawings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--no-transductive` reports the accuracy after the recipe's own number of steps."""
    words = ["--data", str(drawings), "--algorithm", "maml", "--ways", "2", "--filters", "2"]
    words += ["--steps", "2", "--test-tasks", "2", "--no-transductive"]
    (result,) = bench(capsys, "omniglot", *words, *SHORT)["results"]
    assert result["is_transductive"] is False
    assert [one["steps"] for one in result["unturned"]] == [result["n_inner_steps"]]


def test_asking_alone_normalises_with_the_support_rows() -> None:
    """A query row's answer is that of a pass with the support rows, one pass a row."""
    learner = MAML(seeded(lambda: conv_network(2, 3), 0), 0.1, n_steps=1)
    batch = tiny_tasks()
    expected: list[float] = []
    for index in range(len(batch)):
        task = batch.task(index)
        module = learner.adapt(task, 1).module
        rows = [torch.cat([task.support.inputs, row[None]]) for row in task.query.inputs]
        answers = torch.stack([module(one)[-1].argmax() for one in rows])
        expected.append(float((answers == task.query.targets).double().mean()))
    scores = inductive_accuracies(learner, [batch], 1)
    assert scores.scores.tolist() == [expected]


def test_asking_alone_does_not_look_at_other_query_rows() -> None:
    """The accuracy over two halves of the query rows is that over all of them."""
    learner = MAML(seeded(lambda: conv_network(2, 3), 0), 0.1, n_steps=1)
    task = tiny_tasks(1).task(0)
    halves = [
        accuracy_alone(learner, Task(task.support, Examples(*(t[part] for t in task.query))), 1)
        for part in (slice(0, 2), slice(2, 4))
    ]
    assert accuracy_alone(learner, task, 1) == pytest.approx(sum(halves) / 2)


def _trainer(tmp_path: Path | None) -> Trainer:
    images = np.random.default_rng(0).random((4, 20, 1, 28, 28), dtype=np.float32)
    source = Episodes(images.reshape(-1, 1, 28, 28), np.repeat(np.arange(4), 20), 2, 1, 3)
    data = Data(source, source, 2, torch.device("cpu"))
    checkpoint = None if tmp_path is None else tmp_path / "run"
    return Trainer(RECIPES["maml"], Setting(2, 1, 2), data, 0, checkpoint)


def test_a_time_limit_becomes_meta_steps() -> None:
    """As many meta-steps as fit into each phase's share of what is left beside the test."""
    planned = _trainer(None).planned_steps(Budget(minutes=10), [0.1, 0.5])
    first, second = (phase.share for phase in RECIPES["maml"].phases)
    assert first + second == pytest.approx(1)
    assert planned[0] * 0.1 == pytest.approx(600 * 0.9 * 0.9 * first, abs=0.1)
    assert planned[1] * 0.5 == pytest.approx(600 * 0.9 * 0.9 * second, abs=0.5)


def test_a_plan_is_kept_with_the_checkpoints(tmp_path: Path) -> None:
    """A run goes on with what was planned when it began, and no phase is trained twice."""
    trainer = _trainer(tmp_path)
    first = trainer.train(Budget(n_steps=(3,)), lambda progress: None)
    heard: list[int] = []
    again = trainer.train(Budget(n_steps=(9,)), lambda progress: heard.append(progress.step))
    assert heard == []
    assert [one.n_steps for one in again.phases] == [1, 2]
    for name, tensor in again.learner.state_dict().items():
        assert torch.equal(tensor, first.learner.state_dict()[name])


def test_phases_take_the_steps_they_are_given() -> None:
    done = _trainer(None).train(Budget(n_steps=(3, 1)), lambda progress: None)
    assert [one.n_steps for one in done.phases] == [3, 1]
    with pytest.raises(OptionError, match="does not fit 2 phases"):
        _trainer(None).train(Budget(n_steps=(3, 1, 1)), lambda progress: None)


def test_the_second_phase_goes_on_with_what_the_first_learned() -> None:
    """A second phase with a meta-rate of zero leaves weights and rates as the first made them."""
    trainer = _trainer(None)
    first, second = trainer.recipe.phases
    still = replace(trainer.recipe, phases=(first, replace(second, schedule=lambda done: 0.0)))
    alone = replace(trainer.recipe, phases=(first,))
    both, one = (
        replace(trainer, recipe=recipe).train(Budget(n_steps=(3,)), lambda progress: None).learner
        for recipe in (still, alone)
    )
    assert isinstance(both, MAML)
    assert (both.order, one.facts()["order"]) == (2, 1)
    learned = dict(one.named_parameters())
    assert any("raw_rates" in name for name in learned)
    for name, value in both.named_parameters():
        assert torch.equal(value, learned[name]), name


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is there")
def test_a_gpu_that_is_not_there_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """`--device cuda` without a GPU leaves with 2."""
    said = bench(capsys, "omniglot", "--data", "x", "--device", "cuda", code=2)
    assert "--device cuda" in said
