"""The meta-learning benchmarks run from the command line and report what they promise."""

from __future__ import annotations

import json
import math
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from autometa.cli import main
from autometa.metalearning import MAML, Episodes, Examples, Task, TaskBatch
from autometa.studies.benchmarks import benchmark_names
from autometa.studies.benchmarks.metalearning import meta_speed, sinusoid
from autometa.studies.benchmarks.metalearning._inductive import (
    accuracy_alone,
    inductive_accuracies,
)
from autometa.studies.benchmarks.metalearning._networks import conv_network, seeded, sine_network
from autometa.studies.benchmarks.metalearning._omniglot_recipes import RECIPES, Setting
from autometa.studies.benchmarks.metalearning._omniglot_training import Budget, Data, Trainer
from autometa.studies.benchmarks.metalearning._results import Figure
from autometa.studies.benchmarks.metalearning.omniglot import GOALS, PAPERS

SHORT = ["--quiet", "--json", "--threads", "1"]


def bench(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> Any:
    """The JSON that a benchmark prints, or what it says on stderr where it fails."""
    with pytest.raises(SystemExit) as left:
        main(["bench", *words])
    said = capsys.readouterr()
    assert left.value.code == code, said.err
    return json.loads(said.out) if code == 0 else said.err


def require_finite(shown: list[dict[str, float]]) -> None:
    """Every figure is a number with an interval."""
    for one in shown:
        assert math.isfinite(one["mean"])
        assert one["half_interval"] >= 0


@pytest.fixture(autouse=True)
def _same_threads() -> Generator[None]:
    n_before = torch.get_num_threads()
    yield
    torch.set_num_threads(n_before)


@pytest.fixture
def drawings(tmp_path: Path) -> Path:
    """A tiny Omniglot: 8 characters to train on and 6 to test on, 20 noisy drawings of each."""
    rng = np.random.default_rng(0)
    n_characters, n_each = 14, 20
    shapes = rng.integers(0, 2, (n_characters, 1, 28, 28)) * 200
    noise = rng.integers(0, 55, (n_characters, n_each, 28, 28))
    character = np.repeat(np.arange(n_characters), n_each)
    path = tmp_path / "omniglot.npz"
    np.savez(
        path,
        images=(shapes + noise).reshape(-1, 28, 28).astype(np.uint8),
        character=character,
        alphabet=(character >= 8).astype(np.int64),
        drawer=np.tile(np.arange(1, n_each + 1), n_characters),
        split=(character >= 8).astype(np.int64),
        alphabet_names=np.array(["first", "second"]),
    )
    return path


def tiny_tasks(n_tasks: int = 2) -> TaskBatch:
    """Two ways of images, two support and four query rows."""
    rng = np.random.default_rng(1)
    images = rng.random((6, 20, 1, 28, 28), dtype=np.float32).reshape(-1, 1, 28, 28)
    source = Episodes(images, np.repeat(np.arange(6), 20), 2, 1, 2)
    return source.draw(n_tasks, rng)[0]


def test_benchmarks_in_folders_are_listed() -> None:
    """`autometa bench` knows the benchmarks in folders, and not their parts."""
    names = benchmark_names()
    assert {"sinusoid", "omniglot", "meta-speed", "peers"} <= set(names)
    assert not [name for name in names if name.startswith("_") or name == "metalearning"]


def test_sinusoid_reports_losses_beside_the_goals(capsys: pytest.CaptureFixture[str]) -> None:
    """A run of few steps gives losses at 10 and 5 rows after each number of steps, with goals."""
    words = ["--algorithm", "maml", "--algorithm", "ridge", "--steps", "2", "--test-tasks", "4"]
    report = bench(capsys, "sinusoid", *words, *SHORT)
    assert report["benchmark"] == "sinusoid"
    assert {"commit", "machine", "seed", "n_test_tasks", "torch"} <= set(report)
    maml, ridge = report["results"]
    assert maml["n_meta_steps"] == 2
    assert maml["goals"] == {"1": 0.45, "5": 0.15, "10": 0.12}
    assert maml["is_goal_met"] is False
    assert ridge["is_goal_met"] is None
    for result in (maml, ridge):
        assert set(result["losses"]) == {"10", "5"}
        for shown in result["losses"].values():
            assert [one["steps"] for one in shown] == list(sinusoid.SHOWN_STEPS)
            require_finite(shown)


@pytest.mark.parametrize("algorithm", list(sinusoid.RECIPES))
def test_every_sinusoid_recipe_learns_a_step(algorithm: str) -> None:
    """Each algorithm makes a meta-step and is measured after it."""
    plan = sinusoid.Plan(n_steps=1, test_shots=(10,), n_test_tasks=2)
    result = sinusoid.run(algorithm, plan)
    assert result.n_meta_steps == 1
    assert all(one.mean is not None for one in result.losses["10"])


def test_sinusoid_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    """A run that was finished before is read, not made again, and says the same."""
    plan = sinusoid.Plan(n_steps=2, n_test_tasks=3, checkpoints=tmp_path)
    heard: list[int] = []
    first = sinusoid.run("reptile", plan, lambda progress: heard.append(progress.step))
    again = sinusoid.run("reptile", plan, lambda progress: heard.append(progress.step))
    assert heard == [1, 2]
    assert again.losses == first.losses


def test_a_step_that_hurts_is_seen() -> None:
    """The first step may hurt, later ones may not, and what is not finite always does."""
    figures = [Figure(step, mean, 0.0) for step, mean in enumerate([1.0, 2.0, 0.5, 0.5])]
    assert sinusoid.is_never_worse(figures)
    assert not sinusoid.is_never_worse([*figures, Figure(4, 0.6, 0.0)])
    assert not sinusoid.is_never_worse([*figures, Figure(4, None, None)])


def test_markdown_says_what_was_reached(capsys: pytest.CaptureFixture[str]) -> None:
    """Without `--json` each number of support rows has a row, with the goal's verdict."""
    words = ["--algorithm", "fomaml", "--steps", "1", "--test-tasks", "2", "--quiet"]
    with pytest.raises(SystemExit):
        main(["bench", "sinusoid", *words])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert "0.62 / 0.23 / 0.19 | missed" in lines[2]
    assert lines[3].startswith("| fomaml | 5 |")


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
    first = trainer.train(Budget(n_steps=3), lambda progress: None)
    heard: list[int] = []
    again = trainer.train(Budget(n_steps=9), lambda progress: heard.append(progress.step))
    assert heard == []
    assert [one.n_steps for one in again.phases] == [1, 2]
    for name, tensor in again.learner.state_dict().items():
        assert torch.equal(tensor, first.learner.state_dict()[name])


def test_the_second_phase_goes_on_with_what_the_first_learned() -> None:
    """A second phase with a meta-rate of zero leaves weights and rates as the first made them."""
    trainer = _trainer(None)
    first, second = trainer.recipe.phases
    still = replace(trainer.recipe, phases=(first, replace(second, schedule=lambda done: 0.0)))
    alone = replace(trainer.recipe, phases=(first,))
    both, one = (
        replace(trainer, recipe=recipe).train(Budget(n_steps=3), lambda progress: None).learner
        for recipe in (still, alone)
    )
    assert isinstance(both, MAML)
    assert (both.order, one.facts()["order"]) == (2, 1)
    learned = dict(one.named_parameters())
    assert any("raw_rates" in name for name in learned)
    for name, value in both.named_parameters():
        assert torch.equal(value, learned[name]), name


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["omniglot", "--data", "absent.npz"], "absent.npz"),
        (["omniglot", "--data", "x", "--shots", "6"], "--shots 6"),
        (["omniglot", "--data", "x", "--minutes", "0"], "--minutes"),
        (["omniglot", "--data", "x", "--test-tasks", "1"], "--test-tasks 1"),
        (["sinusoid", "--steps", "0"], "--steps 0"),
        (["sinusoid", "--algorithm", "magic"], "magic"),
    ],
)
def test_what_can_be_mended_is_said(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An option that cannot be leaves with 2 and names it."""
    assert message in bench(capsys, *words, code=2)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is there")
def test_a_gpu_that_is_not_there_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """`--device cuda` without a GPU leaves with 2."""
    said = bench(capsys, "omniglot", "--data", "x", "--device", "cuda", code=2)
    assert "--device cuda" in said


def test_speed_compares_the_same_gradients() -> None:
    """Both ways are timed, and their gradients agree to 1e-5."""
    report = meta_speed.run(n_rounds=2, n_tasks=3, n_inner_steps=2)
    assert report["is_difference_met"]
    assert all(report[name] for name in ("together_ms", "plain_ms", "by_hand_ms"))
    assert json.loads(json.dumps(report))["n_tasks"] == 3


def test_the_sine_network_written_out_is_the_network() -> None:
    """The function that the plain loop calls gives what the module gives."""
    network = seeded(sine_network, 0)
    x = torch.linspace(-5, 5, 7)[:, None]
    written = meta_speed.sine_outputs(list(network.parameters()), x)
    torch.testing.assert_close(written, network(x))


def test_the_convolutional_network_is_that_of_the_papers() -> None:
    """Four blocks of 64 filters on 28 x 28 pixels; parameters counted by hand."""
    rows = torch.zeros(3, 1, 28, 28)
    blocks = (64 * 9 + 64) + 3 * (64 * 64 * 9 + 64) + 4 * 2 * 64
    averaging = conv_network(5, 64, is_averaged=True)
    assert sum(p.numel() for p in averaging.parameters()) == blocks + 64 * 5 + 5
    assert averaging(rows).shape == (3, 5)
    assert conv_network(None, 64, halving="stride")(rows).shape == (3, 64 * 2 * 2)
    assert conv_network(None, 64, halving="pool")(rows).shape == (3, 64)


def test_first_weights_come_from_the_seed_alone() -> None:
    """One seed gives the same weights twice, and torch's own generator stays as it was."""
    before = torch.get_rng_state()
    first, second = (seeded(sine_network, 3) for _ in range(2))
    other = seeded(sine_network, 4)
    assert torch.equal(before, torch.get_rng_state())
    weights = [next(iter(one.parameters())) for one in (first, second, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert [type(one) for one in sine_network(activation=nn.Tanh).modules()].count(nn.Tanh) == 2
