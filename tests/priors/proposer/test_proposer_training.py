"""Training by a recipe: phases, going on, and when to stop."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from autometa.errors import MetaLearningError, OptionError
from autometa.metalearning.evaluation import query_losses
from autometa.metalearning.training import MetaProgress
from autometa.priors.proposer.generator import GeneratorShape
from autometa.priors.proposer.proposer import Proposer
from autometa.priors.proposer.recipe import SHIPPED_RECIPE, Phase, Recipe
from autometa.priors.proposer.sources import MixedTasks, RealTasks, SyntheticTasks
from autometa.priors.proposer.stop import STEPS, learn_stop
from autometa.priors.proposer.tasks import PriorTable, TaskSize, draw_task, make_task
from autometa.priors.proposer.training import _Sources, make_optimizer, train_proposer
from autometa.priors.synthetic import TableOptions
from autometa.tables._base import Sample
from tests.priors.proposer.proposer_tables import mixed_table

SMALL = TaskSize(support=(40, 60), n_queries=30, most_columns=5, most_cells=12, most_classes=3)
RECIPE = Recipe(
    phases=(
        Phase("weights", 4, n_tasks=2, size=SMALL),
        Phase("loops", 3, (0, 2), n_tasks=2, size=SMALL),
        Phase("rates", 2, (12,), n_tasks=1, is_settings_only=True, size=SMALL),
    ),
    shape=GeneratorShape(width=8, units=8),
    n_stop_tasks=2,
)
TABLES = [
    PriorTable(f"t{place}", f"family {place // 2}", mixed_table(200, n_classes=place), place)
    for place in (0, 2, 5)
]


def test_each_phase_learns_what_it_says(tmp_path: Path) -> None:
    seen: dict[str, int] = {}

    def listen(phase: str, progress: MetaProgress) -> None:
        seen[phase] = progress.step

    recipe = replace(RECIPE, n_stop_tasks=0)
    trained = train_proposer(recipe, TABLES, TABLES[:1], checkpoints=tmp_path, listen=listen)
    assert seen == {"weights": 4, "loops": 3, "rates": 2}
    assert set(trained.held_out) == set(seen)
    before = train_proposer(replace(recipe, phases=RECIPE.phases[:2]), TABLES)
    after = dict(trained.proposer.generator.named_parameters())
    for name, one in before.proposer.generator.named_parameters():
        is_same = torch.equal(one, after[name])
        assert is_same is not name.startswith("settings"), name


def test_a_run_that_is_broken_off_goes_on_to_the_same_end(tmp_path: Path) -> None:
    class BreakOffError(Exception):
        pass

    def break_off(phase: str, progress: MetaProgress) -> None:
        if phase == "loops" and progress.step == 2:
            raise BreakOffError

    whole = train_proposer(RECIPE, TABLES)
    with pytest.raises(BreakOffError):
        train_proposer(RECIPE, TABLES, checkpoints=tmp_path, listen=break_off)
    again = train_proposer(RECIPE, TABLES, checkpoints=tmp_path)
    for name, one in again.proposer.state_dict().items():
        torch.testing.assert_close(one, whole.proposer.state_dict()[name], rtol=0, atol=0)


def test_checkpoints_of_another_run_are_refused(tmp_path: Path) -> None:
    short = replace(RECIPE, phases=RECIPE.phases[:1], n_stop_tasks=0)
    train_proposer(short, TABLES, checkpoints=tmp_path)
    renamed = [replace(TABLES[0], family="another"), *TABLES[1:]]
    others = ((replace(short, seed=1), TABLES), (short, TABLES[:2]), (short, renamed))
    for other, tables in others:
        with pytest.raises(MetaLearningError, match="another recipe"):
            train_proposer(other, tables, checkpoints=tmp_path)


def test_settings_alone_learn_by_exact_loops_too() -> None:
    phases = (Phase("exact", 1, (3,), n_tasks=1, is_settings_only=True, size=SMALL),)
    train_proposer(replace(RECIPE, phases=phases, n_stop_tasks=0), TABLES)


def test_alike_tasks_run_together() -> None:
    size = replace(SMALL, n_alike=4)
    synthetic = SyntheticTasks(size, TableOptions(columns=(2, 5)))
    batches = synthetic.draw(8, np.random.default_rng(0))
    assert sum(len(batch) for batch in batches) == 8
    assert max(len(batch) for batch in batches) > 1
    made = Proposer(GeneratorShape(width=8, units=8))
    for batch in batches:
        alone = [
            query_losses(made, [batch.part(place, place + 1)], (0,)).scores
            for place in range(len(batch))
        ]
        together = query_losses(made, [batch], (0,)).scores
        torch.testing.assert_close(torch.cat(alone, 1), together, rtol=1e-3, atol=1e-4)


def test_settings_are_learned_from_families_that_weights_have_not_seen() -> None:
    tables = [replace(TABLES[0], name=f"t{place}", family=f"f{place // 2}") for place in range(40)]
    recipe = replace(RECIPE, settings_share=0.3, real_share=1.0)
    sources = _Sources.of(tables, recipe)
    rng = np.random.default_rng(0)
    weights, loops, rates = (
        {name for batch in sources.of_phase(phase).draw(400, rng) for name in batch.names}
        for phase in recipe.phases
    )
    stop = {name for batch in sources.of_stop().draw(400, rng) for name in batch.names}
    assert weights == loops
    assert rates == stop
    assert (len(weights), len(rates), len(weights | rates)) == (28, 12, 40)
    assert {int(name[1:]) // 2 for name in weights}.isdisjoint(
        int(name[1:]) // 2 for name in rates
    )
    few = _Sources.of(tables[:12], recipe)  # six families, of which two would be kept
    assert few.for_weights == few.for_settings == tables[:12]


def test_tables_that_make_no_task_are_told_of_at_once() -> None:
    tiny = PriorTable("tiny", "f", TABLES[0].sample.take(np.arange(8)), 0)
    with pytest.raises(MetaLearningError, match="made no task"):
        train_proposer(RECIPE, TABLES, [tiny])


def test_weights_and_settings_learn_at_rates_of_their_own() -> None:
    made = Proposer(RECIPE.shape)
    phase = Phase("loops", 2, (0, 2), n_tasks=2, lr=0.1, settings_lr=0.3, size=SMALL)
    weights, settings = make_optimizer(made, phase, 0.5, list(made.parameters())).param_groups
    assert (weights["lr"], weights["weight_decay"]) == (0.1, 0.5)
    assert (settings["lr"], settings["weight_decay"]) == (0.3, 0.0)
    own = {id(one) for one in made.generator.settings.parameters()}
    assert {id(one) for one in settings["params"]} == own
    every = [id(one) for one in (*weights["params"], *settings["params"])]
    assert sorted(every) == sorted(map(id, made.parameters()))


def test_one_small_table_takes_no_rows_from_the_others() -> None:
    small = PriorTable("small", "few", mixed_table(70, n_classes=2), 2)
    large = PriorTable("large", "many", mixed_table(600, n_classes=2), 2)
    size = TaskSize(support=(40, 40), n_queries=256, n_alike=8)
    batches = RealTasks([small, large], size).draw(16, np.random.default_rng(0))
    n_queries = {name: batch.query.inputs.shape[1] for batch in batches for name in batch.names}
    assert n_queries == {"small": 30, "large": 256}


def test_without_tables_all_tasks_are_synthetic() -> None:
    first, second = (train_proposer(RECIPE, ()).proposer.state_dict() for _ in range(2))
    for name, one in first.items():
        torch.testing.assert_close(second[name], one, rtol=0, atol=0)


def test_the_stop_is_where_losses_were_lowest() -> None:
    torch.manual_seed(0)
    proposer = Proposer(GeneratorShape(width=8, units=8))
    batches = SyntheticTasks(SMALL, TableOptions(columns=(2, 5))).draw(6, np.random.default_rng(0))
    scores = torch.cat([query_losses(proposer, [one], STEPS).scores for one in batches], 1)
    heard: list[int] = []
    losses = learn_stop(proposer, batches, heard.append)
    assert heard[-1] == 6
    torch.testing.assert_close(losses, scores.mean(1))
    best = torch.tensor(STEPS)[scores.argmin(0)].double().clamp(1.01).log()
    with torch.no_grad():
        told = torch.cat([proposer.describe(one) for one in batches])
        found = proposer.generator.settings.by_table(told)[:, -1]
        raw = found + proposer.generator.settings.usual[-1]
    # a ridge regression keeps the mean, here of unbounded numbers
    wanted = torch.logit(best / np.log(10_000))
    assert float(raw.mean()) == pytest.approx(float(wanted.mean()), abs=1e-3)


def test_tasks_show_parts_of_large_tables() -> None:
    rng = np.random.default_rng(0)
    wide = PriorTable("wide", "f", mixed_table(400, n_classes=8), 8)
    for _ in range(10):
        task = draw_task(wide, 50, SMALL, rng)
        assert task is not None
        assert task.support.inputs.shape[1] <= SMALL.most_cells
        assert int(task.support.targets.max()) < SMALL.most_classes
        assert len(task.support.targets) == 50
        assert len(task.query.targets) <= SMALL.n_queries
        assert set(task.query.targets.tolist()) <= set(task.support.targets.tolist())


def test_values_of_a_task_are_in_deviations_of_its_support_rows() -> None:
    sample = mixed_table(100, n_classes=0)
    far = Sample(sample.features, sample.target.astype(np.float64) * 1e6 - 3e9)
    task = make_task(far.take(np.arange(60)), far.take(np.arange(60, 100)), "far")
    assert task is not None
    assert float(task.support.targets.mean()) == pytest.approx(0, abs=1e-4)
    assert float(task.support.targets.std(correction=0)) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("target", [np.zeros(40), np.zeros(40, np.int64), np.arange(40) // 36])
def test_rows_that_teach_nothing_make_no_task(
    target: NDArray[np.int64] | NDArray[np.float64],
) -> None:
    sample = Sample(mixed_table(40).features, target)
    assert make_task(sample.take(np.arange(30)), sample.take(np.arange(30, 40)), "") is None


def test_a_mixture_draws_from_both_by_its_share() -> None:
    synthetic = SyntheticTasks(SMALL, TableOptions(columns=(2, 4)))
    mixed = MixedTasks(synthetic, RealTasks(TABLES, SMALL), 0.5)
    names = [name for batch in mixed.draw(40, np.random.default_rng(0)) for name in batch.names]
    assert len(names) == 40
    assert 10 < sum(name.startswith("t") and name[1:].isdigit() for name in names) < 30


def test_all_families_are_drawn_alike() -> None:
    rng = np.random.default_rng(0)
    batches = RealTasks(TABLES, SMALL).draw(90, rng)
    names = [name for batch in batches for name in batch.names]
    # t0 is alone in its family; t2 and t5 in theirs
    counts = {name: names.count(name) for name in ("t0", "t2", "t5")}
    assert min(counts.values()) > 15


def test_nothing_to_draw_from_is_refused() -> None:
    with pytest.raises(MetaLearningError, match="no tables"):
        RealTasks([])
    few = PriorTable("few", "f", mixed_table(8), 3)
    with pytest.raises(MetaLearningError, match="more rows"):
        RealTasks([few], SMALL).draw(1, np.random.default_rng(0))
    with pytest.raises(OptionError, match="from 1 on"):
        Phase("none", 1, is_settings_only=True)


def test_the_shipped_recipe_learns_weights_then_loops() -> None:
    assert [max(phase.n_steps) for phase in SHIPPED_RECIPE.phases] == [0, 10, 100]
    assert SHIPPED_RECIPE.n_tasks == sum(p.n_tasks * p.n_meta_steps for p in SHIPPED_RECIPE.phases)


def test_training_goes_on_from_another_priors_weights(tmp_path: Path) -> None:
    first = train_proposer(replace(RECIPE, phases=RECIPE.phases[:1], n_stop_tasks=0), TABLES)
    weights = {name: one.clone() for name, one in first.proposer.state_dict().items()}
    rates = replace(RECIPE, phases=RECIPE.phases[2:], n_stop_tasks=0)
    done = train_proposer(rates, TABLES, begin_with=first.proposer, checkpoints=tmp_path)
    for name, one in done.proposer.generator.named_parameters():
        is_same = torch.equal(one, weights[f"generator.{name}"])
        assert is_same is not name.startswith("settings"), name
    for name, one in first.proposer.state_dict().items():
        assert torch.equal(one, weights[name]), "the prior that it began with has changed"
    with pytest.raises(MetaLearningError, match="first weights"):
        train_proposer(rates, TABLES, checkpoints=tmp_path)
    other = Proposer(GeneratorShape(width=16, units=8))
    with pytest.raises(MetaLearningError, match="shape"):
        train_proposer(rates, TABLES, begin_with=other)


def test_only_phases_that_say_so_have_columns_of_trees() -> None:
    cells = replace(RECIPE.cells, has_trees=True)
    phases = (RECIPE.phases[0], replace(RECIPE.phases[1], has_trees=True))
    recipe = replace(RECIPE, cells=cells, phases=phases, n_stop_tasks=0)
    plain, boosted = (RealTasks(TABLES[1:2], recipe.size_of(phase)) for phase in phases)
    n_columns = [
        source.draw(1, np.random.default_rng(0))[0].support.inputs.shape[2]
        for source in (plain, boosted)
    ]
    assert n_columns[1] == n_columns[0] + 1
    assert train_proposer(recipe, TABLES).proposer.cells == cells
