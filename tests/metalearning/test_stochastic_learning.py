"""Stochastic strategies learn: on new tasks they beat the best constant of a grid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from autometa.metalearning._base import loss_by_targets
from autometa.metalearning._tasks import Examples, TaskBatch, TaskSource
from autometa.metalearning.evaluation import query_losses
from autometa.metalearning.sources import Sinusoids
from autometa.metalearning.stochastic.evolution import Evolution, centred_ranks, member_losses
from autometa.metalearning.stochastic.hypergradient import FirstOrder, Unrolled
from autometa.metalearning.stochastic.settings import SETTINGS, StochasticOptions
from autometa.metalearning.stochastic.strategy import MetaGradient, StochasticStrategy
from autometa.metalearning.training import MetaTraining, meta_train

OPTIONS = StochasticOptions(rate=0.02, momentum=0.6, decay=0.05, batch_size=4, largest_batch=12)
ALL = replace(OPTIONS, learned=SETTINGS)


class Vector(nn.Module):
    """Predicts the same two numbers for every row."""

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.at = nn.Parameter(torch.zeros(2, dtype=dtype))

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs * 0 + self.at


class Means:
    """Tasks "estimate a mean from noisy rows": the noisy quadratic, whose best rates fall."""

    def __init__(self, noise: float, n_rows: int = 60) -> None:
        self.noise, self.n_rows = noise, n_rows

    def draw(self, n_tasks: int, rng: np.random.Generator) -> list[TaskBatch]:
        centres = rng.normal(0, 3, (n_tasks, 1, 2))
        noisy = centres + rng.normal(0, self.noise, (n_tasks, self.n_rows, 2))
        rows, truth = (torch.from_numpy(one).float() for one in (noisy, centres))
        zeros = torch.zeros_like
        return [TaskBatch(Examples(zeros(rows), rows), Examples(zeros(truth), truth))]


class Scales(nn.Module):
    """A linear model of inputs in two groups, each with a tensor of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.small, self.large = (nn.Parameter(torch.zeros(3)) for _ in range(2))

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs[..., :3] @ self.small + inputs[..., 3:] @ self.large


class ScaledInputs:
    """Linear tasks whose second group of inputs is ten times as large as the first."""

    def draw(self, n_tasks: int, rng: np.random.Generator) -> list[TaskBatch]:
        scale = np.repeat([1.0, 10.0], 3)
        weights = rng.normal(size=(n_tasks, 6)) / scale
        x = rng.normal(size=(n_tasks, 60, 6)) * scale
        y = np.einsum("tni,ti->tn", x, weights)
        noisy = y + 0.3 * rng.normal(size=y.shape)
        inputs, rows, truth = (torch.from_numpy(one).float() for one in (x, noisy, y))
        support = Examples(inputs[:, :30], rows[:, :30])
        return [TaskBatch(support, Examples(inputs[:, 30:], truth[:, 30:]))]


def sines(n_tasks: int = 8) -> TaskBatch:
    source = Sinusoids(20, 15, noise=0.3, dtype=torch.float64)
    return source.draw(n_tasks, np.random.default_rng(0))[0]


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1)).double()


def shaken(strategy: StochasticStrategy) -> StochasticStrategy:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for raw in strategy.settings.parameters():
            raw.add_(0.3 * torch.randn(raw.shape, generator=generator, dtype=raw.dtype))
    return strategy


def gradients(
    by: MetaGradient, module: nn.Module, n_rows_read: int, options: StochasticOptions = OPTIONS
) -> dict[str, Tensor]:
    strategy = shaken(StochasticStrategy(module, options, n_rows_read=n_rows_read, by=by))
    strategy.accumulate(sines(), 1.0, np.random.default_rng(1))
    found = {name: raw.grad for name, raw in strategy.settings.raw.items()}
    return {name: one for name, one in found.items() if one is not None}


def fast(parameters: list[nn.Parameter]) -> Optimizer:
    return Adam(parameters, lr=0.1)


def held_out_loss(strategy: StochasticStrategy, source: TaskSource) -> float:
    batches = source.draw(200, np.random.default_rng(99))
    return query_losses(strategy, batches, (strategy.n_inner_steps,)).mean()[0]


def best_constant(module: nn.Module, source: TaskSource, n_rows_read: int) -> float:
    """The held-out loss of the best constant rate and batch size, chosen on those very tasks."""
    found: list[float] = []
    for size in (2, 8, 30):
        for rate in np.geomspace(1e-3, 0.4, 8):
            options = StochasticOptions(
                rate=float(rate), momentum=0, decay=0, batch_size=size, learned=("rates",)
            )
            strategy = StochasticStrategy(module, options, n_rows_read=n_rows_read)
            found.append(held_out_loss(strategy, source))
    return min(loss for loss in found if np.isfinite(loss))


def test_first_order_is_exact_for_a_linear_loss() -> None:
    """Without curvature, and forgetting nothing, every meta-gradient is the exact one."""

    def linear(outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs * targets).mean()

    module = nn.Linear(1, 1).double()
    found: list[list[Tensor]] = []
    for by in (FirstOrder(1.0), Unrolled()):
        strategy = StochasticStrategy(module, OPTIONS, n_rows_read=60, by=by, loss=linear)
        shaken(strategy).accumulate(sines(), 1.0, np.random.default_rng(1))
        raws = strategy.settings.raw.items()
        found.append([one.grad for _, one in raws if one.grad is not None])
    assert len(found[0]) == 4
    for first_order, exact in zip(*found, strict=True):
        torch.testing.assert_close(first_order, exact)


@pytest.mark.parametrize("clip", [None, 0.5])
def test_unrolled_agrees_with_finite_differences(clip: float | None) -> None:
    """Each exact meta-gradient is the slope of the query loss, steps and clipping included."""
    strategy = shaken(
        StochasticStrategy(network(), replace(OPTIONS, clip=clip), n_rows_read=30, by=Unrolled())
    )
    batch, rng = sines(), np.random.default_rng
    strategy.accumulate(batch, 1.0, rng(1))
    raw = dict(strategy.settings.raw.items())
    for name, one in raw.items():
        assert one.grad is not None
        for place in np.ndindex(one.shape):
            ends: list[float] = []
            for sign in (1, -1):
                moved = one.detach().clone()
                moved[place] += sign * 1e-5
                members = [{**raw, name: moved}]
                losses = member_losses(strategy._descent, members, batch, 30, rng(1))
                ends.append(float(losses.mean()))
            slope = (ends[0] - ends[1]) / 2e-5
            assert float(one.grad[place]) == pytest.approx(slope, rel=1e-4, abs=1e-8)


def test_first_order_points_the_right_way_where_curvature_is_small() -> None:
    """Over a few short steps it is nearly parallel to the exact meta-gradient."""
    options = replace(OPTIONS, rate=8e-4)
    first, exact = (gradients(by, network(), 40, options) for by in (FirstOrder(1.0), Unrolled()))
    joined = [torch.cat([one.reshape(-1) for one in part.values()]) for part in (first, exact)]
    assert float(torch.cosine_similarity(joined[0], joined[1], dim=0)) > 0.9
    for name in ("momentum", "decay"):
        assert torch.sign(first[name]) == torch.sign(exact[name]) != 0


@pytest.mark.parametrize("discount", [1.0, 0.9])
def test_first_order_raises_decay_where_it_helps(discount: float) -> None:
    """The decay's meta-gradient calls for more where the truth is 0, for less where it is far."""
    signs: list[float] = []
    for centre in (0.0, 5.0):
        rng = np.random.default_rng(0)
        rows = torch.from_numpy(centre + rng.normal(0, 3, (8, 12, 2)))
        truth = torch.full((8, 1, 2), centre, dtype=torch.float64)
        batch = TaskBatch(Examples(rows * 0, rows), Examples(truth * 0, truth))
        by = FirstOrder(discount)
        strategy = StochasticStrategy(Vector(torch.float64), OPTIONS, n_rows_read=200, by=by)
        strategy.accumulate(batch, 1.0, np.random.default_rng(1))
        slope = strategy.settings.raw["decay"].grad
        assert slope is not None
        signs.append(float(torch.sign(slope)))
    assert signs == [-1.0, 1.0]


def test_share_scales_and_sums() -> None:
    """Two calls with half a share add up to one with a whole."""
    for by in (FirstOrder(), Unrolled(), Evolution(2)):
        found: list[list[Tensor]] = []
        for shares in ((1.0,), (0.5, 0.5)):
            strategy = StochasticStrategy(network(), OPTIONS, n_rows_read=20, by=by)
            for share in shares:
                strategy.accumulate(sines(), share, np.random.default_rng(1))
            found.append([one.grad for one in strategy.parameters() if one.grad is not None])
        for whole, halves in zip(*found, strict=True):
            torch.testing.assert_close(whole, halves)


def test_ranks_are_centred() -> None:
    """Ranks by hand: equal losses share one, and losses that are not finite are the worst."""
    losses = torch.tensor([3.0, 1.0, torch.nan, 1.0, torch.inf])
    assert centred_ranks(losses).tolist() == [0.0, -0.375, 0.375, -0.375, 0.375]


def test_members_of_a_population_meet_what_each_would_alone() -> None:
    """Run together, whatever their batch sizes, members have the losses that they have alone."""
    strategy = StochasticStrategy(network(), ALL, n_rows_read=30, by=Evolution())
    raw, batch = dict(strategy.settings.raw.items()), sines(3)
    members = [
        {name: one.detach() + shift for name, one in raw.items()}
        for shift in (-2.0, 0.0, 0.1, 2.0)
    ]
    assert len({strategy.settings.batch_size(member) for member in members}) > 1
    rng = np.random.default_rng
    together = member_losses(strategy._descent, members, batch, 30, rng(1))
    assert together.shape == (4, 3)
    for member, losses in zip(members, together, strict=True):
        alone = member_losses(strategy._descent, [member], batch, 30, rng(1))
        torch.testing.assert_close(alone[0], losses)


def test_evolution_estimates_the_gradient_of_ranks() -> None:
    """Its estimate is that of the paper's formula, computed in NumPy from the members' losses."""
    by, batch = Evolution(n_pairs=3, spread=0.2), sines(3)
    strategy = StochasticStrategy(network(), ALL, n_rows_read=20, by=by)
    after = strategy.accumulate(batch, 0.5, np.random.default_rng(1)).after
    raw = dict(strategy.settings.raw.items())
    sizes = [one.numel() for one in raw.values()]
    rng = np.random.default_rng(1)
    drawn = rng.standard_normal((3, sum(sizes)))
    drawn = np.concatenate([drawn, -drawn])
    members: list[dict[str, Tensor]] = []
    for move in np.concatenate([np.zeros((1, sum(sizes))), 0.2 * drawn]):
        parts = torch.split(torch.from_numpy(move), sizes)
        pairs = zip(raw.items(), parts, strict=True)
        members.append({name: one.detach() + part.view(one.shape) for (name, one), part in pairs})
    losses = member_losses(strategy._descent, members, batch, 20, rng)
    torch.testing.assert_close(after, losses[0])
    ranks = losses[1:].mean(1).numpy().argsort().argsort() / 5 - 0.5
    expected = 0.5 * (ranks[:, None] * drawn).mean(0) / 0.2
    found = [one.grad.reshape(-1) for one in raw.values() if one.grad is not None]
    np.testing.assert_allclose(torch.cat(found).numpy(), expected, rtol=1e-9)


@pytest.mark.parametrize("by", [FirstOrder(), Unrolled()])
def test_learned_schedule_falls_and_beats_every_constant_rate(by: MetaGradient) -> None:
    """On the noisy quadratic the rate falls to its end, and held-out tasks come out better."""
    source, module = Means(noise=3.0), Vector()
    options = StochasticOptions(rate=0.1, learned=("rates", "schedule"), decay=0, momentum=0)
    strategy = StochasticStrategy(module, options, n_rows_read=120, by=by)
    meta_train(strategy, source, MetaTraining(30, n_tasks=25, make_optimizer=fast))
    rates = strategy.plan().rates[:, 0]
    assert float(rates[-1]) < 0.6 * float(rates.max())
    assert held_out_loss(strategy, source) < 0.95 * best_constant(module, source, 120)


def test_learned_rates_make_up_for_badly_scaled_inputs() -> None:
    """The tensor of large inputs gets the smaller rate, far better than any common one."""
    source, module = ScaledInputs(), Scales()
    options = StochasticOptions(rate=1e-3, momentum=0, decay=0, learned=("rates", "schedule"))
    strategy = StochasticStrategy(module, options, n_rows_read=160)
    meta_train(strategy, source, MetaTraining(30, n_tasks=16, make_optimizer=fast))
    small, large = strategy.plan().rates.mean(dim=0)
    assert float(small) > 5 * float(large)
    assert held_out_loss(strategy, source) < 0.5 * best_constant(module, source, 160)


@pytest.mark.parametrize(("noise", "is_small_better"), [(0.0, True), (6.0, False)])
def test_evolution_learns_the_batch_size(noise: float, is_small_better: bool) -> None:
    """At one rate and one budget of rows, sure rows are for many steps and noisy ones for few."""
    options = StochasticOptions(
        rate=0.5, momentum=0, decay=0, batch_size=8, largest_batch=32, learned=("batch_size",)
    )
    strategy = StochasticStrategy(
        Vector(), options, n_rows_read=120, by=Evolution(n_pairs=3, spread=0.8)
    )
    meta_train(strategy, Means(noise), MetaTraining(10, n_tasks=16, make_optimizer=fast))
    raw = float(strategy.settings.raw["batch_size"].detach())
    fresh = StochasticStrategy(Vector(), options, by=Evolution())
    start = float(fresh.settings.raw["batch_size"].detach())
    assert (raw < start - 0.3) if is_small_better else (raw > start + 0.3)


class Dropping(nn.Module):
    """The same with dropout, and a look at values, which vmap cannot trace."""

    def __init__(self) -> None:
        super().__init__()
        self.at = nn.Parameter(torch.ones(2))
        self.dropout = nn.Dropout(0.5)

    def forward(self, inputs: Tensor) -> Tensor:
        outputs = inputs * 0 + self.dropout(self.at)
        return torch.as_tensor(outputs if bool(outputs.sum() > -1e9) else -outputs)


@pytest.mark.parametrize(
    "make", [Vector, lambda: nn.Sequential(Vector(), nn.Dropout(0.3)), Dropping]
)
@pytest.mark.parametrize("by", [FirstOrder(), Unrolled(), Evolution(2)])
@pytest.mark.filterwarnings("ignore::autometa.metalearning.OneByOneWarning")
def test_training_goes_on_from_a_checkpoint(
    by: MetaGradient, make: Callable[[], nn.Module], tmp_path: Path
) -> None:
    """Interrupted and resumed, meta-training ends with the very numbers of an unbroken run."""

    def train(n_steps: int, checkpoint: Path | None) -> list[Tensor]:
        strategy = StochasticStrategy(make(), n_rows_read=(20, 40), by=by)
        training = MetaTraining(n_steps, n_tasks=4, make_optimizer=fast, checkpoint=checkpoint)
        meta_train(strategy, Means(1.0), training)
        return [one.detach() for one in strategy.parameters()]

    whole = train(6, None)
    train(3, tmp_path / "half")
    resumed = train(6, tmp_path / "half")
    assert all(torch.equal(one, other) for one, other in zip(whole, resumed, strict=True))
    shorter = train(5, None)
    assert not all(torch.equal(one, other) for one, other in zip(whole, shorter, strict=True))


def test_initial_values_stay() -> None:
    """Meta-training changes all that is learned of the strategy, never the module."""
    module, source = Vector(), Means(1.0)
    strategy = StochasticStrategy(module, n_rows_read=40, loss=loss_by_targets)
    before = [one.detach().clone() for one in strategy.settings.parameters()]
    meta_train(strategy, source, MetaTraining(2, n_tasks=4, make_optimizer=fast))
    assert torch.equal(module.at, torch.zeros(2))
    moved = [
        not torch.equal(old, new)
        for old, new in zip(before, strategy.settings.parameters(), strict=True)
    ]
    assert moved == [True] * 4
