"""The meta-learning benchmarks run from the command line and report what they promise."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path

import pytest
import torch
from torch import nn

from autometa.cli import main
from autometa.metalearning import TaskScores
from autometa.studies.benchmarks import benchmark_names
from autometa.studies.benchmarks.metalearning import meta_speed, sinusoid
from autometa.studies.benchmarks.metalearning._commits import commits_behind, older_state
from autometa.studies.benchmarks.metalearning._networks import conv_network, seeded, sine_network
from autometa.studies.benchmarks.metalearning._results import Figure, figures
from autometa.studies.benchmarks.metalearning._sinusoid_recipes import RECIPES
from autometa.studies.provenance import UNKNOWN, current_commit
from tests.studies.bench_output import SHORT, bench, require_finite


@pytest.fixture(autouse=True)
def _same_threads() -> Generator[None]:
    n_before = torch.get_num_threads()
    yield
    torch.set_num_threads(n_before)


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


@pytest.mark.parametrize("algorithm", list(RECIPES))
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
    assert again.commits == first.commits == [current_commit()]


def test_state_of_an_older_commit_is_told(tmp_path: Path) -> None:
    """What an earlier commit trained is measured, and both stand beside the figures."""
    plan = sinusoid.Plan(n_steps=1, test_shots=(10,), n_test_tasks=2, checkpoints=tmp_path)
    sinusoid.run("ridge", plan)
    (notes,) = tmp_path.glob("*.commits")
    notes.write_text("0123abc\n")
    again = sinusoid.run("ridge", plan)
    assert again.commits == ["0123abc", current_commit()]
    told = f"ridge goes on with state of 0123abc; this is {current_commit()}"
    assert sinusoid.as_markdown([again]).endswith(f"\n\n{told}")


def test_state_without_a_note_is_of_an_unknown_commit(tmp_path: Path) -> None:
    """A file from elsewhere; a run without files, or with new ones, is of this commit alone."""
    state, now = tmp_path / "run.safetensors", current_commit()
    assert commits_behind(None) == commits_behind(state) == [now]
    state.write_bytes(b"")
    assert commits_behind(state) == [now]
    (tmp_path / "run.safetensors.commits").unlink()
    assert commits_behind(state) == commits_behind(state) == [UNKNOWN, now]
    assert older_state({"new": [now]}) == ""


def test_figures_are_judged_as_they_are() -> None:
    """A rise in the sixth decimal is a rise."""
    scores = torch.tensor([[2.0, 2.0], [0.1, 0.1], [0.100001, 0.100001]], dtype=torch.float64)
    assert not sinusoid.is_never_worse(figures(TaskScores((0, 1, 2), scores)))


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
    assert lines[3].startswith("| fomaml | ReLU 40-40 | 10 + 10 | 5 |")


def test_what_differs_in_training_is_said() -> None:
    """Reptile's network and the rows that its inner loop sees are not those of the others."""
    texts = {name: (one.network.text, one.rows_text(10)) for name, one in RECIPES.items()}
    assert texts.pop("reptile") == ("Tanh 64-64", "50 at once")
    assert set(texts.values()) == {("ReLU 40-40", "10 + 10")}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["omniglot", "--data", "absent.npz"], "absent.npz"),
        (["omniglot", "--data", "x", "--shots", "6"], "--shots 6"),
        (["omniglot", "--data", "x", "--test-queries", "20"], "--test-queries 20"),
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
